package metrics

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/version"
)

// An Info is what a run is, for people who compare several.
type Info struct {
	Mode      string // of the XDP slot, or of several interfaces all that there are
	Place     string
	Transport string
	Filter    string // "" is none
	Sampling  string
}

// maxFilter is how much of a filter is a label, in bytes: one may list thousands of hosts.
const maxFilter = 200

func appendRunInfo(b []byte, i Info) []byte {
	const name = "xdplog_run_info"
	if len(i.Filter) > maxFilter {
		i.Filter = strings.ToValidUTF8(i.Filter[:maxFilter], "") + "..."
	}
	b = appendFamily(b, name, "gauge", "Always 1; the labels say what the run is.")
	return appendSample(b, name, 1, "mode", i.Mode, "place", i.Place, "transport", i.Transport, "filter", i.Filter, "sampling", i.Sampling)
}

// appendProgram appends how long the program ran, if the kernel measures it:
// with sysctl kernel.bpf_stats_enabled=1. It costs each run some time, so it is
// not for xdplog to switch on.
func (m *Meter) appendProgram(b []byte) ([]byte, error) {
	if m.options.Program == nil {
		return b, nil
	}
	stats, err := m.options.Program.Stats()
	if errors.Is(err, ebpf.ErrNotSupported) {
		return b, nil
	}
	if err != nil {
		return b, fmt.Errorf("ask for the program's run time: %w", err)
	}
	return appendRunTime(b, stats.RunCount, stats.Runtime), nil
}

func appendRunTime(b []byte, runs uint64, took time.Duration) []byte {
	if runs == 0 {
		return b // not measured
	}
	b = appendFamily(b, "xdplog_program_runs_total", "counter", "Runs of the program while the kernel measured them.")
	b = appendSample(b, "xdplog_program_runs_total", runs)
	b = appendFamily(b, "xdplog_program_run_seconds_total", "counter", "Time that these runs took, on all CPUs.")
	b = appendFloat(b, "xdplog_program_run_seconds_total", took.Seconds())
	b = appendFamily(b, "xdplog_program_run_average_seconds", "gauge", "Average time of these runs.")
	return appendFloat(b, "xdplog_program_run_average_seconds", took.Seconds()/float64(runs))
}

func appendBuildInfo(b []byte) []byte {
	const name = "xdplog_build_info"
	own := version.Own()
	b = appendFamily(b, name, "gauge", "Always 1; the labels say what was built.")
	return appendSample(b, name, 1, "version", own.Number, "revision", own.Revision, "goversion", runtime.Version())
}
