package reader

import (
	"fmt"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm/wire"
)

// source is one way in which records come from the kernel.
type source interface {
	// read decodes the records that wait into a batch, stamped by the clock. It
	// waits for the first one until a wake, after which it may return none, as
	// it may at any time. It lets none of them wait longer than latency, and
	// does not wait itself where that is 0.
	read(into batch, clock *clock, latency time.Duration) (int, error)

	// waiting is how many records wait to be read, where unread is how many were
	// captured since the source was opened and have not been read.
	waiting(unread uint64) uint64

	// size is that of all buffers in bytes.
	size() int

	// wake ends a read that waits. Any goroutine may call it.
	wake() error

	// close releases the buffers and ends a read with [os.ErrClosed].
	close() error
}

// batch is the caller's memory for events: one of the two.
type batch struct {
	events  []Event
	packets []Packet
}

func (b batch) len() int { return len(b.events) + len(b.packets) }

// event is the i-th one, whose packet has no bytes yet.
func (b batch) event(i int) *Event {
	if b.packets == nil {
		return &b.events[i]
	}
	b.packets[i].Data, b.packets[i].Dropped, b.packets[i].Queue = nil, 0, 0
	return &b.packets[i].Event
}

// set sets events, from the i-th one on, from records. Their packets have no bytes.
func (b batch) set(i int, records []wire.Record, stamp *stamp) {
	if b.packets == nil {
		events := b.events[i:][:len(records)]
		for j := range records {
			events[j].set(&records[j], stamp)
		}
		return
	}
	packets := b.packets[i:][:len(records)]
	for j := range records {
		packets[j].Data, packets[j].Dropped, packets[j].Queue = nil, 0, 0
		packets[j].Event.set(&records[j], stamp)
	}
}

// setWide is set of records that are each two, see [wire.WideRecord].
func (b batch) setWide(i int, records []wire.Record, stamp *stamp) {
	for j := 0; j < len(records); j, i = j+2, i+1 {
		b.event(i).setWide(wideOf(&records[j]), stamp)
	}
}

// newSource opens the source of a program's records, whose map tells which.
func newSource(coll *ebpf.Collection, buffer int, kept time.Duration) (source, error) {
	events := coll.Maps[wire.EventsMap]
	if events == nil && coll.Maps[wire.CountMap] != nil {
		return newSilent(), nil
	}
	if events == nil {
		return nil, fmt.Errorf("collection lacks map %q", wire.EventsMap)
	}
	var inner source
	var err error
	wide := has(coll.Maps[wire.ReaderMap], wire.ReaderWide)
	switch events.Type() {
	case ebpf.PerfEventArray:
		inner, err = newPerf(events, buffer, coll.Maps[wire.CountersMap].MaxEntries() == 1, wide)
	case ebpf.RingBuf:
		inner, err = newRingbuf(events, wide)
	case ebpf.Array:
		var snapLen uint64
		if err := coll.Maps[wire.ReaderMap].Lookup(wire.ReaderSnapLen, &snapLen); err == nil {
			if has(coll.Maps[wire.ReaderMap], wire.ReaderKeep) {
				return newKept(coll, int(snapLen), kept, wide)
			}
			return newPacketSource(events, coll.Maps[wire.DoorbellMap], int(snapLen), wide)
		}
		return newMmap(events, coll.Maps[wire.DoorbellMap], wide)
	default:
		return nil, fmt.Errorf("map %q is a %v: no transport of xdplog's", wire.EventsMap, events.Type())
	}
	if err != nil {
		return nil, err
	}
	dozing, err := newDozing(inner, coll.Maps[wire.AsleepMap], coll.Maps[wire.DoorbellMap])
	if err != nil {
		inner.close()
		return nil, err
	}
	return dozing, nil
}

// has reports whether a program says a word.
func has(words *ebpf.Map, key uint32) bool {
	var word uint64
	return words.Lookup(key, &word) == nil
}

// recordSize is the size of a program's records in bytes.
func recordSize(wide bool) int {
	if wide {
		return wire.WideRecordSize
	}
	return wire.RecordSize
}
