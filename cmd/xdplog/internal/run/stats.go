package run

import (
	"io"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/format"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
)

// A stats prints the counters of a run every so often, in all and per second.
type stats struct {
	to     io.Writer
	format format.Format
	live   bool // one line on a terminal, which changes in place
	shown  bool // that line is there

	before wire.Counters
	at     time.Time // of before
}

// newStats begins at a time with counters of zero. A line in place is for a
// terminal that shows nothing else meanwhile, and for lines that people read.
func newStats(kind format.Kind, f format.Format, env Environment, at time.Time) *stats {
	return &stats{
		to: env.Stderr, format: f, at: at,
		live: !kind.Machine && term.IsTerminal(env.Stderr) && (kind.Silent || !term.IsTerminal(env.Stdout)),
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
	b := s.format.AppendStats(nil, c, s.before, passed, at)
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
