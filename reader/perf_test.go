package reader

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// TestExplainPerf explains only what the kernel says again: the tests of the
// command have it say the rest.
func TestExplainPerf(t *testing.T) {
	setupConfig(t, asm.Config{}, Options{}) // skips where there is no right to perf events
	other := errors.New("too many open files")
	if got := explainPerf(other); got != other {
		t.Errorf("%v became %v", other, got)
	}
	locked := errors.New("can't mmap: " + unix.EPERM.Error())
	if got := explainPerf(locked); !errors.Is(got, errLocked) || !strings.Contains(got.Error(), "ulimit -l") {
		t.Errorf("%v became %v", locked, got)
	}
}

func TestSparse(t *testing.T) {
	for list, want := range map[string]bool{"0": false, "0-1": false, "0-127": false, "1": true, "0,2": true, "0-1,3-5": true, "1-3": true} {
		if got := sparse(list); got != want {
			t.Errorf("sparse(%q) = %v, want %v", list, got, want)
		}
	}
}
