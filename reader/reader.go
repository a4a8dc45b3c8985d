package reader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm/wire"
)

// DefaultLatency is that of [Options].
const DefaultLatency = 10 * time.Millisecond

// Options of a [Reader]. The zero value is the default.
type Options struct {
	// Latency is how long an event may wait for others before the reader
	// wakes up for it. Default: [DefaultLatency].
	Latency time.Duration

	// Kept is how old packets may be that are kept, before the last one, of a program
	// that keeps some ([asm.Config.Keep]). Default: all that there are.
	Kept time.Duration
}

// Reader delivers the events of a loaded program. One goroutine reads; its other
// methods may be called from any. The zero value is closed.
type Reader struct {
	source source
	counters
	claim   claim
	clock   clock
	latency time.Duration

	before    uint64 // captured when it was opened
	delivered uint64
	empty     bool    // the last look found nothing
	rest      []Event // delivered to an iterator that was left

	interfaces atomic.Pointer[interfaces] // nil: as the records say

	finish   atomic.Bool
	closed   atomic.Bool
	ending   ending
	deadline deadline
}

// New returns a reader of a collection that was loaded from [asm.Program]'s
// spec. Of one that only counts ([asm.Count]) there are no events: see [Table].
// The collection must stay open as long as the reader. A collection has one
// reader at a time: the error of another wraps [ErrInUse].
//
// Of a program with transport perf it opens a buffer on every CPU that is
// online, and later on those that come online, for which Linux wants CAP_PERFMON or
// CAP_SYS_ADMIN: see [Reader.CheckRights]. What a CPU captures before it has its buffer is
// counted as lost. The other transports' buffers are the program's: what an earlier reader
// has left in them comes first.
func New(coll *ebpf.Collection, opts Options) (_ *Reader, err error) {
	if coll == nil {
		return nil, errors.New("open reader: there is no collection")
	}
	if opts.Latency == 0 {
		opts.Latency = DefaultLatency
	}
	if opts.Latency < 0 {
		return nil, fmt.Errorf("open reader: latency %v must not be negative", opts.Latency)
	}
	counters, err := countersOf(coll)
	if err != nil {
		return nil, fmt.Errorf("open reader: %w", err)
	}
	// Timers are late by up to a millisecond, and then the reader has to run.
	r := &Reader{counters: counters, latency: opts.Latency - opts.Latency/8}
	r.clock.hardware = new(hardwareClocks)
	if r.claim, err = claimReader(coll.Maps[wire.ReaderMap]); err != nil {
		return nil, fmt.Errorf("open reader: %w", err)
	}
	now, err := r.Counters()
	if err == nil {
		r.before = now.Captured
		r.source, err = newSource(coll, r.claim.buffer, opts.Kept)
	}
	if err != nil {
		r.claim.release()
		return nil, fmt.Errorf("open reader: %w", err)
	}
	return r, nil
}

// SetDeadline has a Read that waits, and those that follow, return an error that
// wraps [os.ErrDeadlineExceeded] at a time, where nothing has come by then. The zero
// time is none.
func (r *Reader) SetDeadline(t time.Time) {
	if r.source != nil {
		r.deadline.set(t, r.source.wake)
	}
}

// Read waits for events, and sets the first n elements of events to what has
// arrived since. Several per call cost least: it allocates nothing.
//
// It returns [io.EOF] when everything has been delivered after [Reader.Finish],
// and an error that wraps [os.ErrClosed] after [Reader.Close]. Events that were
// lost are no error but a counter.
func (r *Reader) Read(events []Event) (n int, err error) {
	return r.read(batch{events: events})
}

func (r *Reader) read(into batch) (n int, err error) {
	if r.source == nil {
		return 0, fmt.Errorf("read events: %w", os.ErrClosed)
	}
	if into.len() == 0 {
		return 0, nil
	}
	if n := min(into.len(), len(r.rest)); n > 0 {
		for i := range n {
			*into.event(i) = r.rest[i]
		}
		r.rest = r.rest[n:]
		return n, nil
	}
	for {
		finishing := r.finish.Load()
		if finishing {
			over, err := r.over(time.Now())
			if err != nil {
				return 0, fmt.Errorf("read events: %w", err)
			}
			if over {
				return 0, io.EOF
			}
			r.source.wake() // so that it takes what is there, and does not wait
		}
		n, err := r.source.read(into, &r.clock, r.latency)
		r.delivered += uint64(n)
		r.empty = n == 0
		if n > 0 {
			if known := r.interfaces.Load(); known != nil {
				known.attribute(into, n)
			}
			return n, nil
		}
		if err != nil {
			return 0, fmt.Errorf("read events: %w", err)
		}
		if r.deadline.passed() {
			return 0, fmt.Errorf("read events: %w", os.ErrDeadlineExceeded)
		}
		if finishing {
			time.Sleep(finishPause) // before the next look, which may be the last
		}
	}
}

// All returns the events as they come, for use with range. It ends when ctx is
// done, after the events that were captured by then, or with an error, or when
// the reader is finished or closed. A ctx that is done finishes the reader.
// Leaving the loop does not: another All, or Read, goes on behind the last event.
func (r *Reader) All(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		stop := context.AfterFunc(ctx, r.Finish)
		defer stop()
		events := make([]Event, 256)
		for {
			n, err := r.Read(events)
			for i, event := range events[:n] {
				if !yield(event, nil) {
					r.rest = events[i+1 : n]
					return
				}
			}
			switch {
			case errors.Is(err, io.EOF), errors.Is(err, os.ErrClosed):
				return
			case err != nil:
				yield(Event{}, err)
				return
			}
		}
	}
}

// CheckRights says whether the calling thread has the rights that reading takes from now
// on, once the reader is open: those to read counters and, with transport perf, to open the
// buffer of a CPU that comes online. Who gives rights up tries with it which to keep.
func (r *Reader) CheckRights() error {
	if _, err := r.Counters(); err != nil {
		return err
	}
	if dozing, ok := r.source.(*dozing); ok {
		if err := dozing.mayRenew(); err != nil {
			return fmt.Errorf("open perf buffers: %w", err)
		}
	}
	return nil
}

// BufferSize is the size in bytes of the buffers of all CPUs; 0 of the zero value.
func (r *Reader) BufferSize() int {
	if r.source == nil {
		return 0
	}
	return r.source.size()
}

// Close releases the buffers, and ends a Read that waits with [os.ErrClosed]; it
// returns when that Read is about to. What has not been read is gone with transport
// perf, and what the program captures from now on counts as lost. With the others
// it stays, and more comes to it until the buffer is full, for another reader of
// the collection. A second Close does nothing.
func (r *Reader) Close() error {
	if r.source == nil || r.closed.Swap(true) {
		return nil
	}
	r.deadline.set(time.Time{}, nil)
	if err := errors.Join(r.source.close(), r.claim.release()); err != nil {
		return fmt.Errorf("close reader: %w", err)
	}
	return nil
}
