// Package live is a capture on interfaces as one value: what everyone writes
// who has a program to load, a reader of its events and an interface.
//
// The parts have an order. The reader is opened before the program is on an
// interface, or the first events are lost; at the end the program is taken off
// before the reader has read what is left, and only then are the buffers given
// back, or the last events are lost. And since what is attached outlives its
// process, it must come off on every way out: an error, a panic, an interface
// that disappears under a loop that waits for its packets.
//
// [Open] loads, opens and attaches, or leaves nothing. One goroutine for each
// interface waits for its loss, which ends the capture like [Capture.Finish]:
// the program is taken off all interfaces, reads deliver what was captured, and
// then the error comes. [Capture.Close] waits for these goroutines.
//
// It imports asm, loader and reader, and is for those who need no other order.
package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/loader"
	"github.com/xdplog/xdplog/reader"
)

// A Capture is a loaded program, attached to interfaces, and the reader of its
// events. One goroutine reads; the other methods are for any.
type Capture struct {
	attachments []*loader.Attachment
	losses      []error        // of each attachment, written by its watcher
	watchers    sync.WaitGroup // one for each attachment
	left        chan struct{}  // closed when an attachment can't be closed, which ends them

	detached func() []error // takes the program off, once; the error of each attachment
	finish   func() error
	close    func() error

	opened  sync.RWMutex // held by who uses what Close closes
	program *ebpf.Collection
	events  *reader.Reader // nil: closed, or never opened
}

// Attachments are where the program is, in the order of the interfaces that
// were asked for: names, indexes, modes, and why a driver refused native mode.
// To close one is to give up its interface alone.
func (c *Capture) Attachments() []*loader.Attachment { return slices.Clone(c.attachments) }

// All returns the events as they come, for use with range, until ctx is done:
// then the program is taken off, and All ends after the last event that it
// captured. It also ends with Finish or Close.
//
// Where the capture failed, the error comes last, alone: when an interface was
// lost, one that wraps [loader.ErrGone], [loader.ErrReplaced] or
// [loader.ErrTakenOff]; or one of reading. The program is off by then, so that
// log.Fatal leaves nothing behind. It is also off when the loop is left early,
// by break, return or a panic: for single looks there is Read.
func (c *Capture) All(ctx context.Context) iter.Seq2[reader.Event, error] {
	return func(yield func(reader.Event, error) bool) {
		defer c.Finish()
		stop := context.AfterFunc(ctx, func() { c.Finish() })
		defer stop()
		events := make([]reader.Event, 256)
		for {
			n, err := c.Read(events)
			for _, event := range events[:n] {
				if !yield(event, nil) {
					return
				}
			}
			if errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) {
				return
			}
			if err != nil {
				c.Finish() // before the caller, who may leave the process
				yield(reader.Event{}, err)
				return
			}
		}
	}
}

// Read waits for events, and sets the first n elements of events to what has
// arrived since: see [reader.Reader.Read]. When everything has been delivered
// after Finish it returns [io.EOF], and after the loss of an interface that
// error, as in All. After Close it is an [os.ErrClosed].
func (c *Capture) Read(events []reader.Event) (n int, err error) {
	return c.read(func() (int, error) { return c.events.Read(events) })
}

// ReadPackets is Read with the bytes of the packets, as [asm.Config.SnapLen]
// says, which are valid until the next read.
func (c *Capture) ReadPackets(packets []reader.Packet) (n int, err error) {
	return c.read(func() (int, error) { return c.events.ReadPackets(packets) })
}

func (c *Capture) read(read func() (int, error)) (int, error) {
	if err := c.use(); err != nil {
		return 0, fmt.Errorf("read events: %w", err)
	}
	defer c.opened.RUnlock()
	n, err := read()
	if errors.Is(err, io.EOF) {
		if failed := c.finish(); failed != nil {
			err = failed
		}
	}
	return n, err
}

// Counters returns what the program has counted on all interfaces since Open.
func (c *Capture) Counters() (wire.Counters, error) {
	if err := c.use(); err != nil {
		return wire.Counters{}, fmt.Errorf("read counters: %w", err)
	}
	defer c.opened.RUnlock()
	return c.events.Counters()
}

// CountersOf returns what was counted on one interface, by its place in
// Attachments, which is the Slot of its events: of more than Config.Interfaces
// those beyond have the last one's.
func (c *Capture) CountersOf(slot uint8) (wire.Counters, error) {
	if err := c.use(); err != nil {
		return wire.Counters{}, fmt.Errorf("read counters: %w", err)
	}
	defer c.opened.RUnlock()
	return c.events.CountersOf(slot)
}

// SetDeadline ends a Read that waits: see [reader.Reader.SetDeadline].
func (c *Capture) SetDeadline(t time.Time) {
	if c.use() == nil {
		defer c.opened.RUnlock()
		c.events.SetDeadline(t)
	}
}

// use keeps Close from closing the reader and the program, until
// opened.RUnlock, or returns an error where that has been done.
func (c *Capture) use() error {
	c.opened.RLock()
	if c.events == nil {
		c.opened.RUnlock()
		return os.ErrClosed
	}
	return nil
}

// Finish takes the program off every interface. Reads deliver what it has
// captured, and then end. It returns the error of the capture: what was lost,
// and where the program could not be taken off: see [loader.Attachment.Close]. After a
// [loader.UpperError] that of the attachment can be called again, also after Close.
// Every later Finish and Close returns the same.
func (c *Capture) Finish() error {
	if c.finish == nil {
		return os.ErrClosed
	}
	return c.finish()
}

func (c *Capture) end() error {
	detached := c.detached()
	for _, err := range detached {
		if errors.As(err, new(*loader.UpperError)) {
			close(c.left)
			break
		}
	}
	c.watchers.Wait() // they end with the attachments
	var failed error
	for i, err := range detached {
		var lost error
		if i < len(c.losses) {
			lost = c.losses[i]
		}
		if errors.Is(lost, loader.ErrReplaced) && errors.Is(err, loader.ErrReplaced) {
			err = nil // the same, told twice
		}
		failed = both(both(failed, lost), err)
	}
	return failed
}

// detach takes the program off, and lets reads come to their end.
func (c *Capture) detach() []error {
	errs := loader.CloseAll(c.attachments)
	if c.events != nil {
		c.events.Finish()
	}
	return errs
}

// both returns the errors that are not nil as one, on one line.
func both(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return fmt.Errorf("%w; %w", a, b)
}

// Close is Finish, and gives back the buffers and the program, with what has not
// been read. It ends a Read that waits with [os.ErrClosed], and waits for it.
func (c *Capture) Close() error {
	if c.close == nil {
		return os.ErrClosed
	}
	return c.close()
}

func (c *Capture) shut() error {
	failed := c.finish()
	if c.events != nil {
		failed = both(failed, c.events.Close()) // ends a read that waits
	}
	c.opened.Lock()
	defer c.opened.Unlock()
	c.events = nil
	if c.program != nil {
		c.program.Close()
	}
	return failed
}
