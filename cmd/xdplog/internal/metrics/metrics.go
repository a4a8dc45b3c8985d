// Package metrics counts the events of a run, and answers over HTTP with them in
// Prometheus' text format.
//
// A scraper asks seldom and events come by the million, so what counts them is
// two atomic additions for each run of events that are alike ([Meter]); and a
// client is a stranger who may ask for ever and read nothing, so an [Endpoint]
// bounds how many there are, how much they send and how long they take. No
// client can hold up the capture, nor outlive it.
//
// It imports names and version beside it, words, and the library's reader and asm/wire.
package metrics

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/internal/words"
	"github.com/xdplog/xdplog/reader"
)

// A Source is where events come from: a [reader.Reader].
type Source interface {
	ReadPackets([]reader.Packet) (int, error)
	Counters() (wire.Counters, error)
	Finish()
	SetDeadline(time.Time)
}

// Options say what there is to be told of a run beside its events. The zero value is
// nothing.
type Options struct {
	Program    *ebpf.Program     // whose run time is wanted
	Interfaces []names.Interface // that events are from
	Streams    []Stream          // all of the source's programs; none: it has one
	Info       Info
	Buffer     int           // bytes of all CPUs' buffers
	Sources    int           // how many are told apart by name; 0: none are
	Unwritten  func() uint64 // events that were read, and could not be written
	Flows      func() Flows  // nil: conversations are not told apart

	HardwareTimes func() uint64 // events with the time of a device's clock; nil: none was asked for
}

// A Stream is what one program sees: of an interface, in a direction.
type Stream struct {
	Interface string
	Direction string // "in", "out"; "" where there is one
	Counters  func() (wire.Counters, error)
}

// A Meter is a source that counts what goes through it, for the
// metrics. It costs the reader little: no lookup by name, no lock, and two
// atomic additions for each run of events that are alike; what sources cost more is
// at [sources].
type Meter struct {
	Source
	options    Options
	interfaces names.Interfaces
	delivered  atomic.Uint64
	events     []protocolCounts // by position in interfaces; one more for others
	verdicts   []verdictCounts  // the same of the program beside ours
	sources    *sources         // nil: they are not told apart
	begun      time.Time        // as the process did, but for some milliseconds
}

// verdictCounts are numbers of events by verdict.
type verdictCounts [wire.Redirect + 1]atomic.Uint64

// protocolCounts are events by IP protocol, and those without IP.
type protocolCounts [256 + 1]struct{ packets, bytes atomic.Uint64 }

const nonIP = 256

// NewMeter returns the meter of a source.
func NewMeter(source Source, o Options) *Meter {
	m := &Meter{
		Source:     source,
		options:    o,
		interfaces: o.Interfaces,
		events:     make([]protocolCounts, len(o.Interfaces)+1),
		verdicts:   make([]verdictCounts, len(o.Interfaces)+1),
		begun:      time.Now(),
	}
	if o.Sources > 0 {
		m.sources = newSources(o.Sources)
	}
	return m
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
		from, bytes := i, uint64(first.Length)
		for i++; i < len(packets) && alike(first, &packets[i].Event); i++ {
			bytes += uint64(packets[i].Length)
		}
		protocol := nonIP
		if first.IPVersion != 0 {
			protocol = int(first.Protocol)
		}
		at, n := m.position(first.Interface), uint64(i-from)
		m.events[at][protocol].packets.Add(n)
		m.events[at][protocol].bytes.Add(bytes)
		if first.Verdict != wire.NoVerdict {
			m.verdicts[at][first.Verdict].Add(n)
		}
	}
	if m.sources != nil {
		m.sources.count(packets)
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
	b, c, err := m.appendCounters(b)
	if err != nil {
		return b, err
	}
	b = m.appendEvents(b)
	b = m.appendVerdicts(b)
	b = m.appendFlows(b)
	if m.sources != nil {
		b = m.sources.append(b)
	}
	b = appendFamily(b, "xdplog_buffer_waiting_events", "gauge", "Events in the buffers, captured and not yet read.")
	b = appendSample(b, "xdplog_buffer_waiting_events", c.Captured-min(delivered, c.Captured))
	b = appendFamily(b, "xdplog_buffer_capacity_bytes", "gauge", "Size of the buffers of all CPUs.")
	b = appendSample(b, "xdplog_buffer_capacity_bytes", uint64(m.options.Buffer))
	if m.options.Unwritten != nil {
		b = appendFamily(b, "xdplog_events_unwritten_total", "counter", "Events, or flows, that could not be written.")
		b = appendSample(b, "xdplog_events_unwritten_total", m.options.Unwritten())
	}
	if m.options.HardwareTimes != nil {
		b = appendFamily(b, "xdplog_hardware_times_total", "counter", "Events that were read with the time of a device's clock; the others have the kernel's.")
		b = appendSample(b, "xdplog_hardware_times_total", m.options.HardwareTimes())
	}
	if b, err = m.appendProgram(b); err != nil {
		return b, err
	}
	b = appendBuildInfo(b)
	b = appendRunInfo(b, m.options.Info)
	return appendProcess(b, m.begun), nil
}

// appendEvents appends the events by interface and protocol, where there are any, in
// packets and in bytes.
func (m *Meter) appendEvents(b []byte) []byte {
	for _, family := range []struct {
		name, help string
		of         func(at, protocol int) uint64
	}{
		{"xdplog_events_total", "Events that were read, by interface and IP protocol.",
			func(at, protocol int) uint64 { return m.events[at][protocol].packets.Load() }},
		{"xdplog_event_bytes_total", "Bytes of whole frames in these events.",
			func(at, protocol int) uint64 { return m.events[at][protocol].bytes.Load() }},
	} {
		b = appendFamily(b, family.name, "counter", family.help)
		for at := range m.events {
			for protocol := range m.events[at] {
				if m.events[at][protocol].packets.Load() == 0 {
					continue
				}
				label := "none"
				if protocol != nonIP {
					label = strings.ToLower(words.Protocol(uint8(protocol)))
				}
				b = appendSample(b, family.name, family.of(at, protocol), "interface", m.nameAt(at), "protocol", label)
			}
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
