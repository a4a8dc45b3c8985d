package reader

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestExplainRefusal(t *testing.T) {
	for _, c := range []struct {
		refusal error
		level   int
		want    string
	}{
		{unix.EACCES, 3, "sysctl kernel.perf_event_paranoid=2"},
		{unix.EACCES, 2, "CAP_PERFMON"},
		{unix.EPERM, 3, "seccomp profile"},
		{unix.ENOSYS, 0, "seccomp profile"},
	} {
		got := explainRefusal(c.refusal, c.level)
		if !errors.Is(got, c.refusal) || !strings.Contains(got.Error(), c.want) {
			t.Errorf("%v at level %d is %q, want %q in it", c.refusal, c.level, got, c.want)
		}
	}
}
