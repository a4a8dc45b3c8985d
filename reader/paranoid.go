package reader

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// paranoia is how much the system's settings forbid of perf_event_open(2), or
// 0 where that can't be told.
func paranoia() int {
	text, _ := os.ReadFile("/proc/sys/kernel/perf_event_paranoid")
	level, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return level
}

// explainRefusal says why perf_event_open(2) was refused at a level. Linux has
// them up to 2, and CAP_PERFMON is above them all. Distributions add higher
// ones, Debian's default among them, at which it takes CAP_SYS_ADMIN.
func explainRefusal(refusal error, level int) error {
	const highest = 2
	if !errors.Is(refusal, unix.EACCES) || level <= highest {
		return fmt.Errorf("%w: %w", refusal, errNoPerf)
	}
	return fmt.Errorf("%w: kernel.perf_event_paranoid is %d, where it takes CAP_SYS_ADMIN: "+
		"run as root, lower it with sysctl kernel.perf_event_paranoid=%d, or take transport ringbuf, which does without", refusal, level, highest)
}
