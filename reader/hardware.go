package reader

import (
	"sync/atomic"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
)

// hardwareClocks are those of the devices whose packets programs see, by the programs'
// numbers.
type hardwareClocks struct {
	of    [256]hardwareClock
	times atomic.Uint64 // that were read of them
}

// A hardwareClock is looked at again as time goes by, as it and the wall clock are set
// and slewed, each for itself.
type hardwareClock struct {
	ahead      func() (time.Duration, error) // nil: it counts ns since the Unix epoch
	difference int64                         // ns, to add to it
	next       int64                         // ns since the Unix epoch: when to look again
}

// SetHardwareClock has the times of a device's clock ([asm.HardwareClock]) be turned into wall clock, for a
// program, by [Event.Slot]: ahead is how far the wall clock is ahead of it, which Read
// asks once a second, and what it said last counts where it fails. A clock of which
// nothing is said counts from the Unix epoch.
//
// It is called before events of the program are read.
func (r *Reader) SetHardwareClock(slot uint8, ahead func() (time.Duration, error)) {
	if r.clock.hardware != nil {
		r.clock.hardware.of[slot].ahead = ahead
	}
}

// HardwareTimes is how many of the events that were read bear the time of a device's
// clock; the others' is the kernel's.
func (r *Reader) HardwareTimes() uint64 {
	if r.clock.hardware == nil {
		return 0
	}
	return r.clock.hardware.times.Load()
}

// wall is the time of a record, by a device's clock, in ns since the Unix epoch.
func (c *hardwareClocks) wall(r *wire.Record, now int64) int64 {
	c.times.Add(1)
	clock := &c.of[r.Slot()]
	if clock.ahead != nil && now >= clock.next {
		clock.next = now + int64(clockInterval)
		if ahead, err := clock.ahead(); err == nil {
			clock.difference = int64(ahead)
		}
	}
	ns, _ := r.Stamp()
	return int64(ns) + clock.difference
}
