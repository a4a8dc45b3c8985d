package match

import (
	"encoding/binary"
	"math/bits"

	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// nets4 is true if the packet has an address in one of the nets, which are of
// one scope and direction. It asks what the packet is once for all of them.
func (m *matcher) nets4(nets []filter.Net4) step {
	isIP := m.flag(wire.FlagIPv4)
	isARP, isRARP := m.is(layout.Rec.EtherType, layout.EtherARP), m.is(layout.Rec.EtherType, layout.EtherRARP)
	table := m.table4(nets)
	inIP, inARP := m.headers4(nets, table), m.arp(nets, table)
	switch nets[0].Scope {
	case filter.IPScope:
		return m.all(isIP, inIP)
	case filter.ARPScope:
		return m.all(isARP, inARP)
	case filter.RARPScope:
		return m.all(isRARP, inARP)
	}
	return m.choose(isIP, inIP, m.all(m.anyOf(isARP, isRARP), inARP))
}

// headers4 compares the addresses of an IPv4 header.
func (m *matcher) headers4(nets []filter.Net4, t *table) step {
	if t != nil {
		return m.either(nets[0].Direction, m.address(t, layout.Rec.Source, 12), m.address(t, layout.Rec.Destination, 12))
	}
	return oneOf(m, nets, nets[0].Direction, m.address4)
}

// oneOf compares the addresses of a header that is whole: all sources, then all
// destinations, unless they go together.
func oneOf[T any](m *matcher, nets []T, d filter.Direction, address func(layout.RecordField, T) step) step {
	var sources, destinations, both []step
	for _, n := range nets {
		source, destination := address(layout.Rec.Source, n), address(layout.Rec.Destination, n)
		sources, destinations = append(sources, source), append(destinations, destination)
		both = append(both, m.all(source, destination))
	}
	if d == filter.Both {
		return m.anyOf(both...)
	}
	return m.either(d, m.anyOf(sources...), m.anyOf(destinations...))
}

// address4 compares the last four bytes of a v4-mapped address.
func (m *matcher) address4(f layout.RecordField, n filter.Net4) step {
	if n.Mask == 0 {
		return m.always
	}
	q := question{field: f, offset: 12, op: bpf.JEq, value: network(n.Address)}
	if n.Mask != 0xffffffff {
		q.mask = network(n.Mask)
	}
	return m.question(q)
}

// nets6 is true if an IPv6 header has an address in one of the nets, which are
// of one direction.
func (m *matcher) nets6(nets []filter.Net6) step {
	in := oneOf(m, nets, nets[0].Direction, m.address6)
	if t := m.table6(nets); t != nil {
		in = m.either(nets[0].Direction, m.address(t, layout.Rec.Source, 0), m.address(t, layout.Rec.Destination, 0))
	}
	return m.all(m.flag(wire.FlagIPv6), in)
}

// address6 compares as many words as the prefix is long.
func (m *matcher) address6(f layout.RecordField, n filter.Net6) step {
	address := n.Prefix.Addr().As16()
	var steps []step
	for offset, bits := int16(0), n.Prefix.Bits(); bits > 0; offset, bits = offset+4, bits-32 {
		q := question{field: f, offset: offset, op: bpf.JEq, value: binary.NativeEndian.Uint32(address[offset:])}
		if bits < 32 {
			q.mask = network(^uint32(0) << (32 - bits))
		}
		steps = append(steps, m.question(q))
	}
	if len(steps) == 0 {
		return m.always
	}
	return m.all(steps...)
}

// table4 is a table of nets that are many enough, or nil. Source and
// destination must not have to be in the same net, and masks must be prefixes.
func (m *matcher) table4(nets []filter.Net4) *table {
	if len(nets) < LookupFrom || nets[0].Direction == filter.Both {
		return nil
	}
	var keys []prefix
	for _, n := range nets {
		ones := bits.LeadingZeros32(^n.Mask)
		if bits.OnesCount32(n.Mask) != ones {
			return nil
		}
		keys = append(keys, prefix{binary.BigEndian.AppendUint32(nil, n.Address), ones})
	}
	return m.table(keys)
}

func (m *matcher) table6(nets []filter.Net6) *table {
	if len(nets) < LookupFrom || nets[0].Direction == filter.Both {
		return nil
	}
	var keys []prefix
	for _, n := range nets {
		keys = append(keys, prefix{n.Prefix.Addr().AsSlice(), n.Prefix.Bits()})
	}
	return m.table(keys)
}
