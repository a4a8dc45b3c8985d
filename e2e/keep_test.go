package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm"
)

// TestKeep: the last packets stay in the kernel, and are written when SIGUSR2 asks for
// them, when one comes that is waited for, and at the end.
func TestKeep(t *testing.T) {
	needTransport(t, asm.Mmap)
	lab := newLab(t)
	name := filepath.Join(t.TempDir(), "kept.pcapng")
	rings := ebpf.MustPossibleCPU() // of 128 KiB each, which has room for 100 of the packets
	capture := start(t, lab.right, "-i", right(0), "-w", name, "--keep", fmt.Sprintf("%dKiB", 128*rings), "--until", "udp port 99").listens(t)
	written := func(want int) {
		t.Helper()
		for deadline := time.Now().Add(timeout); ; time.Sleep(10 * time.Millisecond) {
			n := len(readRecordingFile(t, name).packets)
			if n == want {
				return
			}
			if n > want || time.Now().After(deadline) {
				t.Fatalf("%d packets are in the file, want %d", n, want)
			}
		}
	}
	lab.udp(t, 0, false, 53, 5, 18)
	written(0)
	capture.signal(t, unix.SIGUSR2)
	written(5)

	lab.udp(t, 0, false, 53, 3, 18)
	written(5)
	lab.udp(t, 0, false, 99, 1, 18)
	written(9)

	// Far more than there is room for: the newest are there, up to the last.
	lab.udp(t, 0, false, 53, 600, 1200)
	lab.udp(t, 0, false, 53, 1, 77)
	end := capture.stop(t)
	packets := readRecordingFile(t, name).packets
	if n := len(packets) - 9; n < 90 || n > 110*rings {
		t.Errorf("%d of 601 packets were written", n)
	}
	if last := packets[len(packets)-1]; len(last.data) != 14+20+8+77 {
		t.Errorf("the last packet has %d bytes", len(last.data))
	}
	if end.status != 0 || !strings.Contains(end.stderr, "were written over by later ones") {
		t.Errorf("status %d:\n%s", end.status, end.stderr)
	}
	lab.wantNoProgram(t)
}
