package metrics

import "github.com/xdplog/xdplog/asm/wire"

// counterNames are what the kernel counts, and what is derived of it. Those of an interface
// are called alike.
var counterNames = [...]struct {
	name, help string
	of         func(wire.Counters) uint64
}{
	{"packets_seen", "Packets that ran the program", func(c wire.Counters) uint64 { return c.Seen }},
	{"packets_matched", "Packets that passed the filter: sampled out, captured or lost", wire.Counters.Matched},
	{"packets_sampled_out", "Packets that passed the filter and were left out by sampling", func(c wire.Counters) uint64 { return c.SampledOut }},
	{"packets_captured", "Packets that were handed to the buffer", func(c wire.Counters) uint64 { return c.Captured }},
	{"packets_lost", "Packets that were to be captured and found the buffer full", func(c wire.Counters) uint64 { return c.Lost }},
	{"matched_bytes", "Bytes of packets that passed the filter", wire.Counters.MatchedBytes},
	{"sampled_out_bytes", "Bytes of packets that were left out by sampling", func(c wire.Counters) uint64 { return c.SampledOutBytes }},
	{"captured_bytes", "Bytes of packets that were handed to the buffer", func(c wire.Counters) uint64 { return c.CapturedBytes }},
	{"lost_bytes", "Bytes of packets that found the buffer full", func(c wire.Counters) uint64 { return c.LostBytes }},
}

// appendCounters appends what the kernel has counted, in all and of each stream, and
// returns all of it: each is read once, so that these are the sum of those.
func (m *Meter) appendCounters(b []byte) ([]byte, wire.Counters, error) {
	var all wire.Counters
	var err error
	streams := m.options.Streams
	each := make([]wire.Counters, len(streams))
	for i, s := range streams {
		if each[i], err = s.Counters(); err != nil {
			return b, all, err
		}
		all.Add(each[i])
	}
	if len(streams) == 0 {
		if all, err = m.Counters(); err != nil {
			return b, all, err
		}
	}
	for _, counter := range counterNames {
		name := "xdplog_" + counter.name + "_total"
		b = appendFamily(b, name, "counter", counter.help+", on all interfaces.")
		b = appendSample(b, name, counter.of(all))
	}
	for _, counter := range counterNames {
		if len(streams) == 0 {
			break
		}
		name := "xdplog_interface_" + counter.name + "_total"
		b = appendFamily(b, name, "counter", counter.help+", by interface.")
		for i, s := range streams {
			labels := []string{"interface", s.Interface}
			if s.Direction != "" {
				labels = append(labels, "direction", s.Direction)
			}
			b = appendSample(b, name, counter.of(each[i]), labels...)
		}
	}
	return b, all, nil
}
