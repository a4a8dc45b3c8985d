package detail

import (
	"net/netip"

	"github.com/xdplog/xdplog/internal/words"
)

// appendICMP appends type and code of an ICMP packet, and in brackets what they are
// called, with what is most looked for in it:
//
//	type 8 code 0 (echo request, id 4, seq 1)
//	type 3 code 3 (port unreachable, of udp 192.0.2.1:40000 > 192.0.2.2:53)
func appendICMP(b, p []byte, v6 bool) []byte {
	kind, code := p[0], p[1]
	b = appendNumber(b, " type ", uint64(kind))
	b = appendNumber(b, " code ", uint64(code))
	name, has := icmpName(kind, code, v6)
	if name == "" {
		return b
	}
	b = append(b, " ("...)
	b = append(b, name...)
	switch {
	case len(p) < 8:
	case has == echo:
		b = appendNumber(b, ", id ", uint64(order.Uint16(p[4:])))
		b = appendNumber(b, ", seq ", uint64(order.Uint16(p[6:])))
	case has == packet:
		b = appendInner(b, p[8:])
	case has == target && len(p) >= 24:
		b = netip.AddrFrom16([16]byte(p[8:])).AppendTo(append(b, ' '))
	}
	return append(b, ')')
}

// What stands in an ICMP packet behind its first four bytes.
type contents uint8

const (
	others contents = iota
	echo            // identifier and sequence number
	packet          // the packet that it is about
	target          // address that is looked for
)

// icmpName is what a type and code are called, or "".
func icmpName(kind, code uint8, v6 bool) (string, contents) {
	if v6 {
		return icmpv6Name(kind, code)
	}
	switch kind {
	case 0:
		return "echo reply", echo
	case 3:
		if int(code) < len(unreachable) {
			return unreachable[code], packet
		}
		return "unreachable", packet
	case 4:
		return "source quench", packet
	case 5:
		return "redirect", packet
	case 8:
		return "echo request", echo
	case 9:
		return "router advertisement", others
	case 10:
		return "router solicitation", others
	case 11:
		if code == 1 {
			return "reassembly time exceeded", packet
		}
		return "time exceeded", packet
	case 12:
		return "parameter problem", packet
	case 13:
		return "timestamp request", echo
	case 14:
		return "timestamp reply", echo
	}
	return "", others
}

// unreachable are the codes of type 3: RFC 792, RFC 1122, 3.2.2.1, RFC 1812, 5.2.7.1.
var unreachable = [...]string{
	"net unreachable", "host unreachable", "protocol unreachable", "port unreachable", "fragmentation needed",
	"source route failed", "net unknown", "host unknown", "source isolated", "net prohibited", "host prohibited",
	"net unreachable for service", "host unreachable for service", "administratively prohibited",
	"host precedence violation", "precedence cutoff",
}

// unreachable6 are the codes of type 1: RFC 4443, 3.1.
var unreachable6 = [...]string{
	"no route", "administratively prohibited", "beyond scope", "address unreachable", "port unreachable",
	"source address policy", "reject route",
}

func icmpv6Name(kind, code uint8) (string, contents) {
	switch kind {
	case 1:
		if int(code) < len(unreachable6) {
			return unreachable6[code], packet
		}
		return "unreachable", packet
	case 2:
		return "packet too big", packet
	case 3:
		if code == 1 {
			return "reassembly time exceeded", packet
		}
		return "time exceeded", packet
	case 4:
		return "parameter problem", packet
	case 128:
		return "echo request", echo
	case 129:
		return "echo reply", echo
	case 130:
		return "multicast listener query", others
	case 131:
		return "multicast listener report", others
	case 132:
		return "multicast listener done", others
	case 133:
		return "router solicitation", others
	case 134:
		return "router advertisement", others
	case 135:
		return "neighbor solicitation, who has", target
	case 136:
		return "neighbor advertisement, it is", target
	case 137:
		return "redirect", others
	case 143:
		return "multicast listener report v2", others
	}
	return "", others
}

// appendInner appends the packet that an ICMP error is about, as far as it is there.
func appendInner(b, p []byte) []byte {
	var h headers
	var source, destination netip.Addr
	var protocol uint8
	h.parseIPv4(p)
	if h.parseIPv6(p); h.ipv4 != nil {
		source, destination, protocol = netip.AddrFrom4([4]byte(p[12:])), netip.AddrFrom4([4]byte(p[16:])), p[9]
	} else if h.ipv6 != nil {
		source, destination, protocol = netip.AddrFrom16([16]byte(p[8:])), netip.AddrFrom16([16]byte(p[24:])), h.protocol
	} else {
		return b
	}
	b = append(b, ", of "...)
	b = words.AppendProtocol(b, protocol)
	ports := len(h.body) >= 4 && (protocol == protoTCP || protocol == protoUDP || protocol == protoSCTP)
	var from, to uint16
	if ports {
		from, to = order.Uint16(h.body), order.Uint16(h.body[2:])
	}
	b = words.AppendEndpoint(append(b, ' '), netip.AddrPortFrom(source, from), ports)
	return words.AppendEndpoint(append(b, " > "...), netip.AddrPortFrom(destination, to), ports)
}
