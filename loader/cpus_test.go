package loader

import (
	"strings"
	"testing"

	"github.com/xdplog/xdplog/asm"
)

func TestCountCPUs(t *testing.T) {
	for list, want := range map[string]int{"0": 1, "0-1": 2, "0,2": 2, "0-3,8-11,64": 9, "": 0, "x": 0, "3-1": 0, "0-": 0} {
		if got := countCPUs(list); got != want {
			t.Errorf("countCPUs(%q) = %d, want %d", list, got, want)
		}
	}
}

// TestTooFewRings refuses what would let packets pass uncounted.
func TestTooFewRings(t *testing.T) {
	possible, err := CPUs(asm.Mmap)
	must(t, err)
	if possible == 1 {
		t.Skip("needs more than one CPU that is possible")
	}
	if _, err := Load(asm.Config{Transport: asm.Mmap, CPUs: possible - 1}); err == nil || !strings.Contains(err.Error(), "possible CPUs") {
		t.Errorf("Load = %v, want an error that tells of possible CPUs", err)
	}
}
