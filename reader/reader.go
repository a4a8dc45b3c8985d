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

// Defaults of [Options].
const (
	DefaultBuffer  = 2 << 20
	DefaultLatency = 10 * time.Millisecond
)

// Options of a [Reader]. The zero value is the default.
type Options struct {
	// Buffer is the size of each CPU's perf buffer in bytes, rounded up to a
	// power of two of memory pages. Default: [DefaultBuffer], or 512 KiB where
	// the limit on locked memory does not allow more to a process without
	// CAP_IPC_LOCK. The buffers of other transports are made when the program
	// is loaded.
	Buffer int

	// Latency is how long an event may wait for others before the reader
	// wakes up for it. Default: [DefaultLatency].
	Latency time.Duration
}

// Reader delivers the events of a loaded program. One goroutine reads; Finish,
// Counters and Close may be called from any.
type Reader struct {
	source   source
	counters *ebpf.Map
	clock    clock
	latency  time.Duration

	delivered uint64
	finish    atomic.Bool
	grace     time.Time // when a reader that finishes stops waiting for events
}

// New returns a reader of a collection that was loaded from [asm.Program]'s
// spec. The collection must stay open as long as the reader.
//
// It opens a buffer on every CPU that is online, for which Linux wants
// CAP_PERFMON or CAP_SYS_ADMIN.
func New(coll *ebpf.Collection, opts Options) (*Reader, error) {
	if opts.Latency == 0 {
		opts.Latency = DefaultLatency
	}
	if opts.Buffer < 0 || opts.Latency < 0 {
		return nil, fmt.Errorf("open reader: buffer %d and latency %v must not be negative", opts.Buffer, opts.Latency)
	}
	counters := coll.Maps[wire.CountersMap]
	if counters == nil {
		return nil, fmt.Errorf("open reader: collection lacks map %q", wire.CountersMap)
	}
	source, err := newSource(coll, opts)
	if err != nil {
		return nil, fmt.Errorf("open reader: %w", err)
	}
	// Timers are late by up to a millisecond, and then the reader has to run.
	latency := opts.Latency - opts.Latency/8
	return &Reader{source: source, counters: counters, latency: latency}, nil
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
	if into.len() == 0 {
		return 0, nil
	}
	for {
		finishing := r.finish.Load()
		if finishing {
			r.source.wake() // so that it takes what is there, and does not wait
		}
		n, err := r.source.read(into, &r.clock, r.latency)
		r.delivered += uint64(n)
		if n > 0 {
			return n, nil
		}
		if err != nil {
			return 0, fmt.Errorf("read events: %w", err)
		}
		if finishing {
			done, err := r.finished(time.Now())
			if err != nil {
				return 0, fmt.Errorf("read events: %w", err)
			}
			if done {
				return 0, io.EOF
			}
			time.Sleep(finishPause)
		}
	}
}

// finishGrace bounds how long a reader that finishes waits for events that are
// counted as captured but not there.
const (
	finishGrace = 100 * time.Millisecond
	finishPause = time.Millisecond // between two looks
)

// finished reports whether nothing more will come: what the kernel captured
// has been delivered, or was not to be had in time.
func (r *Reader) finished(now time.Time) (bool, error) {
	if r.grace.IsZero() {
		// A program that was just taken off may still be running on another
		// CPU: the first look at the counters is never the last.
		r.grace = now.Add(finishGrace)
		return false, nil
	}
	counters, err := r.Counters()
	if err != nil {
		return false, err
	}
	return r.delivered >= counters.Captured || now.After(r.grace), nil
}

// Finish makes [Reader.Read] deliver what has been captured, and then return
// [io.EOF]. Take the program off first, or what it still captures meanwhile
// may be left.
func (r *Reader) Finish() {
	r.finish.Store(true)
	r.source.wake() // fails only when closed, and then nobody waits
}

// All returns the events as they come, for use with range. It ends when ctx is
// done, after the events that were captured by then, or with an error, or when
// the reader is finished or closed.
func (r *Reader) All(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		stop := context.AfterFunc(ctx, r.Finish)
		defer stop()
		events := make([]Event, 256)
		for {
			n, err := r.Read(events)
			for _, event := range events[:n] {
				if !yield(event, nil) {
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

// Counters returns what the program has counted since it was loaded, over all
// CPUs and interfaces.
func (r *Reader) Counters() (wire.Counters, error) {
	var perCPU []wire.Counters
	if err := r.counters.Lookup(uint32(0), &perCPU); err != nil {
		return wire.Counters{}, fmt.Errorf("read counters: %w", err)
	}
	var sum wire.Counters
	for _, c := range perCPU {
		sum.Add(c)
	}
	return sum, nil
}

// Close releases the buffers, and ends a Read that waits with [os.ErrClosed].
// What has not been read is gone, and what the program captures from now on
// counts as lost.
func (r *Reader) Close() error {
	if err := r.source.close(); err != nil {
		return fmt.Errorf("close reader: %w", err)
	}
	return nil
}
