package e2e

import (
	"debug/elf"
	"os"
	"testing"
	"time"
)

// What DESIGN.md and the issue promise.
const (
	maxStart  = 25 * time.Millisecond // from the start of the process to attached
	maxMemory = 20.0                  // MB, peak, on 2 CPUs with default buffers
	maxBinary = 10.0                  // MB, stripped
)

// TestFootprint holds xdplog to its promises. Time is the best of several
// starts, and may be twice what is promised: BenchmarkStart is what gives the
// figure. A start tells nothing in which other processes kept it from the CPUs
// for half of the time. With -short, for emulated machines, neither is looked at.
func TestFootprint(t *testing.T) {
	lab := newLab(t)
	best := time.Hour
	for i := 0; i < 5 || i < 30 && best > maxStart; i++ {
		begin := time.Now()
		capture := lab.xdplog(t)
		took := time.Since(begin)
		if _, waited := capture.scheduled(t); waited < took/2 {
			best = min(best, took)
		}
		lab.wantProgram(t, "native")
		capture.stop(t)
		lab.wantNoProgram(t)
	}
	busy := best == time.Hour
	t.Logf("start to attached: %v; the machine too busy to tell: %v", best, busy)
	if best > 2*maxStart && !busy && !testing.Short() {
		t.Errorf("start to attached takes %v at best, want %v", best, maxStart)
	}

	capture := lab.xdplog(t)
	lab.burst(t, 100_000, marker())
	lab.udp(t, 0, false, 53, 1, 18)
	memory := capture.peakMemory(t)
	capture.stop(t)
	lab.wantNoProgram(t)
	t.Logf("peak memory: %.1f MB", memory)
	if memory > maxMemory && !testing.Short() { // a guest may have huge pages
		t.Errorf("peak memory is %.1f MB, want at most %.0f", memory, maxMemory)
	}
}

// TestBinary proves that one file is all there is: static and small.
func TestBinary(t *testing.T) {
	path := os.Getenv(binaryEnv)
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the command is linked dynamically: it has a %v", p.Type)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	size := float64(info.Size()) / 1e6
	t.Logf("size: %.2f MB", size)
	if size > maxBinary {
		t.Errorf("the command is %.2f MB, want at most %.0f", size, maxBinary)
	}
}
