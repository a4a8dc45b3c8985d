package filter

import (
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
)

var multicast6 = netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xff}), 8)

// id parses what stands behind qualifiers: one name, number or address, not
// and an id, or several in parentheses.
func (p *parser) id(q qualifiers) part {
	defer p.nest()()
	t := p.peek()
	switch {
	case p.accept("not"):
		return p.negate(p.id(q))
	case p.accept("("):
		list := p.id(q)
		for {
			switch {
			case p.accept("and"):
				right := p.id(q)
				list = p.join(list, right, And{list.node, right.node})
			case p.accept("or"):
				right := p.id(q)
				list = p.join(list, right, Or{list.node, right.node})
			default:
				p.expect(")", "to close the parenthesis")
				return list
			}
		}
	}
	switch t.kind {
	case number:
		p.take()
		return p.numeric(q, t)
	case word:
		if list := listed(p.text[t.offset:]); list != "" && t.is("in") {
			p.fail(t, "unexpected \"in\": write %s", said(q.words(), "==", list))
		}
		if isKeyword(t.text) {
			p.keywordID(q, t)
		}
		fallthrough
	case escaped:
		p.take()
		return p.name(q, t)
	case ipv4, ipv6:
		p.take()
		return p.address(q, t)
	case mac:
		p.take()
		if q.protocol != "ether" || q.what == aProtocol {
			p.fail(t, "%s is an Ethernet address: write ether host, ether src or ether dst", t.text)
		}
		return part{EtherAddress{q.direction, t.mac}, 1, q}
	}
	p.unsigned(q.words(), t)
	if t.is("[") {
		p.fail(t, "unexpected \"[\": write an address without brackets")
	}
	p.unexpected(t, q.wanted())
	panic("unreachable")
}

// wanted names what the qualifiers ask for.
func (q qualifiers) wanted() string {
	switch q.what {
	case aPort:
		return "a port (as in port 443)"
	case aRange:
		return "a range of ports (as in portrange 6000-6063)"
	case aProtocol:
		return "a protocol (as in proto 6)"
	case aNet:
		return "a network (as in net 192.0.2.0/24)"
	}
	if q.protocol == "ether" {
		return "an Ethernet address"
	}
	return "an address"
}

// keywordID fails at a keyword in the place of an id.
func (p *parser) keywordID(q qualifiers, t token) {
	if q.what == aProtocol {
		p.refuse(t)
		_, known := p.names.protocol(t.text)
		if q.protocol == "ether" {
			_, known = etherTypes[t.text]
		}
		if known {
			p.fail(t, `%s is a keyword: write \%s for the protocol's name, and in a shell '\%[1]s'`, t.text, t.text)
		}
		if protocol, ok := protocolWords[t.text].alone.(Proto); ok && q.protocol != "ether" {
			p.fail(t, "%s is a keyword: write %d for the protocol's number", t.text, protocol.Number)
		}
	}
	p.fail(t, "unexpected %q where %s is expected", t.text, q.wanted())
}

// name resolves a name, which is written with or without a backslash.
func (p *parser) name(q qualifiers, t token) part {
	switch q.what {
	case aPort:
		return p.namedPort(q, t)
	case aRange:
		return p.portRange(q, t)
	case aProtocol:
		return p.namedProtocol(q, t)
	}
	p.noAddress(q, t)
	panic("unreachable")
}

// numeric resolves a number.
func (p *parser) numeric(q qualifiers, t token) part {
	n := t.number
	switch q.what {
	case aPort, aRange:
		return part{Port{portProtocols[q.protocol], q.direction, p.portNumber(t, uint64(n)), uint16(n)}, 1, q}
	case aProtocol:
		return p.protocol(q, t, n)
	}
	if q.protocol == "ether" {
		p.fail(t, "%s is not an Ethernet address", quoted(t.text))
	}
	if next := p.peek(); next.is("/") || next.is("mask") {
		p.fail(next, "a net in one number has no mask: write it out, as in net 10.0.0.0/8")
	}
	if q.what != aNet && 0 < n && n < 1<<24 {
		p.fail(t, "%s is the address %s: write it in full, or %sport %s for a port",
			quoted(t.text), ipv4Text(n), directions[q.direction], t.text)
	}
	mask := ^uint32(0)
	if q.what == aNet { // 10 is 10.0.0.0/8
		for ; n != 0 && n>>24 == 0; n <<= 8 {
			mask <<= 8
		}
	}
	return p.net4(q, t, n, mask)
}

// address resolves an IP address, and the mask behind it.
func (p *parser) address(q qualifiers, t token) part {
	switch {
	case q.what == aPort, q.what == aRange, q.what == aProtocol:
		p.fail(t, "unexpected address %s where %s is expected", t.text, q.wanted())
	case q.protocol == "ether":
		p.fail(t, "%s is an IP address: write host, or ip host", t.text)
	}
	if t.kind == ipv6 {
		return p.net6(q, t)
	}
	slash := p.peek()
	address, mask := p.dotted(t)
	switch {
	case p.accept("/"):
		length := p.length(32)
		mask = ^uint32(0) << (32 - length) // 0 where length is
	case p.accept("mask"):
		m := p.take()
		if m.kind != ipv4 {
			p.unexpected(m, "a mask (as in 255.255.255.0)")
		}
		mask, _ = p.dotted(m)
	}
	net := net4Text(address&mask, mask)
	if q.what != aNet && p.tokens[p.pos-1] != t {
		p.fail(slash, "only a net has a mask: write %s%s", directions[q.direction], net)
	}
	if address&^mask != 0 {
		p.fail(t, "bits behind the mask are set in %s: the net is %s", t.text, net)
	}
	return p.net4(q, t, address, mask)
}

// length parses a prefix length.
func (p *parser) length(most uint32) uint32 {
	t := p.take()
	if t.kind != number {
		p.unexpected(t, "a prefix length")
	}
	if t.number > most {
		p.fail(t, "prefix length %d is over %d", t.number, most)
	}
	return t.number
}

// dotted reads an IPv4 address of two to four bytes, decimal as in libpcap
// also where they begin with 0, and the mask of those that are given.
func (p *parser) dotted(t token) (address, mask uint32) {
	for part := range strings.SplitSeq(t.text, ".") {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			p.fail(t, "%s is not an IPv4 address: %s is not a number up to 255", quoted(t.text), quoted(part))
		}
		address, mask = address<<8|uint32(n), mask<<8|0xff
	}
	missing := bits.LeadingZeros32(mask)
	return address << missing, mask << missing
}

var scopes = map[string]Scope{"": AnyScope, "ip": IPScope, "arp": ARPScope, "rarp": RARPScope}

func (p *parser) net4(q qualifiers, t token, address, mask uint32) part {
	scope, ok := scopes[q.protocol]
	if !ok {
		p.fail(t, "%s is an IPv4 address, which %s does not have", t.text, q.protocol)
	}
	return part{Net4{scope, q.direction, address, mask}, 1, q}
}

func (p *parser) net6(q qualifiers, t token) part {
	if q.protocol != "" && q.protocol != "ip6" {
		p.fail(t, "%s is an IPv6 address, which %s does not have", t.text, q.protocol)
	}
	length := uint32(128)
	slash := p.peek()
	if p.accept("/") {
		length = p.length(128)
	}
	if length != 128 && q.what != aNet {
		p.fail(slash, "only a net has a mask: write %snet %s", directions[q.direction], netip.PrefixFrom(t.addr, int(length)).Masked())
	}
	prefix := netip.PrefixFrom(t.addr, int(length))
	if prefix.Masked() != prefix {
		p.fail(t, "bits behind the mask are set in %s: the net is net %s", t.text, prefix.Masked())
	}
	return part{Net6{q.direction, prefix}, 1, q}
}
