package reader

import (
	"time"

	"golang.org/x/sys/unix"
)

// clock turns the kernel's monotonic time into wall clock. The difference
// between the two is looked up again as time goes by, because the wall clock
// is set and slewed while a long run lasts.
type clock struct {
	difference int64
	next       time.Time // when to look again
	recorded   bool      // records bear wall clock already

	hardware *hardwareClocks // of times that are a device's; nil: there are none
}

const clockInterval = time.Second

// stamp is what turns the time of a record, which is in ns of CLOCK_MONOTONIC
// or 0, into wall clock. Most records are of the second of the one before, which
// saves them a division.
type stamp struct {
	offset int64 // ns, to add to CLOCK_MONOTONIC
	now    int64 // ns since the Unix epoch, of a record without a time

	second int64 // since the Unix epoch, of the last record
	begin  int64 // ns since the Unix epoch, of that second

	hardware *hardwareClocks
}

// passed is how far into the second of the last record a time is, in ns, if it
// is of that second.
func (s *stamp) passed(monotonic uint64) (ns int64, ok bool) {
	ns = int64(monotonic) + s.offset - s.begin
	return ns, uint64(ns) < 1e9 && monotonic != 0
}

// another is a time of any second, which becomes that of the last record.
func (s *stamp) another(monotonic uint64) time.Time {
	wall := s.now
	if monotonic != 0 {
		wall = int64(monotonic) + s.offset
	}
	t := time.Unix(0, wall)
	s.second = t.Unix()
	s.begin = wall - int64(t.Nanosecond())
	return t
}

// stamp returns that of records which are read now.
func (c *clock) stamp() stamp {
	if c.recorded {
		return stamp{}
	}
	return c.stampAt(time.Now(), difference)
}

// stampAt is stamp at a time that is now, which it takes as monotonic, and
// with a way to look at the clocks.
func (c *clock) stampAt(now time.Time, difference func() int64) stamp {
	if !now.Before(c.next) {
		c.next = now.Add(clockInterval)
		c.difference = difference()
	}
	return stamp{offset: c.difference, now: now.UnixNano(), hardware: c.hardware}
}

// difference is the wall clock's between two looks at the monotonic one: the
// closer they are, the better it is known when the wall clock was read.
func difference() (wallMinusMonotonic int64) {
	closest := int64(1 << 62)
	for range 3 {
		before := nanoseconds(unix.CLOCK_MONOTONIC)
		wall := nanoseconds(unix.CLOCK_REALTIME)
		after := nanoseconds(unix.CLOCK_MONOTONIC)
		if after-before < closest {
			closest = after - before
			wallMinusMonotonic = wall - (before + closest/2)
		}
	}
	return wallMinusMonotonic
}

func nanoseconds(id int32) int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		return 0 // not on Linux: both clocks have always been there
	}
	return t.Nano()
}
