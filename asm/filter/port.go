package filter

import (
	"errors"
	"strconv"
	"strings"
)

var portProtocols = map[string]uint8{"tcp": protoTCP, "udp": protoUDP, "sctp": protoSCTP}

// portNumber checks a port number.
func (p *parser) portNumber(t token, n uint64) uint16 {
	if n > 65535 {
		p.fail(t, "port %d is over 65535", n)
	}
	return uint16(n)
}

// namedPort resolves a service. A name that one of TCP and UDP has is about it.
func (p *parser) namedPort(q qualifiers, t token) part {
	s, ok := p.names.service(t.text)
	if !ok {
		if before, after, found := strings.Cut(t.text, "-"); found && isNumeral(before) && isNumeral(after) {
			p.fail(t, "%s is a range: write portrange %s", t.text, t.text)
		}
		p.unsigned(q.words(), t)
		p.noName(t, "port name", p.names.serviceNames())
	}
	protocol, err := s.within(portProtocols[q.protocol])
	if err != nil {
		p.fail(t, "port %s %v", quoted(t.text), err)
	}
	return part{Port{protocol, q.direction, s.port, s.port}, 1, q}
}

// portRange resolves low-high, each of them a number or a service, whose name
// may have a minus itself.
func (p *parser) portRange(q qualifiers, t token) part {
	for i := range t.text {
		if t.text[i] != '-' {
			continue
		}
		low, ok := p.rangeEnd(t, t.text[:i])
		if !ok {
			continue
		}
		high, ok := p.rangeEnd(t, t.text[i+1:])
		if !ok {
			continue
		}
		common := service{port: low.port, tcp: low.tcp, udp: low.udp}
		if low.tcp != high.tcp || low.udp != high.udp {
			common.tcp, common.udp = true, true // as libpcap: then it is any
		}
		protocol, err := common.within(portProtocols[q.protocol])
		if err != nil {
			p.fail(t, "range %s %v", quoted(t.text), err)
		}
		return part{Port{protocol, q.direction, min(low.port, high.port), max(low.port, high.port)}, 1, q}
	}
	if s, ok := p.names.service(t.text); ok {
		p.fail(t, "%s is a port: write portrange %d-%d, or port %s", t.text, s.port, s.port, t.text)
	}
	p.fail(t, "%s is not a range of ports, such as 6000-6063 or ftp-ssh", quoted(t.text))
	panic("unreachable")
}

func (p *parser) rangeEnd(t token, s string) (service, bool) {
	if n, err := strconv.ParseUint(s, 10, 32); err == nil || errors.Is(err, strconv.ErrRange) {
		return service{port: p.portNumber(t, n), tcp: true, udp: true}, true
	}
	return p.names.service(s)
}

// namedProtocol resolves the name of an IP protocol or an EtherType.
func (p *parser) namedProtocol(q qualifiers, t token) part {
	if q.protocol == "ether" {
		if n, ok := etherTypes[t.text]; ok {
			return p.protocol(q, t, n)
		}
		if why, ok := unsupported[t.text]; ok {
			p.fail(t, "ether proto %s: not supported: %s", t.text, why)
		}
		p.noName(t, "EtherType", []string{"ip", "ip6", "arp", "rarp", "loopback"})
	}
	n, ok := p.names.protocol(t.text)
	if !ok {
		p.noName(t, "protocol name", p.names.protocolNames())
	}
	return p.protocol(q, t, uint32(n))
}

// protocol is the node for the number behind proto.
func (p *parser) protocol(q qualifiers, t token, n uint32) part {
	switch {
	case q.protocol == "ether" && n > 0xffff:
		p.fail(t, "EtherType %#x is over 0xffff", n)
	case q.protocol == "ether" && n <= 1500:
		p.fail(t, "%d is no EtherType but an LLC SAP: not supported; write ether[12:2] <= 1500 and ether[14] = %d", n, n)
	case q.protocol == "ether":
		return part{EtherType{uint16(n)}, 1, q}
	case n > 255:
		p.fail(t, "protocol %d is over 255", n)
	}
	version := map[string]Version{"ip": IPv4, "ip6": IPv6}[q.protocol]
	return part{Proto{version, uint8(n)}, 1, q}
}

// noName fails at a name that is in no table.
func (p *parser) noName(t token, what string, known []string) {
	p.advise(t)
	if similar := nearest(t.text, known); similar != "" {
		p.fail(t, "unknown %s %s, did you mean %q?", what, quoted(t.text), similar)
	}
	p.fail(t, "unknown %s %s", what, quoted(t.text))
}
