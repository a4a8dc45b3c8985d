package capfile

import (
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader"
)

// Options of an Enhanced Packet Block (draft-ietf-opsawg-pcapng, 4.3.1).
const (
	packetFlags   = 2
	packetDropped = 4
	packetNumber  = 5
	packetQueue   = 6
	packetVerdict = 7
)

// Values of these options.
const (
	inbound, outbound = 1, 2 // the two lowest bits of the flags
	byXDP             = 2    // Linux eBPF XDP: the verdict's action is that of enum xdp_action (linux/bpf.h)
)

// fate is what the options of a packet's block say of it, until the next is asked for; nil:
// nothing. Files that follow one another have its number among all, by which one sees that
// none is missing.
func (w *Writer) fate(p *reader.Packet) *Options {
	numbered := w.ring != nil && w.count != nil
	queued := p.Queue > 0 && w.interfaces[w.last.number].Queues > 1
	if !numbered && !queued && p.Dropped == 0 && p.Direction == wire.NoDirection && p.Verdict == wire.NoVerdict {
		return nil // as most are
	}
	b := w.options.bytes[:0]
	switch p.Direction {
	case wire.In:
		b = appendOption(b, packetFlags, []byte{inbound, 0, 0, 0})
	case wire.Out:
		b = appendOption(b, packetFlags, []byte{outbound, 0, 0, 0})
	}
	if p.Dropped > 0 {
		b = appendNumber(b, packetDropped, p.Dropped)
	}
	if numbered {
		b = appendNumber(b, packetNumber, w.packets)
	}
	if queued {
		b = appendOption(b, packetQueue, little.AppendUint32(make([]byte, 0, 4), uint32(p.Queue-1)))
	}
	if p.Verdict != wire.NoVerdict {
		var value [9]byte
		value[0] = byXDP
		little.PutUint64(value[1:], uint64(p.Verdict-wire.Aborted))
		b = appendOption(b, packetVerdict, value[:])
	}
	w.options.bytes, w.options.order = b, little
	return &w.options
}

// Fate is what a file says of a packet: whether it was received or sent, and what an XDP program
// decided of it.
func (p *Packet) Fate() (d wire.Direction, v wire.Verdict) {
	if p.more == nil {
		return wire.NoDirection, wire.NoVerdict
	}
	said := p.more.options
	for code, value := range options(said.order, said.bytes) {
		switch {
		case code == packetFlags && len(value) == 4:
			switch said.order.Uint32(value) & 3 {
			case inbound:
				d = wire.In
			case outbound:
				d = wire.Out
			}
		case code == packetVerdict && len(value) == 9 && value[0] == byXDP:
			if action := said.order.Uint64(value[1:]); action <= uint64(wire.Redirect-wire.Aborted) {
				v = wire.Aborted + wire.Verdict(action)
			}
		}
	}
	return d, v
}

// addStatistics adds those of the interfaces, of this file alone.
func (w *Writer) addStatistics() error {
	now := time.Now()
	for number := range w.interfaces {
		if w.count == nil {
			return nil
		}
		counters, err := w.count(number)
		if err != nil {
			return err
		}
		i := &w.interfaces[number]
		s := statistics{began: w.started, ended: now, delivered: i.packets - i.before.packets}
		i.before.packets = i.packets
		if counters != nil {
			c := *counters
			if !w.all {
				c = upTo(c, i.packets)
			}
			here := since(c, i.before.counters)
			i.before.counters = c
			s.received, s.accepted, s.dropped = &here.Seen, new(here.Matched()), &here.Lost
		}
		w.out.add(w.form.statistics(w.out.blocks, number, now, s))
	}
	return nil
}

// upTo is the counters with so many packets captured, and no others: those that have been
// captured and not been delivered yet will be in the next file, or in none.
func upTo(c wire.Counters, captured uint64) wire.Counters {
	c.Seen += captured - c.Captured
	c.Captured = captured
	return c
}

// since is what was counted after a time.
func since(c, before wire.Counters) wire.Counters {
	c.Seen -= min(c.Seen, before.Seen)
	c.SampledOut -= min(c.SampledOut, before.SampledOut)
	c.Captured -= min(c.Captured, before.Captured)
	c.Lost -= min(c.Lost, before.Lost)
	return c
}
