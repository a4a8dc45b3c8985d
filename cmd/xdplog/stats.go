package main

import (
	"io"
	"strconv"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
)

// A stats prints the counters of a run every so often, in all and per second.
type stats struct {
	to     io.Writer
	format format
	live   bool // one line on a terminal, which changes in place
	shown  bool // that line is there

	before wire.Counters
	at     time.Time // of before
}

// newStats begins at a time with counters of zero. A line in place is for a
// terminal that shows nothing else meanwhile, and for lines that people read.
func newStats(f format, env environment, at time.Time) *stats {
	_, silent := f.(none)
	_, machine := f.(*jsonLines)
	return &stats{
		to: env.stderr, format: f, at: at,
		live: !machine && term.IsTerminal(env.stderr) && (silent || !term.IsTerminal(env.stdout)),
	}
}

// Sequences of ECMA-48 and, for wrapping, of the VT100: a line that is too long
// for the terminal is cut off, or its second half would stay.
const (
	clearLine = "\r\x1b[K"
	noWrap    = "\x1b[?7l"
	wrap      = "\x1b[?7h"
)

// print prints the counters as they stand at a time.
func (s *stats) print(c wire.Counters, at time.Time) {
	passed := max(at.Sub(s.at), time.Microsecond).Seconds()
	b := s.format.appendStats(nil, c, s.before, passed, at)
	s.before, s.at = c, at
	if s.live {
		s.shown = true
		b = append([]byte(clearLine+noWrap), b[:len(b)-1]...) // without the line's end
		b = append(b, wrap...)
	}
	s.to.Write(b) // that it can't be printed, nobody can be told
}

// clear takes the line off the terminal, for others.
func (s *stats) clear() {
	if s.shown {
		s.shown = false
		io.WriteString(s.to, clearLine)
	}
}

// counterNames are those of DESIGN's object, and the counters under them.
func counterNames(c wire.Counters) [5]struct {
	name  string
	value uint64
} {
	return [...]struct {
		name  string
		value uint64
	}{
		{"seen", c.Seen}, {"matched", c.Matched()}, {"sampled_out", c.SampledOut},
		{"captured", c.Captured}, {"lost", c.Lost},
	}
}

// appendRate appends how many a second there were since before.
func appendRate(b []byte, now, before uint64, seconds float64, decimals int) []byte {
	return strconv.AppendFloat(b, float64(now-min(before, now))/seconds, 'f', decimals, 64)
}

// appendStats appends one line:
//
//	seen 1000 (100/s) matched 800 (80/s) captured 790 (79/s) lost 10 (1/s)
func (closingLines) appendStats(b []byte, c, before wire.Counters, seconds float64, _ time.Time) []byte {
	was := counterNames(before)
	for i, counter := range counterNames(c) {
		name := counter.name
		if name == "sampled_out" {
			if counter.value == 0 {
				continue // as nearly always: nobody samples
			}
			name = "sampled out"
		}
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, name...)
		b = append(b, ' ')
		b = strconv.AppendUint(b, counter.value, 10)
		b = append(b, " ("...)
		b = appendRate(b, counter.value, was[i].value, seconds, 0)
		b = append(b, "/s)"...)
	}
	return append(b, '\n')
}

// appendStats appends the object of appendCounters, and one more in it:
//
//	"rates":{"seen":100.0,"matched":80.0,"sampled_out":0.0,"captured":79.0,"lost":1.0}
func (f *jsonLines) appendStats(b []byte, c, before wire.Counters, seconds float64, at time.Time) []byte {
	b = f.appendCounters(b, c, at)
	b = append(b[:len(b)-len("}\n")], `,"rates":`...)
	was := counterNames(before)
	for i, counter := range counterNames(c) {
		b = append(b, "{,"[min(i, 1)])
		b = appendQuoted(b, counter.name)
		b = append(b, ':')
		b = appendRate(b, counter.value, was[i].value, seconds, 1)
	}
	return append(b, "}}\n"...)
}
