package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/capfile"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/format"
	"github.com/xdplog/xdplog/reader"
)

// File runs the packets of capture files through the program, or what does the
// same in plain Go, and prints the events.
func File(ctx context.Context, o Options, env Environment) (err error) {
	files, err := capfile.OpenAll(o.Files, env.Stdin, env.Signals)
	if errors.Is(err, capfile.ErrInterrupted) {
		return nil
	}
	if err != nil {
		return err
	}
	defer files.Close()
	said := make(chan string, 16)
	say := sayTo(said)
	record, err := o.record(env, say)
	if err != nil {
		return err
	}
	if record != nil {
		defer record.Close() // where it does not come to a run
	}
	engine := o.Engine
	if engine.start == nil {
		engine = Engines()[0]
	}
	bare := o.silent() && o.Flows == nil
	machine, err := engine.start(o.Program, bare)
	if err != nil {
		return err
	}
	defer machine.Close()
	if whole, ok := machine.(*goMachine); ok && (o.Flows != nil && o.Count > 0 || len(o.Verdicts) > 0) {
		machine = &stepMachine{goMachine: *whole}
	}
	if len(o.Verdicts) > 0 {
		machine = &decidedMachine{machine: machine, wanted: o.Verdicts}
	}
	lines := o.format(nil, env.Stdout)
	ctx, cancel := timeout(ctx, o.Duration)
	defer cancel()

	flows, err := o.folding(said)
	if err != nil {
		return err
	}
	if flows != nil && flows.export != nil {
		defer flows.export.Close()
	}
	if !o.Quiet {
		for _, file := range files {
			fmt.Fprintln(env.Stderr, file.Greeting())
		}
		flows.greet(env.Stderr)
	}
	source := &fileSource{
		machine: machine,
		format:  lines,
		record:  record,
		frames:  o.Packets != nil,
		over:    make(chan struct{}),
	}
	counted := false
	if by := machine.selector(); by != nil {
		counted = o.Counting && record == nil
		source.ahead = files.Select(capfile.Selection{By: by, Limit: o.wanted(), Counted: counted, Bare: bare && o.Packets == nil})
	} else {
		source.ahead = files.Select(capfile.Selection{})
		source.limit = o.wanted()
	}
	s := session{
		source:      source,
		kind:        o.output(),
		format:      lines,
		limit:       o.Count,
		skip:        o.Skip,
		counting:    o.Counting,
		counted:     counted,
		stats:       o.Stats,
		quiet:       o.Quiet,
		ordered:     true,
		record:      record,
		take:        o.Packets,
		said:        said,
		say:         say,
		unseen:      o.silent(),
		flows:       flows,
		Environment: env,
	}
	err = OneOf(s.run(ctx), s.complete())
	source.ahead.Close()
	left, unread := files.Left()
	if record != nil {
		left = append(left, files.Uncopied()...)
		if line := record.Uncopied(); line != "" {
			left = append(left, line)
		}
	}
	for _, line := range left {
		if !o.Quiet {
			fmt.Fprintln(env.Stderr, line)
		}
	}
	return OneOf(err, unread)
}

// A fileSource is the events of files' packets, in their order. It stops
// where the limit is reached, so that the counters speak of no packet behind.
type fileSource struct {
	machine   machine
	ahead     capfile.Reading
	format    format.Format
	record    *capfile.Writer // nil: none
	frames    bool            // packets are asked for as Ethernet frames
	limit     uint64          // events; 0: all, or as many as are selected
	delivered uint64
	enough    bool // no more is read, for who reads has written what is wanted

	at   *capfile.Packets // being run, from next on; kept until their events are used
	next int
	// options of the packets that were returned last
	matched []capfile.Options
	err     error // once there is nothing more to run

	mu       sync.Mutex
	selected wire.Counters // the selector's, of what was run

	finish sync.Once
	ended  atomic.Bool
	over   chan struct{} // closed by Finish
}

// ReadPackets implements [source]. Its goroutine is the one that the machine is for.
func (s *fileSource) ReadPackets(packets []reader.Packet) (int, error) {
	if s.limit > 0 {
		packets = packets[:min(uint64(len(packets)), s.limit-s.delivered)]
	}
	for {
		if s.enough || s.limit > 0 && s.delivered == s.limit {
			return 0, io.EOF
		}
		if s.at != nil && s.next == len(s.at.List) {
			s.leave()
		}
		if s.at == nil && s.err == nil {
			s.err = s.fetch()
		}
		if s.err != nil {
			return 0, s.err
		}
		s.matched = s.matched[:0]
		ran, n, err := s.machine.run(s.at.List[s.next:], packets, &s.matched)
		s.next += ran
		s.delivered += uint64(n)
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// leave gives back packets that have all been run.
func (s *fileSource) leave() {
	s.mu.Lock()
	s.selected = s.at.Counters
	s.mu.Unlock()
	s.err = s.at.Err
	s.ahead.Done(s.at)
	s.at = nil
}

// options are those of the packets that were returned last.
func (s *fileSource) options() []capfile.Options { return s.matched }

// fetch waits for packets. It returns io.EOF where there will be no more.
func (s *fileSource) fetch() error {
	if s.ended.Load() {
		return io.EOF
	}
	select {
	case p, ok := <-s.ahead.Ready():
		if !ok {
			return io.EOF
		}
		if s.record != nil {
			s.record.Copy(p)
		}
		for _, i := range p.Found {
			s.format.AddInterface(i.Interface)
			if s.record != nil {
				s.record.Add(i)
			}
		}
		for i := 0; i < len(p.List) && s.frames; i++ {
			p.List[i].Data = p.List[i].Frame()
		}
		s.at, s.next = p, 0
		return nil
	case <-s.over:
		return io.EOF
	}
}

// Finish ends the reading: what was read ahead to here is still delivered, for it is
// counted.
func (s *fileSource) Finish() {
	s.finish.Do(func() {
		s.ended.Store(true)
		close(s.over)
	})
}

func (s *fileSource) Counters() (wire.Counters, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.machine.counters(s.selected)
}

// SetDeadline does nothing: a file does not keep anybody waiting.
func (s *fileSource) SetDeadline(time.Time) {}
