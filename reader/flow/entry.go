package flow

import (
	"time"

	"github.com/xdplog/xdplog/asm/wire"
)

// An entry is a flow that is open, or room for one. It has no pointers.
type entry struct {
	key         key
	start, last int64 // since the epoch, in nanoseconds
	sides       [2]Side
	verdicts    [wire.Redirect + 1]uint64
	iface       int32
	next, prev  int32 // in its list
	client      uint8 // which end began
	certain     bool  // that this is so: there was a SYN
	answered    bool  // TCP: an ACK behind the SYNs
	list        uint8
	direction   wire.Direction
	verdict     wire.Verdict
}

// Flags of TCP (RFC 9293, 3.1).
const (
	fin = 1 << iota
	syn
	rst
	_
	ack
)

const protocolTCP = 6

// tcp takes note of a segment's flags.
func (f *entry) tcp(flags uint8, sender int) {
	f.sides[sender].TCPFlags |= flags
	if flags&syn != 0 && !f.certain {
		f.certain, f.client = true, uint8(sender)
		if flags&ack != 0 {
			f.client = uint8(1 - sender)
		}
	}
	if flags&(ack|syn|rst) == ack {
		f.answered = true
	}
}

// place is the list that the flow belongs to.
func (f *entry) place() uint8 {
	a, b := &f.sides[0], &f.sides[1]
	switch flags := a.TCPFlags | b.TCPFlags; {
	case flags&rst != 0,
		flags&fin != 0 && (a.Packets == 0 || a.TCPFlags&fin != 0) && (b.Packets == 0 || b.TCPFlags&fin != 0):
		return closed
	}
	return open
}

func (f *entry) state() State {
	switch {
	case f.list == closed:
		return Closed
	case f.key.protocol&0xff == protocolTCP && f.key.version != 0:
		if f.answered {
			return Established
		}
		return Unanswered
	case f.sides[0].Packets > 0 && f.sides[1].Packets > 0:
		return Established
	}
	return Unanswered
}

// describe sets what is known of the flow but for why it ended.
func (f *entry) describe(to *Flow) {
	ends, server := f.key.ends(), 1-f.client
	*to = Flow{
		Client: ends[f.client], Server: ends[server], HasPorts: f.key.protocol&hasPorts != 0,
		IPVersion: uint8(f.key.version), Protocol: uint8(f.key.protocol), EtherType: f.key.etherType,
		VLAN: f.key.vlan, VLANs: uint8(f.key.vlans),
		Tunnel: wire.Tunnel(f.key.overlay >> overlayShift), VNI: uint32(f.key.overlay),
		Interface: int(f.iface), Direction: f.direction,
		ToServer: f.sides[f.client], ToClient: f.sides[server],
		Start: time.Unix(0, f.start), End: time.Unix(0, f.last), State: f.state(),
		Verdict: f.verdict, Verdicts: f.verdicts,
	}
	switch f.key.version {
	case 4:
		to.EtherType = 0x0800
	case 6:
		to.EtherType = 0x86dd
	}
}

// Flows that are open and such as are closed but for stragglers stand in a list
// each, the one that was idle longest first: so no clock has to look at all.
const (
	open = iota
	closed
)

// none is the index of no entry.
const none int32 = -1

type list struct{ head, tail int32 }

// push makes an entry the last one of a list.
func (t *Tracker) push(list uint8, i int32) {
	l, f := &t.lists[list], &t.table[i]
	f.list, f.prev, f.next = list, l.tail, none
	if l.tail != none {
		t.table[l.tail].next = i
	} else {
		l.head = i
	}
	l.tail = i
}

// remove takes an entry off its list.
func (t *Tracker) remove(i int32) {
	f := &t.table[i]
	l := &t.lists[f.list]
	if f.prev != none {
		t.table[f.prev].next = f.next
	} else {
		l.head = f.next
	}
	if f.next != none {
		t.table[f.next].prev = f.prev
	} else {
		l.tail = f.prev
	}
}
