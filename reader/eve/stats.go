package eve

import (
	"strconv"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/internal/words"
)

// A Stat is one of the counters under its name in an object.
type Stat struct {
	Name  string
	Value uint64 // packets, or bytes
}

// Stats are the counters in the order in which they are written: seen, matched,
// sampled_out, captured, lost. They allocate nothing.
func Stats(c wire.Counters) [5]Stat {
	return [...]Stat{
		{"seen", c.Seen}, {"matched", c.Matched()}, {"sampled_out", c.SampledOut},
		{"captured", c.Captured}, {"lost", c.Lost},
	}
}

// ByteStats are the counters in bytes of whole frames, which stand behind those in packets.
func ByteStats(c wire.Counters) [3]Stat {
	return [...]Stat{{"matched_bytes", c.MatchedBytes()}, {"captured_bytes", c.CapturedBytes}, {"lost_bytes", c.LostBytes}}
}

// AppendCounters is [Encoder.AppendCounters] of the zero encoder.
func AppendCounters(b []byte, c wire.Counters, at time.Time) []byte {
	return new(Encoder).AppendCounters(b, c, at)
}

// AppendStats is [Encoder.AppendStats] of the zero encoder.
func AppendStats(b []byte, c, before wire.Counters, seconds float64, at time.Time) []byte {
	return new(Encoder).AppendStats(b, c, before, seconds, at)
}

// AppendCounters appends the line of counters as they stood at a time. It may be called
// while another goroutine appends events.
//
//	{"timestamp":"2026-11-23T08:57:42.000112233Z","event_type":"stats","stats":{"seen":1000,"matched":800,"sampled_out":0,"captured":790,"lost":10,
//	 "matched_bytes":51200,"captured_bytes":50560,"lost_bytes":640}}
func (e *Encoder) AppendCounters(b []byte, c wire.Counters, at time.Time) []byte {
	clock := utc()
	b = e.appendStart(b, &clock, at, "stats")
	b = append(b, `,"stats":`...)
	for i, stat := range Stats(c) {
		b = appendName(b, i, stat.Name)
		b = strconv.AppendUint(b, stat.Value, 10)
	}
	for _, stat := range ByteStats(c) {
		b = appendName(b, 1, stat.Name)
		b = strconv.AppendUint(b, stat.Value, 10)
	}
	return append(b, "}}\n"...)
}

// AppendStats appends the line of AppendCounters with one more object in it, of
// how many there were a second since they were before, in packets. As AppendCounters.
//
//	"rates":{"seen":100.0,"matched":80.0,"sampled_out":0.0,"captured":79.0,"lost":1.0}
func (e *Encoder) AppendStats(b []byte, c, before wire.Counters, seconds float64, at time.Time) []byte {
	b = e.AppendCounters(b, c, at)
	b = append(b[:len(b)-len("}\n")], `,"rates":`...)
	was := Stats(before)
	for i, stat := range Stats(c) {
		b = appendName(b, i, stat.Name)
		b = words.AppendRate(b, stat.Value, was[i].Value, seconds, 1)
	}
	return append(b, "}}\n"...)
}

// AppendMessage appends the line of a message for people, with its level in the words
// of syslog, as "Notice" and "Error". As AppendCounters.
//
//	{"timestamp":"2026-11-23T08:57:41.000112233Z","event_type":"engine","log_level":"Notice","engine":{"message":"listening on eth0 …"}}
func (e *Encoder) AppendMessage(b []byte, level, message string, at time.Time) []byte {
	clock := utc()
	b = e.appendStart(b, &clock, at, "engine")
	b = words.AppendQuoted(append(b, `,"log_level":`...), level)
	b = words.AppendQuoted(append(b, `,"engine":{"message":`...), message)
	return append(b, "}}\n"...)
}

// appendName begins the i-th field of an object.
func appendName(b []byte, i int, name string) []byte {
	b = append(b, "{,"[min(i, 1)], '"')
	b = append(b, name...)
	return append(b, `":`...)
}
