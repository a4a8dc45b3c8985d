package e2e

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xdplog/xdplog/reader"
)

// A check looks at every event of numbered floods, from CPUs below 64: none may
// be torn, come twice or out of turn.
type check struct {
	next [64]uint64 // least number that may come from each CPU
	got  [64]uint64
	err  error // of the first event that is wrong
}

func (c *check) batch(events []reader.Event) {
	for i := range events {
		c.event(&events[i])
	}
}

func (c *check) event(e *reader.Event) {
	source, destination := e.Source.Addr().As16(), e.Destination.Addr().As16()
	cpu := binary.BigEndian.Uint32(source[4:]) % uint32(len(c.next))
	seq := binary.BigEndian.Uint64(source[8:])
	switch {
	case c.err != nil:
	case ^binary.BigEndian.Uint64(destination[8:]) != seq,
		e.Source.Port() != uint16(seq), e.Destination.Port() != uint16(seq>>16),
		e.Length != 64, e.Protocol != 17, e.EtherType != 0x86dd, e.TTL != 62, e.Time.IsZero():
		c.err = fmt.Errorf("event is torn: %+v", *e)
	case seq < c.next[cpu]:
		c.err = fmt.Errorf("event %d of CPU %d comes after event %d", seq, cpu, c.next[cpu]-1)
	}
	c.next[cpu] = seq + 1
	c.got[cpu]++
}

// complete returns an error unless all events of floods of n frames came, by
// as many CPUs as sent any.
func (c *check) complete(n uint64) error {
	for cpu, got := range c.got {
		if got != 0 && got != n {
			return fmt.Errorf("%d events came from CPU %d, want %d", got, cpu, n)
		}
	}
	return c.err
}

// ages is a histogram of how old events were when they were read.
type ages struct {
	watched atomic.Bool
	only    uint8 // IP version of the events to look at; 0: any
	mu      sync.Mutex
	perStep [10_000]uint64 // by 100 µs; the last is all that were older
	oldest  time.Duration
	total   uint64
}

const ageStep = 100 * time.Microsecond

func (a *ages) batch(events []reader.Event) {
	if !a.watched.Load() || len(events) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	for i := range events {
		if a.only != 0 && a.only != events[i].IPVersion {
			continue
		}
		age := max(0, now.Sub(events[i].Time))
		a.oldest = max(a.oldest, age)
		a.perStep[min(int(age/ageStep), len(a.perStep)-1)]++
		a.total++
	}
}

// quantile returns the age that a part of the events were below, to 100 µs.
func (a *ages) quantile(part float64) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	var below uint64
	for i, n := range a.perStep {
		if below += n; float64(below) >= part*float64(a.total) {
			return time.Duration(i+1) * ageStep
		}
	}
	return a.oldest
}
