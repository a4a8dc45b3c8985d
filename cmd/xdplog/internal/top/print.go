package top

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
	"github.com/xdplog/xdplog/reader/eve"
	"github.com/xdplog/xdplog/reader/tally"
)

// lines is how many rows a table has that is printed; 0: all.
func (o *Options) lines() int {
	if o.Lines == 0 && !o.JSON {
		return DefaultLines
	}
	return o.Lines
}

// append appends a table as it is printed.
func (o *Options) append(b []byte, t table) []byte {
	if !o.JSON {
		return appendText(b, &t)
	}
	top := eve.Top{By: t.by, Other: t.other, Duration: t.duration, Final: t.final, Rows: make([]tally.Row, len(t.entries))}
	for i := range t.entries {
		top.Rows[i] = t.entries[i].Row
	}
	return eve.AppendTop(b, &top, t.at)
}

// print prints a table every interval, and that of the whole run at the end.
func (o *Options) print(ctx context.Context, env run.Environment) error {
	if o.Once {
		o.Run.Duration = o.Interval
	}
	c, count, err := o.start(env)
	if err != nil {
		return err
	}
	defer c.Close()
	c.Renounce()
	c.Greet()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &printer{
		options: o, history: newHistory(count, o.Rows, time.Now()), to: &steady{to: env.Stdout},
		over: make(chan struct{}), done: make(chan struct{}), failed: cancel,
	}
	go p.run()
	ended := c.Run(ctx)
	close(p.over)
	return run.OneOf(ended, term.OrClosed(p.wait()))
}

// A printer prints tables on a goroutine of its own: whoever reads them may take his
// time, and holds up nobody.
type printer struct {
	options *Options
	history *history
	to      *steady
	over    chan struct{} // closed when nothing more will be counted
	done    chan struct{} // closed when everything is printed
	failed  func()        // ends the run

	// For others once done is closed.
	err      error
	panicked string
}

func (p *printer) run() {
	defer close(p.done)
	defer p.failed()
	defer func() {
		if r := recover(); r != nil { // the owner panics, after it has cleaned up
			p.panicked = fmt.Sprintf("%v\n\n%s", r, debug.Stack())
		}
	}()
	p.err = p.print()
}

func (p *printer) print() error {
	ticker := time.NewTicker(p.options.Interval)
	defer ticker.Stop()
	for printed := false; ; {
		select {
		case <-p.over:
			if err := p.history.read(time.Now()); err != nil {
				return err
			}
			if printed && p.history.total.Packets > 0 { // what came since the last one
				if err := p.table(p.history.interval(p.options, p.options.lines())); err != nil {
					return err
				}
			}
			return p.table(p.history.all(p.options, p.options.lines()))
		case <-ticker.C:
			if p.options.Once {
				continue
			}
			if err := p.history.read(time.Now()); err != nil {
				return err
			}
			if err := p.table(p.history.interval(p.options, p.options.lines())); err != nil {
				return err
			}
			printed = true
		}
	}
}

func (p *printer) table(t table) error {
	_, err := p.to.Write(p.options.append(nil, t))
	return err
}

// wait waits until everything is printed, or a write gets on no more. To read the counts
// may take longer than there is patience for, on a slow machine.
func (p *printer) wait() error {
	look := time.NewTicker(term.Patience)
	defer look.Stop()
	steps := p.to.steps.Load()
	for {
		select {
		case <-p.done:
			if p.panicked != "" {
				panic(p.panicked)
			}
			return p.err
		case <-look.C:
			now := p.to.steps.Load()
			if now == steps && now%2 == 1 {
				return fmt.Errorf("print the table: %w", term.ErrStuck)
			}
			steps = now
		}
	}
}

// A steady writer writes in pieces, so that one can see how it gets on.
type steady struct {
	to    io.Writer
	steps atomic.Int64 // begins and ends of writes: odd while one lasts
}

func (s *steady) Write(b []byte) (n int, err error) {
	const piece = 16 << 10
	for n < len(b) && err == nil {
		var wrote int
		s.steps.Add(1)
		wrote, err = s.to.Write(b[n:min(n+piece, len(b))])
		s.steps.Add(1)
		n += wrote
	}
	return n, err
}
