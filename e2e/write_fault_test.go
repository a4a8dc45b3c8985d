package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWriteFullDisk ends with an error that names the file, and says to the packet how
// many are in none; what there is holds whole packets up to there.
func TestWriteFullDisk(t *testing.T) {
	for _, many := range [][]string{nil, {"-C", "16KiB"}} {
		lab := newLab(t)
		dir := t.TempDir()
		small := newThread(t, steps(join(lab.right), privateMounts, func() error {
			return unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k")
		}))
		name := filepath.Join(dir, "out")
		capture := start(t, small, append([]string{"-i", right(0), "-w", name}, many...)...).listens(t)
		lab.burst(t, 5000, marker())
		end := capture.wait(t)
		lab.wantNoProgram(t)
		line := regexp.MustCompile(`xdplog: write ` + name + `\d*: no space left on device: (\d+) captured events not written\n`).FindStringSubmatch(end.stderr)
		if end.status != 1 || line == nil {
			t.Fatalf("status %d, stderr\n%s", end.status, end.stderr)
		}
		missing, err := strconv.Atoi(line[1])
		if err != nil {
			t.Fatal(err)
		}
		written := 0
		var files []string
		if err := small.do(func() error { files = filesIn(t, dir); return nil }); err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			var file []byte
			if err := small.do(func() (err error) { file, err = os.ReadFile(name); return err }); err != nil {
				t.Fatal(err)
			}
			r := readRecording(t, file)
			if r.cut {
				t.Errorf("%s is cut", name)
			}
			written += len(r.packets)
		}
		if !strings.Contains(end.stderr, fmt.Sprintf("\n%d packets captured\n", written+missing)) || written < 500 {
			t.Errorf("%d packets are in files, and %d are not; stderr\n%s", written, missing, end.stderr)
		}
	}
}

// TestWriteProtected: what fs.protected_regular keeps from root is named.
func TestWriteProtected(t *testing.T) {
	setting, err := os.ReadFile("/proc/sys/fs/protected_regular")
	if err != nil || strings.TrimSpace(string(setting)) == "0" {
		t.Log("fs.protected_regular is off here")
		return
	}
	lab := newLab(t)
	dir := t.TempDir()
	name := filepath.Join(dir, "theirs")
	if err := os.WriteFile(name, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(name, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	complain(t, lab.right, 1, []string{name, "permission denied", "another user's", "fs.protected_regular"}, "-i", right(0), "-w", name)
}

// TestWriteRefused: what can't be written to leaves nothing attached.
func TestWriteRefused(t *testing.T) {
	lab := newLab(t)
	for _, name := range []string{t.TempDir(), "/nosuch/out.pcapng", "/dev/full"} {
		complain(t, lab.right, 1, []string{name}, "-i", right(0), "-w", name)
		lab.wantNoProgram(t)
	}
	complain(t, lab.right, 1, []string{"/dev/null", "no regular file"}, "-i", right(0), "-w", "/dev/null", "-C", "1")
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
