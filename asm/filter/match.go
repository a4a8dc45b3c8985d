package filter

import (
	"fmt"
	"net/netip"
)

// Match evaluates the filter on a frame, from its Ethernet header on. The frame
// may be cut; length is that of the whole packet in bytes, which len, greater
// and less are about. It is the definition of what a compiled filter does, and
// not made to be fast: see [Filter.Matcher]. A filter that is not right matches
// nothing: see [Filter.Check].
func (f *Filter) Match(frame []byte, length int) bool {
	if f.Check() != nil {
		return false
	}
	p := packet{frame: frame, length: uint32(length)}
	p.decode()
	return p.ask(f.Root) == yes
}

// verdict is a node's value on a packet.
type verdict uint8

const (
	no verdict = iota
	yes
	missing // a byte that is not there: the whole filter is false
)

func is(b bool) verdict {
	if b {
		return yes
	}
	return no
}

func (p *packet) ask(n Node) verdict {
	switch n := n.(type) {
	case And:
		return p.askAll(n, no)
	case Or:
		return p.askAll(n, yes)
	case Not:
		return p.ask(n.Term).negated()
	case Constant:
		return is(bool(n))
	case EtherType:
		return p.hasType(n.Value)
	case VLAN:
		return p.hasTag(n)
	case InTunnel:
		return is(p.in.Kind == n.Kind && (n.Any || p.in.HasID && p.in.ID == n.ID))
	case EtherAddress:
		return n.Direction.ask(
			func() verdict { return p.hasMAC(6, n.Address) },
			func() verdict { return p.hasMAC(0, n.Address) },
		)
	case Proto:
		return is(p.version != AnyIP && (n.Version == AnyIP || n.Version == p.version) && p.bears(n.Number)).typed(p)
	case Net4:
		return p.inNet4(n)
	case Net6:
		if p.version != IPv6 {
			return no.typed(p)
		}
		return n.Direction.ask(
			func() verdict { return is(n.Prefix.Contains(p.address6(8))) },
			func() verdict { return is(n.Prefix.Contains(p.address6(24))) },
		)
	case Port:
		return p.hasPort(n)
	case Relation:
		return p.holds(n)
	}
	panic(fmt.Sprintf("filter: unknown node %T", n))
}

// askAll asks terms, and tables of them, up to the first answer that decides.
func (p *packet) askAll(terms []Node, decisive verdict) verdict {
	if len(terms) < RowsFrom {
		return p.askEach(terms, decisive)
	}
	for len(terms) > 0 {
		rows, n := Rows(terms, decisive == no)
		var v verdict
		switch {
		case rows == nil:
			v = p.askEach(terms[:n], decisive)
		case decisive == no:
			v = p.inRows(rows).negated()
		default:
			v = p.inRows(rows)
		}
		if v == decisive || v == missing {
			return v
		}
		terms = terms[n:]
	}
	return decisive.negated()
}

func (p *packet) askEach(terms []Node, decisive verdict) verdict {
	for _, term := range terms {
		if v := p.ask(term); v == decisive || v == missing {
			return v
		}
	}
	return decisive.negated()
}

func (v verdict) negated() verdict {
	switch v {
	case yes:
		return no
	case no:
		return yes
	}
	return missing
}

// typed is v, or missing where the frame has no EtherType to ask for first.
func (v verdict) typed(p *packet) verdict {
	if p.typed == 0 {
		return missing
	}
	return v
}

// ask asks the source first, and the destination only if need be.
func (d Direction) ask(source, destination func() verdict) verdict {
	switch d {
	case Source:
		return source()
	case Destination:
		return destination()
	}
	v := source()
	if d == Either && v == no || d == Both && v == yes {
		return destination()
	}
	return v
}

func (p *packet) hasType(value uint16) verdict {
	for _, t := range p.types[:p.typed] {
		if t == value {
			return yes
		}
	}
	return no.typed(p)
}

func (p *packet) hasTag(n VLAN) verdict {
	for _, id := range p.vlans[:p.tags] {
		if n.Any || id == n.ID {
			return yes
		}
	}
	return no.typed(p)
}

func (p *packet) hasMAC(offset int, address [6]byte) verdict {
	if p.headerless || len(p.frame) < offset+len(address) {
		return missing
	}
	return is([6]byte(p.frame[offset:]) == address)
}

func (p *packet) inNet4(n Net4) verdict {
	source, destination, ok := p.addresses4(n.Scope)
	if !ok {
		return no.typed(p)
	}
	in := func(offset int) verdict {
		if len(p.frame) < offset+4 {
			return missing
		}
		return is(p.u32(offset)&n.Mask == n.Address)
	}
	return n.Direction.ask(
		func() verdict { return in(source) },
		func() verdict { return in(destination) },
	)
}

// addresses4 is where a packet has its IPv4 addresses, if it is one of the
// scope's: IPv4, ARP or RARP.
func (p *packet) addresses4(scope Scope) (source, destination int, ok bool) {
	if p.typed == 0 {
		return 0, 0, false
	}
	source, destination = p.network+14, p.network+24 // ARP and RARP
	var is Scope
	switch t := p.etherType(); {
	case p.version == IPv4:
		is, source, destination = IPScope, p.network+12, p.network+16
	case t == typeARP:
		is = ARPScope
	case t == typeRARP:
		is = RARPScope
	default:
		return 0, 0, false
	}
	return source, destination, scope == AnyScope || scope == is
}

// address6 is the address at an offset in the IPv6 header.
func (p *packet) address6(offset int) netip.Addr {
	return netip.AddrFrom16([16]byte(p.frame[p.network+offset:]))
}

func (p *packet) hasPort(n Port) verdict {
	if !p.mayHavePorts(n.Protocol) {
		return no.typed(p)
	}
	in := func(offset int) verdict {
		if len(p.frame) < offset+2 {
			return missing
		}
		port := p.u16(offset)
		return is(n.Low <= port && port <= n.High)
	}
	return n.Direction.ask(
		func() verdict { return in(p.transport) },
		func() verdict { return in(p.transport + 2) },
	)
}

// mayHavePorts says whether the packet has ports of a protocol, 0 for any of the
// three, unless they are cut off.
func (p *packet) mayHavePorts(protocol uint8) bool {
	switch p.protocol {
	case protoTCP, protoUDP, protoSCTP:
		return p.version != AnyIP && !p.later && (protocol == 0 || protocol == p.protocol)
	}
	return false
}
