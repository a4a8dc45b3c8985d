package capfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader"
)

// TestNames: files are called as tcpdump calls them.
func TestNames(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, c := range []struct {
		name string
		ring Ring
		want string // of files that follow one another at the same time
	}{
		{"a", Ring{Size: 1}, "a a1 a2 a3"},
		{"a", Ring{Size: 1, Count: 3}, "a0 a1 a2 a0"},
		{"a", Ring{Size: 1, Count: 11}, "a00 a01 a02 a03"},
		{"a", Ring{Size: 1, Count: 1}, "a a a a"},
		{"a%", Ring{Size: 1}, "a% a%1 a%2 a%3"},
		{"a%H", Ring{Every: 1}, "a05 a051 a052 a053"},
		{"a%F-%H%M%S%%", Ring{Every: 1, Size: 1, Count: 20}, "a2026-03-04-050607%00 a2026-03-04-050607%01 a2026-03-04-050607%02 a2026-03-04-050607%03"},
	} {
		n := newNumbering(c.name, c.ring)
		var got []string
		for range 4 {
			got = append(got, n.next(at))
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%s of %+v: %s, want %s", c.name, c.ring, got, c.want)
		}
	}
	n := newNumbering("%H.%M", Ring{Every: 1})
	if got := fmt.Sprint(n.next(at), n.next(at), n.next(at.Add(time.Minute))); got != "05.06 05.061 05.07" && got != "05.0605.06105.07" {
		t.Errorf("over time: %s", got)
	}
}

// TestTimesInNames compares what names may have in them with strftime(3).
func TestTimesInNames(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.FixedZone("XST", 3600))
	for in, want := range map[string]string{
		"%Y%m%d": "20260304", "%y": "26", "%b%h%B": "MarMarMarch", "%d-%e": "04- 4", "%j": "063", "%a%A": "WedWednesday",
		"%H%I%p%M%S": "0505AM0607", "%F %T": "2026-03-04 05:06:07", "%R": "05:06", "%D": "03/04/26", "%z%Z": "+0100XST",
		"%s": fmt.Sprint(at.Unix()), "100%%": "100%",
	} {
		if got, err := appendTimes(nil, in, at); string(got) != want || err != nil {
			t.Errorf("%s: %s, %v, want %s", in, got, err, want)
		}
	}
	for _, wrong := range []string{"a%", "%Q"} {
		if CheckTimes(wrong) == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
}

// TestPeriods: files of a time follow each other without a gap, however late one is.
func TestPeriods(t *testing.T) {
	start := time.Unix(1000, 0)
	p := newPeriod(start, 10*time.Second)
	if p.over(start.Add(9*time.Second)) || !p.over(start.Add(10*time.Second)) {
		t.Error("over at the wrong time")
	}
	if p = p.after(start.Add(37 * time.Second)); !p.from.Equal(start.Add(30*time.Second)) || !p.due.Equal(start.Add(40*time.Second)) {
		t.Errorf("period %v to %v", p.from, p.due)
	}
}

// ringWriter is a writer of files that follow one another in a directory.
func ringWriter(t *testing.T, dir string, o WriterOptions) *Writer {
	t.Helper()
	o.SnapLen = 100
	w, err := Create(filepath.Join(dir, "out"), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	count := func(int) (*wire.Counters, error) { return new(wire.Counters), nil }
	if err := w.Begin(twoInterfaces, count); err != nil {
		t.Fatal(err)
	}
	return w
}

func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// TestTotal: the oldest files go, and none but those that the run has made.
func TestTotal(t *testing.T) {
	dir := t.TempDir()
	var said []string
	w := ringWriter(t, dir, WriterOptions{Ring: Ring{Size: 4096, Total: 4 * 4096}, Say: func(line string) { said = append(said, line) }})
	packets := make([]reader.Packet, 20)
	for i := range packets {
		packets[i] = packetOf(100, 7)
	}
	for i := range 20 {
		if n, err := w.Write(packets, nil); n != len(packets) || err != nil {
			t.Fatalf("write = %d, %v", n, err)
		}
		if i == 5 { // out1 is another's by now
			if err := os.WriteFile(filepath.Join(dir, "theirs"), []byte("theirs"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(dir, "theirs"), filepath.Join(dir, w.ring.finished[0].name[len(dir)+1:])); err != nil {
				t.Fatal(err)
			}
		}
	}
	names := namesIn(t, dir)
	sum := int64(0)
	for _, name := range names {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	if len(names) != 5 || sum > 4*4096+6 || len(said) > 0 {
		t.Errorf("%d bytes in %q; said %q", sum, names, said)
	}
}

// TestRingKeeps: what a name stands for that is no file of packets is left alone, and so
// is the file that is read; the packets until then are counted.
func TestRingKeeps(t *testing.T) {
	for _, what := range []string{"directory", "read"} {
		dir := t.TempDir()
		next := filepath.Join(dir, "out1")
		var o WriterOptions
		o.Ring = Ring{Size: 4096}
		if what == "directory" {
			if err := os.Mkdir(next, 0o700); err != nil {
				t.Fatal(err)
			}
		} else {
			if err := os.WriteFile(next, []byte("read"), 0o600); err != nil {
				t.Fatal(err)
			}
			read, _ := os.Stat(next)
			o.Read = []fs.FileInfo{read}
		}
		w := ringWriter(t, dir, o)
		packets := make([]reader.Packet, 100)
		for i := range packets {
			packets[i] = packetOf(100, 7)
		}
		n, err := w.Write(packets, nil)
		if err == nil || !strings.Contains(err.Error(), next) || n == 0 || n == len(packets) {
			t.Errorf("%s: write = %d, %v", what, n, err)
		}
		if again, err := w.Write(packets, nil); again != 0 || err == nil {
			t.Errorf("%s: after that, write = %d, %v", what, again, err)
		}
		w.Close()
		if names := namesIn(t, dir); !slices.Equal(names, []string{"out", "out1"}) {
			t.Errorf("%s: files %q", what, names)
		}
	}
}

// TestFull: with a number of files of a time, there is none behind the last.
func TestFull(t *testing.T) {
	w := ringWriter(t, t.TempDir(), WriterOptions{Ring: Ring{Every: time.Minute, Count: 2}})
	now := time.Now()
	if err := w.Turn(now.Add(61 * time.Second)); err != nil {
		t.Error(err)
	}
	if err := w.Turn(now.Add(121 * time.Second)); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want %v", err, ErrFull)
	}
}

// TestExplainOpen: a file of others is told from what else forbids to write.
func TestExplainOpen(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused := &os.PathError{Op: "open", Path: name, Err: os.ErrPermission}
	if err := explainOpen(name, refused); err != refused {
		t.Errorf("our own: %v", err)
	}
	if err := os.Chown(name, 65534, 65534); err != nil {
		t.Skip(err)
	}
	if err := explainOpen(name, refused); !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "fs.protected_regular") {
		t.Errorf("of others: %v", err)
	}
}

// TestWireshark: tshark reads in the blocks what they are meant to say.
func TestWireshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Log("tshark is not installed")
		return
	}
	dir := t.TempDir()
	w := ringWriter(t, dir, WriterOptions{Ring: Ring{Size: 1 << 20}, Filter: "arp"})
	received, sent, plain := packetOf(61, 7), packetOf(60, 7), packetOf(60, 3)
	received.Direction, received.Verdict, received.Dropped = wire.In, wire.Drop, 17
	sent.Direction = wire.Out
	if n, err := w.Write([]reader.Packet{received, sent, plain}, nil); n != 3 || err != nil {
		t.Fatalf("write = %d, %v", n, err)
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	args := []string{"-n", "-r", filepath.Join(dir, "out"), "-T", "fields", "-E", "separator=,"}
	for _, field := range []string{"interface_name", "packet_id", "drop_count", "packet_flags_direction", "verdict.ebpf_xdp"} {
		args = append(args, "-e", "frame."+field)
	}
	output, err := exec.Command("tshark", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := "eth0,0,17,0x00000001,1\neth0,1,,0x00000002,\nwlan0,2,,,\n"; string(output) != want {
		t.Errorf("tshark says\n%swant\n%s", output, want)
	}
}
