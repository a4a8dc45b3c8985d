package filter

import "encoding/binary"

// protocols is how many terms, from the first on, ask for protocols that are no
// extension headers.
func protocols(terms []Node) (n int) {
	for ; n < len(terms); n++ {
		if proto, ok := terms[n].(Proto); !ok || isExtension(proto.Number) {
			break
		}
	}
	return n
}

// compileProtocols compiles an Or of such terms, which is one look-up.
func compileProtocols(run []Node) test {
	var ipv4, ipv6 [256]bool
	for _, n := range run {
		proto := n.(Proto)
		ipv4[proto.Number] = ipv4[proto.Number] || proto.Version != IPv6
		ipv6[proto.Number] = ipv6[proto.Number] || proto.Version != IPv4
	}
	return func(p *packet) verdict {
		switch p.version {
		case IPv4:
			return is(ipv4[p.protocol])
		case IPv6:
			return is(ipv6[p.protocol])
		}
		return no.typed(p)
	}
}

// compilePort compiles what is asked of packets that have both ports.
func compilePort(n Port) test {
	among := func(port uint16) bool { return n.Low <= port && port <= n.High }
	if n.Low == n.High {
		among = func(port uint16) bool { return port == n.Low }
	}
	return func(p *packet) verdict {
		if !p.mayHavePorts(n.Protocol) {
			return no.typed(p)
		}
		if len(p.frame) < p.transport+4 {
			return p.hasPort(n)
		}
		both := p.u32(p.transport)
		source, destination := uint16(both>>16), uint16(both)
		switch n.Direction {
		case Source:
			return is(among(source))
		case Destination:
			return is(among(destination))
		case Both:
			return is(among(source) && among(destination))
		}
		return is(among(source) || among(destination))
	}
}

// compileNet4 compiles what is asked of an IPv4 packet, which has both addresses.
func compileNet4(n Net4) test {
	ofIP := n.Scope == AnyScope || n.Scope == IPScope
	return func(p *packet) verdict {
		if p.version != IPv4 {
			return p.inNet4(n)
		}
		if !ofIP {
			return no
		}
		addresses := p.frame[p.network+12:][:8]
		source := binary.BigEndian.Uint32(addresses)&n.Mask == n.Address
		destination := binary.BigEndian.Uint32(addresses[4:])&n.Mask == n.Address
		return is(n.Direction.of(source, destination))
	}
}

// of is what is so of the source, of the destination, of one of them or of both.
func (d Direction) of(source, destination bool) bool {
	switch d {
	case Source:
		return source
	case Destination:
		return destination
	case Both:
		return source && destination
	}
	return source || destination
}

// compileNet6 compiles the comparison of addresses as two words.
func compileNet6(n Net6) test {
	address := n.Prefix.Addr().As16()
	wanted := [2]uint64{binary.BigEndian.Uint64(address[:8]), binary.BigEndian.Uint64(address[8:])}
	bits := n.Prefix.Bits()
	mask := [2]uint64{^(^uint64(0) >> min(bits, 64)), ^(^uint64(0) >> max(bits-64, 0))}
	return func(p *packet) verdict {
		if p.version != IPv6 {
			return no.typed(p)
		}
		addresses := p.frame[p.network+8:][:32]
		in := func(b []byte) bool {
			return binary.BigEndian.Uint64(b)&mask[0] == wanted[0] && binary.BigEndian.Uint64(b[8:])&mask[1] == wanted[1]
		}
		return is(n.Direction.of(in(addresses), in(addresses[16:])))
	}
}

// quantity computes a number, and says false where that ends the evaluation.
type quantity func(*packet) (uint32, bool)

func compileRelation(n Relation) test {
	layers, left, right := n.Layers(), compileArith(n.Left), compileArith(n.Right)
	return func(p *packet) verdict {
		for _, layer := range layers {
			if v := p.has(layer); v != yes {
				return v
			}
		}
		l, ok := left(p)
		if !ok {
			return missing
		}
		r, ok := right(p)
		if !ok {
			return missing
		}
		return is(compare(n.Op, l, r))
	}
}

func compileArith(a Arith) quantity {
	switch a := a.(type) {
	case Number:
		return func(*packet) (uint32, bool) { return uint32(a), true }
	case Length:
		return func(p *packet) (uint32, bool) { return p.length, true }
	case Load:
		if offset, ok := a.Offset.(Number); ok {
			return func(p *packet) (uint32, bool) { return p.load(a.Layer, uint32(offset), int(a.Size)) }
		}
		offset := compileArith(a.Offset)
		return func(p *packet) (uint32, bool) {
			at, ok := offset(p)
			if !ok {
				return 0, false
			}
			return p.load(a.Layer, at, int(a.Size))
		}
	case Binary:
		left, right := compileArith(a.Left), compileArith(a.Right)
		return func(p *packet) (uint32, bool) {
			l, ok := left(p)
			if !ok {
				return 0, false
			}
			r, ok := right(p)
			if !ok {
				return 0, false
			}
			return calculate(a.Op, l, r)
		}
	}
	return func(p *packet) (uint32, bool) { return p.compute(a) }
}
