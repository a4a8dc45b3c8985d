package loader

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm"
)

// onlineFile lists the CPUs that are online: "0-3,8".
const onlineFile = "/sys/devices/system/cpu/online"

// CPUs is what [Load] takes where [asm.Config.CPUs] is 0: for a transport whose
// memory the program writes itself the CPUs that are possible, each of which has a
// part of it; for ringbuf those that are online, as a virtual machine may have room
// for many more; for perf none. The error says that /sys is not mounted, or that there is no such transport.
func CPUs(transport asm.Transport) (int, error) {
	switch transport {
	case asm.Perf:
		return 0, nil
	case asm.Ringbuf:
		if list, err := os.ReadFile(onlineFile); err == nil {
			if n := countCPUs(strings.TrimSpace(string(list))); n > 0 {
				return n, nil
			}
		}
	}
	if _, err := asm.ParseTransport(transport.String()); err != nil {
		return 0, fmt.Errorf("count the CPUs: %w", err)
	}
	return possibleCPUs()
}

// cpusOf is how many CPUs a program of a config is made for.
func cpusOf(cfg asm.Config) (int, error) {
	if cfg.Count != nil {
		return possibleCPUs()
	}
	return CPUs(cfg.Transport)
}

// possibleCPUs is how many there may ever be.
func possibleCPUs() (int, error) {
	possible, err := ebpf.PossibleCPU()
	if err != nil {
		return 0, fmt.Errorf("count the CPUs: %w", explainFile(err))
	}
	return possible, nil
}

// countCPUs is how many a list has, or 0 if it is none.
func countCPUs(list string) (n int) {
	for span := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(span, "-")
		if !isRange {
			last = first
		}
		from, err := strconv.ParseUint(first, 10, 16)
		if err != nil {
			return 0
		}
		to, err := strconv.ParseUint(last, 10, 16)
		if err != nil || to < from {
			return 0
		}
		n += int(to-from) + 1
	}
	return n
}
