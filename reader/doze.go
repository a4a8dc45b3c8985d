package reader

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/xdplog/xdplog/asm/wire"
)

// dozing lets a source that looks at its buffers once a latency sleep without
// end where nothing comes, until the program rings the doorbell. So where
// nothing arrives nothing runs.
//
// The program may look whether the reader sleeps just before it says so, and
// not ring. That is why the first sleep is no longer than latency.
type dozing struct {
	source
	mu       sync.Mutex // held while source and maps are used; close waits for it
	closed   atomic.Bool
	asleep   *ebpf.Map // of one word: not 0 if the program is to ring
	doorbell *kernelRing
	rung     ringbuf.Record

	quiet quiet
}

// quiet is how long nothing has come.
type quiet int

const (
	busy   quiet = iota // something did in the last latency
	lull                // nothing in a look at the buffers, a latency long
	repose              // nor in a sleep that long, of which the program knew
)

// errNotWoken is that of a collection whose program wakes other readers.
var errNotWoken = fmt.Errorf("the program wakes no reader of this package (asm.Config.Wake): the collection lacks map %q or %q", wire.AsleepMap, wire.DoorbellMap)

func newDozing(inner source, asleep, doorbell *ebpf.Map) (*dozing, error) {
	if asleep == nil || doorbell == nil {
		return nil, errNotWoken
	}
	bell, err := newKernelRing(doorbell)
	if err != nil {
		return nil, fmt.Errorf("open doorbell: %w", err)
	}
	return &dozing{source: inner, asleep: asleep, doorbell: bell}, nil
}

func (d *dozing) read(into batch, clock *clock, latency time.Duration) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed.Load() {
		return 0, os.ErrClosed
	}
	if d.quiet == busy || latency == 0 {
		n, err := d.source.read(into, clock, latency)
		if n == 0 {
			d.quiet = lull
		}
		return n, err
	}
	if err := d.say(asleep); err != nil {
		return 0, err
	}
	// What came before the program could know:
	if n, err := d.source.read(into, clock, 0); n > 0 || err != nil {
		return n, errors.Join(err, d.rise())
	}
	deadline := time.Time{}
	if d.quiet == lull {
		deadline = time.Now().Add(latency)
	}
	d.doorbell.SetDeadline(deadline)
	switch err := d.doorbell.ReadInto(&d.rung); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		d.quiet = repose
		return 0, nil
	case err != nil && !errors.Is(err, ringbuf.ErrFlushed):
		return 0, err
	}
	if err := d.rise(); err != nil {
		return 0, err
	}
	return d.source.read(into, clock, 0)
}

// What a reader says of itself.
const (
	awake  uint64 = 0
	asleep uint64 = 1
)

func (d *dozing) say(state uint64) error {
	if err := d.asleep.Put(uint32(0), state); err != nil {
		return fmt.Errorf("tell the program of the reader: %w", err)
	}
	return nil
}

func (d *dozing) rise() error {
	d.quiet = busy
	return d.say(awake)
}

func (d *dozing) wake() error {
	return errors.Join(d.source.wake(), d.doorbell.Flush())
}

// mayRenew is [perfSource.mayRenew] of one.
func (d *dozing) mayRenew() error {
	if perf, ok := d.source.(*perfSource); ok {
		return perf.mayRenew()
	}
	return nil
}

func (d *dozing) waiting(unread uint64) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed.Load() {
		return 0
	}
	return d.source.waiting(unread)
}

// close ends a read before it takes away what that uses, of which the maps are
// the caller's to close next.
func (d *dozing) close() error {
	d.closed.Store(true)
	d.wake() // fails only when closed before, and then there is no read
	d.mu.Lock()
	defer d.mu.Unlock()
	return errors.Join(d.doorbell.Close(), d.source.close())
}
