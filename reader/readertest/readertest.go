// Package readertest is for tests of what is done with events: it makes events of
// frames, and has a reader of them that needs no kernel and no rights.
//
// Whoever handles events declares an interface of the methods of [reader.Reader]
// that he calls, and is given a [Reader] of this package in tests. It has the same
// methods, which keep the same promises: reads wait, end at a deadline, deliver all
// that was captured after Finish and then [io.EOF], and count.
//
// It imports reader, asm/engine and asm/wire.
package readertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"sync"
	"time"

	"github.com/xdplog/xdplog/asm/engine"
	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader"
)

// Event returns the event of a frame, from its Ethernet header on, of which length
// bytes were on the wire: it is what the program in the kernel says of that, for any
// bytes, also few or none. Time and Interface are the caller's to set.
func Event(frame []byte, length int) reader.Event {
	var record wire.Record
	engine.Decode(&record, frame)
	event := reader.FromRecord(&record)
	event.Time, event.Length = time.Time{}, length
	return event
}

// Reader delivers events that it is told to have captured. Its zero value has
// captured none, and waits. One goroutine reads; its other methods may be called from
// any.
type Reader struct {
	mu       sync.Mutex
	changed  chan struct{} // closed when what is below has changed; nil: nobody waits
	packets  []reader.Packet
	counters [1 << 8]wire.Counters // by slot
	err      error                 // that reads end with
	finished bool
	closed   bool
	deadline time.Time
}

// New returns a reader that has captured some events.
func New(events ...reader.Event) *Reader {
	r := new(Reader)
	r.Capture(events...)
	return r
}

// change does something with the lock held, and has a Read that waits look again.
func (r *Reader) change(what func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	what()
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// Capture has more events come, without packets' bytes.
func (r *Reader) Capture(events ...reader.Event) {
	packets := make([]reader.Packet, len(events))
	for i, event := range events {
		packets[i].Event = event
	}
	r.CapturePackets(packets...)
}

// CapturePackets has more events come, with the bytes of their packets.
func (r *Reader) CapturePackets(packets ...reader.Packet) {
	r.change(func() {
		r.packets = append(r.packets, packets...)
		for i := range packets {
			c := &r.counters[packets[i].Slot]
			c.Seen++
			c.Captured++
			c.CapturedBytes += uint64(packets[i].Length)
		}
	})
}

// Count adds to the counters of a program: what was lost, sampled out, or seen and
// not matched.
func (r *Reader) Count(slot uint8, more wire.Counters) {
	r.change(func() { r.counters[slot].Add(more) })
}

// Fail has reads end with an error, after what was captured before.
func (r *Reader) Fail(err error) { r.change(func() { r.err = err }) }

// Read is that of [reader.Reader].
func (r *Reader) Read(events []reader.Event) (n int, err error) {
	return r.read(len(events), func(i int, p reader.Packet) { events[i] = p.Event })
}

// ReadPackets is that of [reader.Reader].
func (r *Reader) ReadPackets(packets []reader.Packet) (n int, err error) {
	return r.read(len(packets), func(i int, p reader.Packet) { packets[i] = p })
}

func (r *Reader) read(most int, set func(i int, p reader.Packet)) (n int, err error) {
	if most == 0 {
		return 0, nil
	}
	for {
		r.mu.Lock()
		n, err := r.take(most, set)
		if n > 0 || err != nil {
			r.mu.Unlock()
			return n, err
		}
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		changed, deadline := r.changed, r.deadline
		r.mu.Unlock()

		if deadline.IsZero() {
			<-changed
			continue
		}
		late := time.NewTimer(time.Until(deadline))
		select {
		case <-changed:
		case <-late.C:
		}
		late.Stop()
	}
}

// take takes what is there, or says why there will be nothing: neither, to wait.
func (r *Reader) take(most int, set func(i int, p reader.Packet)) (n int, err error) {
	if r.closed {
		return 0, fmt.Errorf("read events: %w", os.ErrClosed)
	}
	n = min(most, len(r.packets))
	for i, p := range r.packets[:n] {
		set(i, p)
	}
	r.packets = r.packets[n:]
	switch {
	case n > 0:
		return n, nil
	case r.err != nil:
		return 0, r.err
	case r.finished:
		return 0, io.EOF
	case !r.deadline.IsZero() && !time.Now().Before(r.deadline):
		return 0, fmt.Errorf("read events: %w", os.ErrDeadlineExceeded)
	}
	return 0, nil
}

// All is that of [reader.Reader].
func (r *Reader) All(ctx context.Context) iter.Seq2[reader.Event, error] {
	return func(yield func(reader.Event, error) bool) {
		defer context.AfterFunc(ctx, r.Finish)()
		events := make([]reader.Event, 1) // so that a loop that is left has taken no more
		for {
			_, err := r.Read(events)
			if errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) {
				return
			}
			if err != nil {
				yield(reader.Event{}, err)
				return
			}
			if !yield(events[0], nil) {
				return
			}
		}
	}
}

// SetDeadline is that of [reader.Reader].
func (r *Reader) SetDeadline(t time.Time) { r.change(func() { r.deadline = t }) }

// Counters is that of [reader.Reader].
func (r *Reader) Counters() (sum wire.Counters, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.counters {
		sum.Add(c)
	}
	return sum, nil
}

// CountersOf is that of [reader.Reader], for any slot.
func (r *Reader) CountersOf(slot uint8) (wire.Counters, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counters[slot], nil
}

// BufferSize is 0: there are no buffers.
func (r *Reader) BufferSize() int { return 0 }

// Release does nothing: none are kept.
func (r *Reader) Release() {}

// SetInterface does nothing: events are as they were given.
func (r *Reader) SetInterface(slot uint8, index int) {}

// CheckRights finds nothing missing: there is no kernel to ask.
func (r *Reader) CheckRights() error { return nil }

// SetHardwareClock does nothing: the same is so of their times.
func (r *Reader) SetHardwareClock(slot uint8, ahead func() (time.Duration, error)) {}

// HardwareTimes is 0.
func (r *Reader) HardwareTimes() uint64 { return 0 }

// Finish is that of [reader.Reader].
func (r *Reader) Finish() { r.change(func() { r.finished = true }) }

// Close is that of [reader.Reader].
func (r *Reader) Close() error {
	r.change(func() { r.closed = true })
	return nil
}
