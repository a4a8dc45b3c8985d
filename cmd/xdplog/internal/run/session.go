package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/capfile"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/format"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/notify"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
	"github.com/xdplog/xdplog/loader"
	"github.com/xdplog/xdplog/reader"
)

// eventSource is a [reader.Reader].
type eventSource interface {
	source
	Finish()
}

// An attachment is a [loader.Attachment].
type attachment interface {
	Interface() string
	Place() asm.Place
	Mode() loader.Mode
	Beside() *loader.Program
	Fallback() error
	Returns() error
	Down() bool
	Blind() string
	VirtualFunctions() int
	SwitchedOff() []string
	HidesTags() bool
	AsksTime() bool
	TellsHash() bool
	HardwareClock() (*loader.HardwareClock, error)
	Away() time.Duration
	TookOver() int
	Lost() <-chan error
	Close() error
}

// A session is a run from attached to detached.
type session struct {
	source        eventSource
	mayRead       func() error // whether the thread still has the rights that this takes
	attachments   []attachment
	transport     string        // words about it
	hardwareTimes func() uint64 // how many events bear a device's time; nil: none is to
	hashes        bool          // events bear packets' hashes, where they are told
	release       func()        // writes what is kept; nil: nothing is
	said          <-chan string // lines about what they do of their own accord, and about files
	say           func(string)  // says another one
	kind          format.Kind   // of format
	format        format.Format
	limit         uint64                // events to print; 0: all
	skip          uint64                // events to leave out before
	counting      bool                  // how many there were is printed at the end
	counted       bool                  // by the source, which delivers none
	stats         time.Duration         // between prints of the counters; 0: none
	metrics       string                // where they are; "": nowhere
	quiet         bool                  // no start and end lines
	ordered       bool                  // events come in the order to print
	record        *capfile.Writer       // of packets; nil: none
	headerless    []int                 // indexes of interfaces whose packets have no Ethernet header
	unseen        bool                  // nothing is written to stdout
	take          func([]reader.Packet) // in place of lines; nil: lines
	flows         *folding              // of events; nil: they are printed themselves
	oneSided      bool                  // of each conversation one side is seen
	missed        atomic.Uint64         // events, or flows, that could not be written
	terminal      term.Terminal         // from which the run was started
	Environment
}

// errInterrupted is the end by a second signal.
var errInterrupted = errors.New("interrupted while printing the rest")

// run prints events until something ends the session; then it detaches first,
// and prints what was captured by then.
func (s *session) run(ctx context.Context) error {
	lost, wait := s.watch()
	var output io.Writer = s.Stdout
	if s.unseen {
		output = io.Discard
	}
	outputs := []io.Writer{output}
	if s.record != nil {
		if pipe := s.record.Pipe(); pipe != nil {
			outputs = append(outputs, pipe)
		}
	}
	closed, unwatch := term.WatchClosed(outputs...)
	defer unwatch()
	pump := &pump{source: s.source, format: s.format, to: output, limit: s.limit, skip: s.skip, sorted: s.ordered, record: s.record, take: s.take, flows: s.flows, headerless: s.headerless, lineless: s.kind.Silent, missed: &s.missed, hashes: s.hashes, say: s.say}
	pump.start()

	s.notify(notify.Ready)
	cause := s.wait(ctx, pump, lost, closed)
	s.notify(notify.Stopping)
	detached := s.detach()
	wait()
	s.source.Finish()
	drained := s.drain(pump)
	if drained == nil && pump.panicked != "" {
		panic(pump.panicked)
	}
	if errors.Is(cause, loader.ErrReplaced) && errors.Is(detached, loader.ErrReplaced) {
		detached = nil // told by the cause
	}
	if term.IsClosed(cause) || term.IsClosed(pump.failure()) {
		s.sayUnread(pump) // to whoever was reading: head has seen enough
		return detached
	}
	return OneOf(cause, s.conclude(pump, drained), detached)
}

// OneOf returns the errors that are not nil as one, on one line; nil if all are.
func OneOf(errs ...error) error {
	var all error
	for _, err := range errs {
		switch {
		case err == nil:
		case all == nil:
			all = err
		default:
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return all
}

// watch returns a channel of what the attachments lose, and a function that
// waits for its goroutines, once the attachments are closed or left in place.
func (s *session) watch() (lost <-chan error, wait func()) {
	all := make(chan error, len(s.attachments))
	left := make(chan struct{}) // closed when an attachment that is not closed stays so
	var group sync.WaitGroup
	for _, a := range s.attachments {
		group.Go(func() {
			select {
			case err, ok := <-a.Lost():
				if ok {
					all <- err
				}
			case <-left: // nothing waits for what is lost by then
			}
		})
	}
	return all, func() { close(left); group.Wait() }
}

// wait returns when the session is to end: with the error if an interface is
// lost or nobody reads the output any more, else with nil.
func (s *session) wait(ctx context.Context, p *pump, lost, closed <-chan error) error {
	var tick <-chan time.Time
	stats := newStats(s.kind, s.format, s.Environment, time.Now())
	defer stats.clear()
	if s.stats > 0 {
		ticker := time.NewTicker(s.stats)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case sig := <-s.Signals:
			if !s.reopens(sig) {
				return nil
			}
			p.reopen()
		case <-ctx.Done():
			return nil
		case <-p.enough:
			return nil
		case err := <-lost:
			return err
		case err := <-closed:
			return err
		case line := <-s.said:
			stats.clear()
			if !s.quiet {
				fmt.Fprintln(s.Stderr, line)
			}
		case <-s.Release:
			stats.clear()
			if s.release == nil {
				fmt.Fprintln(s.Stderr, "no packets are kept, which SIGUSR2 would write: that takes --keep")
				continue
			}
			s.release()
		case <-s.Asked:
			counters, err := s.source.Counters()
			if err != nil {
				return err
			}
			stats.clear()
			s.print(p, counters)
		case <-tick:
			counters, err := s.source.Counters()
			if err != nil {
				return err
			}
			stats.print(counters, time.Now())
		}
	}
}

// echo is how long another signal counts as the first: a terminal and timeout(1)
// may both send one Ctrl-C. Draining seldom takes longer.
const echo = 200 * time.Millisecond

// drain waits until the pump has delivered everything. It gives up at another
// signal, and when a write takes longer than there is patience for.
func (s *session) drain(p *pump) error {
	look := time.NewTicker(term.Patience)
	defer look.Stop()
	var signals <-chan os.Signal
	other := time.After(echo)
	steps := p.steps.Load()
	for {
		select {
		case <-p.done:
			return nil
		case <-other:
			signals = s.Signals
		case <-signals:
			return errInterrupted
		case <-look.C:
			now := p.steps.Load()
			if now == steps && now%2 == 1 {
				return term.ErrStuck
			}
			steps = now
		}
	}
}
