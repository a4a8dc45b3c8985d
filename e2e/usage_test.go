package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What a process uses.

// peakMemory is the most memory that the process has had resident, in MB.
func (p *process) peakMemory(t testing.TB) float64 {
	t.Helper()
	return p.memory(t, "VmHWM")
}

// memory is one of the sizes in the process's status, in MB.
func (p *process) memory(t testing.TB, name string) float64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "\n"+name+":")
	var kB float64
	if _, err := fmt.Sscan(rest, &kB); err != nil {
		t.Fatalf("no %s in the process's status: %v", name, err)
	}
	return kB * 1024 / 1e6
}

// cpuTime is what all of the process's threads have used.
func (p *process) cpuTime(t testing.TB) time.Duration {
	t.Helper()
	ran, _ := p.scheduled(t)
	return ran
}

// scheduled is how long the process's threads have run, and how long they could
// have, had there been a CPU for them: sched-stats of the kernel's documentation.
func (p *process) scheduled(t testing.TB) (ran, waited time.Duration) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		var run, wait int64 // ns
		if _, err := fmt.Sscan(string(text), &run, &wait); err != nil {
			t.Fatalf("read %s: %v", file, err)
		}
		ran += time.Duration(run)
		waited += time.Duration(wait)
	}
	return ran, waited
}
