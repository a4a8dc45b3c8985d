package capfile

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xdplog/xdplog/reader"
)

// TestTotalPacked: files that a command packs count by what they have become, and go with
// that; a file of such a name that was there before stays.
func TestTotalPacked(t *testing.T) {
	if _, err := exec.LookPath("gzip"); err != nil {
		t.Skip("there is no gzip")
	}
	packets := make([]reader.Packet, 20)
	for i := range packets {
		packets[i] = packetOf(100, 7)
		packets[i].Data = []byte(strings.Repeat("a", 100)) // of which little is left
	}
	for _, c := range []struct {
		name    string
		ring    Ring
		waits   bool // for the command, before the next packets
		most    int64
		longest int // files in the end, beside the one that stays
	}{
		{"total", Ring{Size: 4096, Total: 3 * 4096}, true, 3 * 4096, 60},
		{"total, at once", Ring{Size: 4096, Total: 3 * 4096}, false, 3 * 4096, 60},
		{"count", Ring{Size: 4096, Count: 4}, true, 5 * 4096, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			theirs := filepath.Join(dir, "out2.gz")
			if c.ring.Count == 0 {
				if err := os.WriteFile(theirs+".zst", []byte("theirs"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var said []string
			w := ringWriter(t, dir, WriterOptions{
				Ring: c.ring, Say: func(line string) { said = append(said, line) }, Then: Then{Command: []string{"gzip", "-q"}},
			})
			for range 60 {
				if n, err := w.Write(packets, nil); n != len(packets) || err != nil {
					t.Fatalf("write = %d, %v", n, err)
				}
				for begin := time.Now(); c.waits && w.then.works() && time.Since(begin) < 10*time.Second; {
					time.Sleep(time.Millisecond)
				}
			}
			w.End()
			w.Close()
			w.Wait(nil)
			sum, n := int64(0), 0
			for _, name := range namesIn(t, dir) {
				info, err := os.Stat(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				sum += info.Size()
				n++
			}
			if sum > c.most || n > c.longest || n < 3 {
				t.Errorf("%d files of %d bytes: %q", n, sum, namesIn(t, dir))
			}
			if c.waits && len(said) > 0 {
				t.Errorf("said %q", said)
			}
			if _, err := os.Stat(theirs + ".zst"); err != nil && c.ring.Count == 0 {
				t.Error(err)
			}
		})
	}
}

// works says whether a command runs, or is to.
func (t *then) works() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.running > 0
}
