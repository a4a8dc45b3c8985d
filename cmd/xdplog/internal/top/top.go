// Package top is who sends most, as a table: "xdplog top".
//
// A run gives what matches, a counter keeps sums of it by a key, and every so often
// they are read and shown: drawn on a terminal, or printed as lines or objects where
// there is none. What always holds: the rows that are shown and other are together
// the total that is shown, in packets and in bytes; a run's last table is that of all
// that it counted; and a terminal is in the end as it was, whatever happens.
//
// Where counts come from is a [tally.Feed], so that it may be a table in the kernel as
// well as events.
//
// It imports run, term and names beside it, words, and the library's reader, reader/eve,
// reader/tally and asm.
package top

import (
	"context"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
	"github.com/xdplog/xdplog/reader/tally"
)

// A Sort is what rows are sorted by.
type Sort uint8

const (
	ByRate    Sort = iota // packets in the last interval
	ByPackets             // in all
	ByBytes

	sorts
)

var sortNames = [sorts]string{"rate", "packets", "bytes"}

func (s Sort) String() string { return sortNames[s] }

func (s Sort) order() tally.Order {
	if s == ByBytes {
		return tally.MostBytes
	}
	return tally.MostPackets
}

// DefaultLines is how many rows a table has where there is no terminal.
const DefaultLines = 10

// Options say what is counted, and how it is shown.
type Options struct {
	Run    run.Options // what is counted, by a program that reports what Filter says
	Filter string

	// Compile makes the program that another filter or key takes. An error is told
	// in a line, and what runs goes on.
	Compile func(filter string, by tally.By) (asm.Config, error)

	By       tally.By
	Bys      []tally.By    // that may be chosen by key
	Sort     Sort          // what comes first
	Interval time.Duration // between tables
	Lines    int           // rows of a table; 0: those that fit, or [DefaultLines]; of JSON all
	Rows     int           // keys that have a row of their own; 0: [tally.DefaultRows]
	Once     bool          // one table, after one interval
	JSON     bool
	Color    bool // on a terminal
}

// Run counts and shows until ctx is done, a signal comes, or a file ends.
func Run(ctx context.Context, o Options, env run.Environment) error {
	switch {
	case len(o.Run.Files) > 0:
		return o.file(ctx, env)
	case o.Once || o.JSON || !drawable(env):
		return o.print(ctx, env)
	default:
		return o.watch(ctx, env)
	}
}

// drawable reports whether stdout is a terminal on which lines can be put in place.
func drawable(env run.Environment) bool {
	name := os.Getenv("TERM")
	return term.IsTerminal(env.Stdout) && name != "" && name != "dumb"
}

// file counts the packets of a capture file.
func (o *Options) file(ctx context.Context, env run.Environment) error {
	count := newCounter(o.By, o.Rows)
	o.Run.Packets = count.add
	failed := run.File(ctx, o.Run, env)
	first, last := count.span()
	if last.IsZero() {
		first = time.Now()
		last = first
	}
	h := newHistory(count, o.Rows, first)
	if err := h.read(last); err != nil {
		return err
	}
	if failed != nil && h.whole.Total() == (tally.Sum{}) { // an empty table would say that nobody has sent
		return failed
	}
	_, err := env.Stdout.Write(o.append(nil, h.all(o, o.lines())))
	return run.OneOf(failed, term.OrClosed(err))
}

// start opens what is counted, by the key and filter of the options: by the program
// itself, or where the kernel or the machine has no such tables, by its events.
func (o *Options) start(env run.Environment) (*run.Capture, tally.Feed, error) {
	var why error
	if o.Run.Program.Sample.N <= 1 { // of a sample only what is reported counts
		for _, clock := range []asm.Clock{asm.CoarseClock, asm.PreciseClock} {
			c, err := o.startTable(clock, env)
			if err == nil {
				feed := &kernelTable{by: o.By, table: c.Table()}
				feed.now.Rows = math.MaxInt // there is a bound in the kernel
				return c, feed, nil
			}
			why = err
		}
	}
	count := newCounter(o.By, o.Rows)
	o.Run.Packets = count.add
	c, err := run.Open(o.Run, env)
	if err != nil {
		return nil, nil, err
	}
	if why != nil && !o.Run.Quiet {
		fmt.Fprintf(env.Stderr, "counts events, of which some may get lost: %v\n", why)
	}
	return c, count, nil
}

// startTable opens a program that counts.
func (o *Options) startTable(clock asm.Clock, env run.Environment) (*run.Capture, error) {
	rows := o.Rows
	if rows > 0 {
		rows = max(rows, asm.MinRows)
	}
	count, err := run.Counting(wire.CountBy(o.By), rows)
	if err != nil {
		return nil, err
	}
	counting := o.Run
	counting.Packets = nil
	counting.Program.Count, counting.Program.Clock, counting.Program.SnapLen = count, clock, 0
	return run.Open(counting, env)
}
