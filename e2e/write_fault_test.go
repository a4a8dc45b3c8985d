package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWriteFullDisk ends with an error that names the file, which holds whole
// packets up to there.
func TestWriteFullDisk(t *testing.T) {
	lab := newLab(t)
	dir := t.TempDir()
	small := newThread(t, steps(join(lab.right), privateMounts, func() error {
		return unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k")
	}))
	name := filepath.Join(dir, "out.pcapng")
	capture := start(t, small, "-i", right(0), "-w", name).listens(t)
	lab.burst(t, 5000, marker())
	end := capture.wait(t)
	lab.wantNoProgram(t)
	if end.status != 1 || !strings.Contains(end.stderr, "xdplog: write "+name+": no space left on device: ") {
		t.Errorf("status %d, stderr\n%s", end.status, end.stderr)
	}
	var file []byte
	if err := small.do(func() (err error) { file, err = os.ReadFile(name); return err }); err != nil {
		t.Fatal(err)
	}
	if r := readRecording(t, file); r.cut || len(file) < 60<<10 || len(r.packets) < 500 {
		t.Errorf("%d bytes with %d packets, cut: %v", len(file), len(r.packets), r.cut)
	}
}

// TestWriteRefused: what can't be written to leaves nothing attached.
func TestWriteRefused(t *testing.T) {
	lab := newLab(t)
	for _, name := range []string{t.TempDir(), "/nosuch/out.pcapng", "/dev/full"} {
		complain(t, lab.right, 1, []string{name}, "-i", right(0), "-w", name)
		lab.wantNoProgram(t)
	}
	complain(t, lab.right, 2, []string{"-w -", "json"}, "-i", right(0), "-w", "-", "-o", "json")
	complain(t, lab.right, 2, []string{"-w FILE"}, "-i", right(0), "-s", "100")
}

// TestWriteKept: a start that fails overwrites no file, and leaves none.
func TestWriteKept(t *testing.T) {
	lab := newLab(t)
	dir := t.TempDir()
	before, fresh := filepath.Join(dir, "before.pcapng"), filepath.Join(dir, "fresh.pcapng")
	const kept = "yesterday's packets"
	if err := os.WriteFile(before, []byte(kept), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{before, fresh} {
		complain(t, lab.right, 1, []string{"nosuch0"}, "-i", "nosuch0", "-w", name)
	}
	if text, err := os.ReadFile(before); err != nil || string(text) != kept {
		t.Errorf("the file holds %q, %v; want %q", text, err, kept)
	}
	if _, err := os.Stat(fresh); !os.IsNotExist(err) {
		t.Errorf("the start that failed left a file: %v", err)
	}

	capture := start(t, lab.right, "-i", right(0), "-w", before).listens(t)
	lab.udp(t, 0, false, 53, 1, 18)
	capture.stop(t)
	if file := readRecordingFile(t, before); len(file.packets) != 1 {
		t.Errorf("%d packets are in the file that was overwritten, want 1", len(file.packets))
	}
}
