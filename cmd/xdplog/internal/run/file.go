package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/capfile"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/format"
	"github.com/xdplog/xdplog/loader"
	"github.com/xdplog/xdplog/reader"
)

// File runs the packets of a capture file through the program, in the kernel, and
// prints the events.
func File(ctx context.Context, o Options, env Environment) (err error) {
	file, err := capfile.Open(o.File, env.Stdin, env.Signals)
	if errors.Is(err, capfile.ErrInterrupted) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	record, err := o.record(env)
	if err != nil {
		return err
	}
	if record != nil {
		defer func() { err = OneOf(err, record.Close()) }()
	}
	collection, err := loader.Load(o.Program)
	if err != nil {
		return err
	}
	defer collection.Close()
	replay, err := reader.NewReplay(collection, o.Program.Match)
	if err != nil {
		return err
	}
	defer replay.Close()
	lines := o.format(nil, env.Stdout)
	ctx, cancel := timeout(ctx, o.Duration)
	defer cancel()

	if !o.Quiet {
		fmt.Fprintln(env.Stderr, file.Greeting())
	}
	source := &fileSource{
		replay: replay,
		ahead:  file.ReadAhead(batch),
		format: lines,
		record: record,
		limit:  o.Count,
		pin:    o.Program.Sample.N > 1 && !o.Program.Sample.Random,
		over:   make(chan struct{}),
	}
	defer source.ahead.Close()
	s := session{
		source:      source,
		kind:        o.output(),
		format:      lines,
		limit:       o.Count,
		stats:       o.Stats,
		quiet:       o.Quiet,
		ordered:     true,
		record:      record,
		unseen:      o.silent(),
		Environment: env,
	}
	return s.run(ctx)
}

// A fileSource is the events of a file's packets, in their order. It stops
// where the limit is reached, so that the counters speak of no packet behind.
type fileSource struct {
	replay    *reader.Replay
	ahead     *capfile.Ahead
	format    format.Format
	record    *capfile.Writer // nil: none
	limit     uint64          // events; 0: all
	delivered uint64

	at   *capfile.Packets // being run, from next on; kept until their events are used
	next int
	err  error // once there is nothing more to run

	pin    bool // to one CPU, until that is done
	finish sync.Once
	ended  atomic.Bool
	over   chan struct{} // closed by Finish
}

// ReadPackets implements [source]. Its goroutine is the one that runs the
// program.
func (s *fileSource) ReadPackets(packets []reader.Packet) (int, error) {
	if s.pin {
		s.pin = false
		pinThread()
	}
	for {
		n, err := s.replay.ReadPackets(packets)
		s.delivered += uint64(n)
		for i := range packets[:n] {
			p := &s.at.List[packets[i].Interface]
			packets[i].Interface, packets[i].Data = p.Interface, p.Data
		}
		if n > 0 || err != nil {
			return n, err
		}
		if s.ended.Load() || s.limit > 0 && s.delivered == s.limit {
			return 0, io.EOF
		}
		if s.at != nil && s.next == len(s.at.List) {
			s.err = s.at.Err
			s.ahead.Done(s.at)
			s.at = nil
		}
		if s.at == nil && s.err == nil {
			s.err = s.fetch()
		}
		if s.err != nil {
			return 0, s.err
		}
		if err := s.run(len(packets)); err != nil {
			return 0, err
		}
	}
}

// fetch waits for packets. It returns io.EOF where there will be no more.
func (s *fileSource) fetch() error {
	select {
	case p, ok := <-s.ahead.Ready():
		if !ok {
			return io.EOF
		}
		for _, i := range p.Found {
			s.format.AddInterface(i)
			if s.record != nil {
				s.record.Add(capfile.Interface{Interface: i})
			}
		}
		s.at, s.next = p, 0
		return nil
	case <-s.over:
		return io.EOF
	}
}

// run runs the program on some packets, of which at most so many match. To it
// they are from interfaces by their own numbers, so that they can be found again.
func (s *fileSource) run(most int) error {
	rest := s.at.List[s.next:]
	rest = rest[:min(len(rest), most)]
	if s.limit > 0 {
		rest = rest[:min(uint64(len(rest)), s.limit-s.delivered)]
	}
	for i := range rest {
		packet := rest[i]
		packet.Interface = s.next + i
		if err := s.replay.Run(&packet); err != nil {
			return err
		}
	}
	s.next += len(rest)
	return nil
}

// Finish ends the reading: what was run is still delivered.
func (s *fileSource) Finish() {
	s.finish.Do(func() {
		s.ended.Store(true)
		close(s.over)
	})
}

func (s *fileSource) Counters() (wire.Counters, error) { return s.replay.Counters() }

// pinThread keeps the goroutine on one CPU, so that what the program counts per
// CPU it counts for all packets: one in N is one in N. The thread ends with the
// goroutine. Where it can't be pinned, sampling is per CPU.
func pinThread() {
	runtime.LockOSThread()
	var allowed, one unix.CPUSet
	if unix.SchedGetaffinity(0, &allowed) != nil {
		return
	}
	for cpu := range len(allowed) * 64 {
		if allowed.IsSet(cpu) {
			one.Set(cpu)
			break
		}
	}
	unix.SchedSetaffinity(0, &one)
}
