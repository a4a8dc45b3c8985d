// Package metrics counts the events of a run, and answers over HTTP with them in
// Prometheus' text format.
//
// A scraper asks seldom and events come by the million, so what counts them is
// one atomic addition for each run of events that are alike ([Meter]); and a
// client is a stranger who may ask for ever and read nothing, so an [Endpoint]
// bounds how many there are, how much they send and how long they take. No
// client can hold up the capture, nor outlive it.
//
// It imports names and version beside it, words, and the library's reader and asm/wire.
package metrics

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/version"
	"github.com/xdplog/xdplog/internal/words"
	"github.com/xdplog/xdplog/reader"
)

// A Source is where events come from: a [reader.Reader].
type Source interface {
	ReadPackets([]reader.Packet) (int, error)
	Counters() (wire.Counters, error)
	Finish()
}

// A Meter is a source that counts what goes through it, for the
// metrics. It costs the reader little: no lookup by name, no lock, and one
// atomic addition for each run of events that are alike.
type Meter struct {
	Source
	program    *ebpf.Program
	interfaces names.Interfaces
	delivered  atomic.Uint64
	events     []protocolCounts // by position in interfaces; one more for others
	verdicts   []verdictCounts  // the same of the program beside ours
}

// verdictCounts are numbers of events by verdict.
type verdictCounts [wire.Redirect + 1]atomic.Uint64

// protocolCounts are numbers of events by IP protocol, and of those without IP.
type protocolCounts [256 + 1]atomic.Uint64

const nonIP = 256

// NewMeter returns the meter of a source whose events are of a program, nil where
// its run time is not wanted, on interfaces.
func NewMeter(source Source, program *ebpf.Program, interfaces []names.Interface) *Meter {
	return &Meter{
		Source:     source,
		program:    program,
		interfaces: interfaces,
		events:     make([]protocolCounts, len(interfaces)+1),
		verdicts:   make([]verdictCounts, len(interfaces)+1),
	}
}

// ReadPackets reads from the source.
func (m *Meter) ReadPackets(packets []reader.Packet) (int, error) {
	n, err := m.Source.ReadPackets(packets)
	m.count(packets[:n])
	return n, err
}

func (m *Meter) count(packets []reader.Packet) {
	for i := 0; i < len(packets); {
		first := &packets[i].Event
		from := i
		for i++; i < len(packets) && alike(first, &packets[i].Event); i++ {
		}
		protocol := nonIP
		if first.IPVersion != 0 {
			protocol = int(first.Protocol)
		}
		at, n := m.position(first.Interface), uint64(i-from)
		m.events[at][protocol].Add(n)
		if first.Verdict != wire.NoVerdict {
			m.verdicts[at][first.Verdict].Add(n)
		}
	}
	m.delivered.Add(uint64(len(packets)))
}

func alike(a, b *reader.Event) bool {
	return a.Protocol == b.Protocol && a.Interface == b.Interface && a.Verdict == b.Verdict && (a.IPVersion != 0) == (b.IPVersion != 0)
}

func (m *Meter) position(index int) int {
	for i := range m.interfaces {
		if m.interfaces[i].Index == index {
			return i
		}
	}
	return len(m.interfaces)
}

// appendMetrics appends all metrics in Prometheus' text format, version 0.0.4.
func (m *Meter) appendMetrics(b []byte) ([]byte, error) {
	// Before the counters: what is delivered was captured before.
	delivered := m.delivered.Load()
	c, err := m.Counters()
	if err != nil {
		return b, err
	}
	b = appendCounterMetrics(b, c)
	b = m.appendEvents(b)
	b = m.appendVerdicts(b)
	b = appendFamily(b, "xdplog_buffer_waiting_events", "gauge", "Events in the buffers, captured and not yet read.")
	b = appendSample(b, "xdplog_buffer_waiting_events", c.Captured-min(delivered, c.Captured))
	if b, err = m.appendProgram(b); err != nil {
		return b, err
	}
	return appendBuildInfo(b), nil
}

func appendCounterMetrics(b []byte, c wire.Counters) []byte {
	for _, counter := range []struct {
		name, help string
		value      uint64
	}{
		{"seen", "Packets that ran the program, on all interfaces.", c.Seen},
		{"matched", "Packets that passed the filter: sampled out, captured or lost.", c.Matched()},
		{"sampled_out", "Packets that passed the filter and were left out by sampling.", c.SampledOut},
		{"captured", "Packets that were handed to the buffer.", c.Captured},
		{"lost", "Packets that were to be captured and found the buffer full.", c.Lost},
	} {
		name := "xdplog_packets_" + counter.name + "_total"
		b = appendFamily(b, name, "counter", counter.help)
		b = appendSample(b, name, counter.value)
	}
	return b
}

// appendEvents appends the events by interface and protocol, where there are any.
func (m *Meter) appendEvents(b []byte) []byte {
	const name = "xdplog_events_total"
	b = appendFamily(b, name, "counter", "Events that were read, by interface and IP protocol.")
	for i := range m.events {
		for protocol := range m.events[i] {
			n := m.events[i][protocol].Load()
			if n == 0 {
				continue
			}
			protocolLabel := "none"
			if protocol != nonIP {
				protocolLabel = strings.ToLower(words.Protocol(uint8(protocol)))
			}
			b = appendSample(b, name, n, "interface", m.nameAt(i), "protocol", protocolLabel)
		}
	}
	return b
}

// appendVerdicts appends the events by interface and verdict, where there are any.
func (m *Meter) appendVerdicts(b []byte) []byte {
	const name = "xdplog_verdicts_total"
	begun := false
	for i := range m.verdicts {
		for verdict := range m.verdicts[i] {
			n := m.verdicts[i][verdict].Load()
			if n == 0 {
				continue
			}
			if !begun {
				b = appendFamily(b, name, "counter", "Events that were read of packets that another XDP program had, by interface and its verdict.")
				begun = true
			}
			b = appendSample(b, name, n, "interface", m.nameAt(i), "verdict", wire.Verdict(verdict).String())
		}
	}
	return b
}

// nameAt is that of the interface at a position.
func (m *Meter) nameAt(i int) string {
	if i < len(m.interfaces) {
		return m.interfaces[i].Name
	}
	return "unknown"
}

// appendProgram appends how long the program ran, if the kernel measures it:
// with sysctl kernel.bpf_stats_enabled=1. It costs each run some time, so it is
// not for xdplog to switch on.
func (m *Meter) appendProgram(b []byte) ([]byte, error) {
	if m.program == nil {
		return b, nil
	}
	stats, err := m.program.Stats()
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

// appendFamily begins a metric.
func appendFamily(b []byte, name, kind, help string) []byte {
	b = append(b, "# HELP "+name+" "+help+"\n"...)
	return append(b, "# TYPE "+name+" "+kind+"\n"...)
}

// appendSample appends a value of a metric; labels are names and values in turn.
func appendSample(b []byte, name string, value uint64, labels ...string) []byte {
	b = append(b, name...)
	for i := 0; i < len(labels); i += 2 {
		b = append(b, "{,"[min(i, 1)])
		b = append(b, labels[i]...)
		b = append(b, `="`...)
		b = append(b, escapeLabel(labels[i+1])...)
		b = append(b, '"')
	}
	if len(labels) > 0 {
		b = append(b, '}')
	}
	b = append(b, ' ')
	b = strconv.AppendUint(b, value, 10)
	return append(b, '\n')
}

func appendFloat(b []byte, name string, value float64) []byte {
	b = append(b, name...)
	b = append(b, ' ')
	b = strconv.AppendFloat(b, value, 'g', -1, 64)
	return append(b, '\n')
}

// escapeLabel makes a label's value of a name: the format is UTF-8, and an
// interface may be called nearly anything.
func escapeLabel(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s)
}
