package run

import (
	"fmt"

	"github.com/xdplog/xdplog/asm/wire"
)

// ofRun is the counters without what was captured after the last event that was
// wanted: it takes a moment to detach.
func (p *pump) ofRun(c wire.Counters) wire.Counters {
	if wanted := p.taken(); p.reached() && c.Captured > wanted {
		c.Seen -= min(c.Seen, c.Captured-wanted)
		c.Captured, c.CapturedBytes = wanted, p.bytes.Load()
	}
	return c
}

// reached reports whether as much was written as is wanted.
func (p *pump) reached() bool {
	return p.filled.Load() || p.limit > 0 && p.written.Load() == p.limit
}

// taken is how many of the events were written, left out, or put into flows.
func (p *pump) taken() uint64 {
	if p.flows != nil {
		return p.flows.sums().Packets
	}
	return p.skipped.Load() + p.written.Load()
}

// unwritten says what was not written that should have been, of so many events that
// were captured.
func (p *pump) unwritten(captured uint64) string {
	what := "%d captured events not written"
	switch {
	case p.flows == nil:
	case p.flows.First:
		what = "%d first packets of conversations not written"
	default:
		what = "%d flows not written"
	}
	return fmt.Sprintf(what, p.missing(captured))
}

// missing is how many that are.
func (p *pump) missing(captured uint64) uint64 {
	if p.flows != nil {
		return p.flows.sums().Begun - p.written.Load()
	}
	return captured - min(captured, p.taken())
}

// fail ends the writing, with so many of the packets at hand written.
func (p *pump) fail(n, of int, err error) {
	p.written.Add(uint64(n))
	p.missed.Add(uint64(of - n))
	p.writeErr.CompareAndSwap(nil, &err)
	p.end()
}

// failure returns the error of writing, or nil.
func (p *pump) failure() error {
	if err := p.writeErr.Load(); err != nil {
		return *err
	}
	return nil
}
