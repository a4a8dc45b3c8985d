package metrics

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// appendProcess appends what Prometheus' own libraries say of a process, by the same names,
// which began at a time. What is read from /proc is left out where there is none.
func appendProcess(b []byte, begun time.Time) []byte {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err == nil {
		b = appendFamily(b, "process_cpu_seconds_total", "counter", "CPU time that the process has used.")
		b = appendFloat(b, "process_cpu_seconds_total", seconds(used.Utime)+seconds(used.Stime))
	}
	b = appendFamily(b, "process_start_time_seconds", "gauge", "When the process began, since the Unix epoch.")
	b = appendFloat(b, "process_start_time_seconds", float64(begun.UnixMilli())/1e3)
	if virtual, resident, err := memory(); err == nil {
		b = appendFamily(b, "process_virtual_memory_bytes", "gauge", "Address space of the process.")
		b = appendSample(b, "process_virtual_memory_bytes", virtual)
		b = appendFamily(b, "process_resident_memory_bytes", "gauge", "Memory of the process.")
		b = appendSample(b, "process_resident_memory_bytes", resident)
	}
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		b = appendFamily(b, "process_open_fds", "gauge", "Open file descriptors.")
		b = appendSample(b, "process_open_fds", uint64(len(open))-1) // without the one that reads them
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil {
		b = appendFamily(b, "process_max_fds", "gauge", "Most file descriptors that may be open.")
		b = appendSample(b, "process_max_fds", limit.Cur)
	}
	return b
}

func seconds(t unix.Timeval) float64 { return float64(t.Nano()) / 1e9 }

// memory is what proc_pid_statm(5) says.
func memory() (virtual, resident uint64, err error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, 0, err
	}
	if _, err := fmt.Sscan(string(text), &virtual, &resident); err != nil {
		return 0, 0, err
	}
	page := uint64(os.Getpagesize())
	return virtual * page, resident * page, nil
}
