package capfile

import (
	"encoding/binary"
	"math/bits"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
)

// A Selector says which packets are wanted. It is asked on the goroutine that reads,
// before anything is made of them: most are not wanted, as a rule.
type Selector interface {
	Select(frame []byte, length int) bool
	Counters() wire.Counters // of what it was asked
}

// A Selection is which packets of a file are read. The zero value is all.
type Selection struct {
	By      Selector // nil: all
	Limit   uint64   // reading ends after so many; 0: it doesn't
	Counted bool     // they are counted by the selector, and nothing else
	Bare    bool     // nobody asks for the Ethernet frames that stand for them

	selected uint64
}

// asks says whether a packet is to be handed over.
func (s *Selection) asks(frame []byte, length uint32) bool {
	if s.By != nil && !s.By.Select(frame, whole(length)) {
		return false
	}
	s.selected++
	return !s.Counted
}

// full says whether there are as many as are to be.
func (s *Selection) full() bool { return s.Limit > 0 && s.selected >= s.Limit }

func (s *Selection) counters() wire.Counters {
	if s.By == nil {
		return wire.Counters{}
	}
	return s.By.Counters()
}

// quick reads packets as read does, from what is in memory, for as long as they are
// what most are: whole, and without anything odd. The rest is read's.
func (p *pcap) quick(s *scanner, f *File, by *Selection) {
	if p.swap != notSwapped {
		return
	}
	b := s.chunk[s.at:]
	turned := p.order == binary.ByteOrder(binary.BigEndian)
	for len(b) >= p.header && !by.full() {
		captured, length := little.Uint32(b[8:]), little.Uint32(b[12:])
		if turned {
			captured, length = bits.ReverseBytes32(captured), bits.ReverseBytes32(length)
		}
		if captured > MaxSnapLen || len(b) < p.header+int(captured) {
			break
		}
		head, data := b, b[p.header:][:captured:captured]
		b = b[p.header+int(captured):]
		f.packets++
		length = max(length, captured)
		around := head[:p.header+int(captured)]
		if p.cook != nil && !by.Bare {
			f.batch.add(packet{time: p.time(head), data: data, length: length, cook: p.cook}, by)
		} else if p.cook.asks(around, data, length, by) {
			f.batch.List = append(f.batch.List, Packet{Time: p.time(head), Data: data, Length: length})
		}
	}
	s.at = len(s.chunk) - len(b)
}

// quick is as that of pcap: of enhanced packet blocks of interfaces that are known.
func (g *ng) quick(s *scanner, f *File, by *Selection) {
	if g.order != binary.ByteOrder(binary.LittleEndian) {
		return
	}
	const ahead, behind = 28, 4 // of the packet, and of what is beside it
	b := s.chunk[s.at:]
	for len(b) >= ahead && little.Uint32(b) == blockEnhanced && !by.full() {
		whole, number, captured := little.Uint32(b[4:]), little.Uint32(b[8:]), little.Uint32(b[20:])
		padded := ahead + (uint64(captured)+3)&^3
		if uint64(whole) < padded+behind || whole%4 != 0 || int(whole) > len(b) || whole > mostBlock ||
			little.Uint32(b[whole-behind:]) != whole || number >= uint32(len(g.interfaces)) {
			break
		}
		i := &g.interfaces[number]
		if i.id < 0 {
			break
		}
		head, data, options := b, b[ahead:][:captured:captured], b[padded:whole-behind]
		b = b[whole:]
		f.packets++
		length := max(little.Uint32(head[24:]), captured)
		at := uint64(little.Uint32(head[12:]))<<32 | uint64(little.Uint32(head[16:]))
		around := head[:ahead+captured]
		if i.cook != nil && !by.Bare || len(options) > 0 {
			p := packet{time: i.unit.time(at), data: data, length: length, iface: i.id, cook: i.cook, around: around}
			if len(options) > 0 {
				p.options, p.order = options, g.order
			}
			f.batch.add(p, by)
		} else if i.cook.asks(around, data, length, by) {
			f.batch.List = append(f.batch.List, Packet{Time: i.unit.time(at), Data: data, Length: length, Interface: int32(i.id)})
		}
	}
	s.at = len(s.chunk) - len(b)
}

// time is that of a packet, by its header.
func (p *pcap) time(head []byte) time.Time {
	fraction := int64(p.order.Uint32(head[4:]))
	if !p.nanos {
		fraction *= 1000
	}
	return time.Unix(int64(p.order.Uint32(head)), fraction)
}
