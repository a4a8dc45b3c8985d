package match

import (
	"encoding/binary"
	"math/bits"

	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// column is a question of a table's rows: a part of the key.
type column struct {
	index     int // in the rows
	direction filter.Direction
	size      int16 // in the key, a multiple of 4
	at        int16 // in the key

	// sides are the fields of the record that are compared, in words.
	sides [2]side
}

// side is where the source's or the destination's value is.
type side struct {
	field layout.RecordField
	from  int16        // of an address: its first byte that counts
	arp   layout.Field // of an IPv4 address in an ARP or RARP packet
}

// rows is true if the packet is in one of a table's rows. It looks up one key
// for each way in which directions that are open can be taken.
func (m *matcher) rows(rows []filter.Row) step {
	columns := columnsOf(rows)
	keys := make([]prefix, len(rows))
	for i, row := range rows {
		keys[i] = key(row, columns)
	}
	t := m.table(keys)

	// What the packet must be, and then the look-up.
	var asked, protocols []step
	var scopes []filter.Scope
	ports, others := false, false // beside IPv4 addresses
	for _, n := range rows[0] {
		switch n := n.(type) {
		case filter.Net4:
			scopes = append(scopes, n.Scope)
		case filter.Net6:
			others = true
			asked = append(asked, m.flag(wire.FlagIPv6))
		case filter.Port:
			ports, others = true, true
			if n.Protocol != 0 {
				protocols = append(protocols, m.is(layout.Rec.Protocol, uint32(n.Protocol)))
			}
		default:
			asked = append(asked, m.node(n))
		}
	}
	asked = append(asked, protocols...)
	inIP := m.lookUp(t, columns, false)
	if ports {
		cut := []step{m.flag(wire.FlagCut)}
		if len(protocols) == 0 {
			cut = append(cut, m.bearsPorts())
		}
		cut = append(cut, m.decide(func(_, _ assemble.Label) { m.goTo(m.abort) }))
		inIP = m.choose(m.flag(wire.FlagPorts), inIP, m.all(cut...))
	}
	if len(scopes) == 0 {
		return m.all(append(asked, inIP)...)
	}
	isIP := m.flag(wire.FlagIPv4)
	isARP, isRARP := m.is(layout.Rec.EtherType, layout.EtherARP), m.is(layout.Rec.EtherType, layout.EtherRARP)
	inARP := m.lookUp(t, columns, true)
	if others { // what ARP does not have
		inARP = m.not(m.always)
	}
	switch scopes[0] { // of all
	case filter.IPScope:
		return m.all(append(asked, isIP, inIP)...)
	case filter.ARPScope:
		return m.all(append(asked, isARP, inARP)...)
	case filter.RARPScope:
		return m.all(append(asked, isRARP, inARP)...)
	}
	if others {
		return m.all(append(asked, isIP, inIP)...)
	}
	return m.all(append(asked, m.choose(isIP, inIP, m.all(m.anyOf(isARP, isRARP), inARP)))...)
}

// columnsOf places the values of a row in a key: a net comes last, as a trie
// wants it.
func columnsOf(rows []filter.Row) (columns []column) {
	var last []column
	for i, n := range rows[0] {
		c := column{index: i}
		net := false
		switch n := n.(type) {
		case filter.Port:
			c.direction, c.size = n.Direction, 4
			c.sides = [2]side{{field: layout.Rec.SourcePort}, {field: layout.Rec.DestinationPort}}
		case filter.Net4:
			c.direction, c.size = n.Direction, 4
			c.sides = [2]side{{layout.Rec.Source, 12, layout.ARPSender}, {layout.Rec.Destination, 12, layout.ARPTarget}}
			for _, row := range rows {
				net = net || row[i].(filter.Net4).Mask != 0xffffffff
			}
		case filter.Net6:
			c.direction, c.size = n.Direction, 16
			c.sides = [2]side{{field: layout.Rec.Source}, {field: layout.Rec.Destination}}
			for _, row := range rows {
				net = net || !row[i].(filter.Net6).Prefix.IsSingleIP()
			}
		default:
			continue
		}
		if net {
			last = append(last, c)
			continue
		}
		columns = append(columns, c)
	}
	columns = append(columns, last...)
	at := int16(0)
	for i := range columns {
		columns[i].at = at
		at += columns[i].size
	}
	return columns
}

// key is a row as it is looked up.
func key(row filter.Row, columns []column) (k prefix) {
	for _, c := range columns {
		k.bits = 8 * len(k.bytes)
		switch n := row[c.index].(type) {
		case filter.Port:
			k.bytes = binary.NativeEndian.AppendUint32(k.bytes, uint32(n.Low))
			k.bits += 32
		case filter.Net4:
			k.bytes = binary.BigEndian.AppendUint32(k.bytes, n.Address)
			k.bits += bits.LeadingZeros32(^n.Mask)
		case filter.Net6:
			k.bytes = append(k.bytes, n.Prefix.Addr().AsSlice()...)
			k.bits += n.Prefix.Bits()
		}
	}
	return k
}

// lookUp looks the packet's values up, by each way to choose between source and
// destination where that is open.
func (m *matcher) lookUp(t *table, columns []column, arp bool) step {
	return m.decide(func(yes, no assemble.Label) {
		ways := 1
		for _, c := range columns {
			if c.direction == filter.Either {
				ways *= 2
			}
		}
		for way := range ways {
			open := way
			here := false // whether r1 points to the ARP packet
			for i, c := range columns {
				destination, changed := 0, way == 0
				switch c.direction {
				case filter.Destination:
					destination = 1
				case filter.Either:
					destination = open & 1
					changed = changed || destination != before(columns, i, way-1)
					open >>= 1
				}
				if !changed {
					continue
				}
				if arp && !here {
					m.arpIsWhole(columns)
					here = true
				}
				m.store(t, c, c.sides[destination], arp)
			}
			m.find(t, true, yes)
		}
		m.goTo(no)
	})
}

// before is the side of an open column on a way.
func before(columns []column, i, way int) int {
	for _, c := range columns[:i] {
		if c.direction == filter.Either {
			way >>= 1
		}
	}
	return way & 1
}

// arpIsWhole leaves in r1 where an ARP packet begins that has the addresses. One
// that is cut ends the filter.
func (m *matcher) arpIsWhole(columns []column) {
	end := int32(0)
	for _, c := range columns {
		last := c.sides[1].arp
		if c.direction == filter.Source {
			last = c.sides[0].arp
		}
		end = max(end, int32(last.Offset)+4)
	}
	m.networkHeader()
	m.reach(bpf.R1, end, m.short)
}

// store stores a value of the record, or of the ARP packet that r1 points to,
// in the key.
func (m *matcher) store(t *table, c column, s side, arp bool) {
	slot := t.data() + c.at
	if arp {
		s.arp.LoadRaw(m.Builder, bpf.R0, bpf.R1)
		m.Emit(bpf.StoreMem(stack, slot, bpf.R0, bpf.Word))
		return
	}
	for i := int16(0); i < c.size; i += 4 {
		size := bpf.Word
		if s.field.Size == bpf.Half { // a port
			size = bpf.Half
		}
		m.Note("record."+s.field.Name, bpf.LoadMem(bpf.R0, record, int16(s.field.Offset)+s.from+i, size))
		m.Emit(bpf.StoreMem(stack, slot+i, bpf.R0, bpf.Word))
	}
}
