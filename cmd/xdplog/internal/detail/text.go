package detail

import (
	"net/netip"
	"strconv"
)

// AppendWords appends what -v says of a packet to its line, each word with a space
// before it, in tcpdump's words:
//
//	dscp 0 id 54321 DF seq 1:101 ack 1 win 502 options [nop,nop,TS val 1 ecr 2]
//
// Sequence numbers are those of the packet, and with bytes of the stream in it the
// one behind them follows.
func AppendWords(b []byte, p Packet) []byte {
	h := p.headers()
	switch {
	case h.ipv4 != nil:
		b = appendClass(b, h.ipv4[1])
		b = appendNumber(b, " id ", uint64(order.Uint16(h.ipv4[4:])))
		b = appendFragment(b, order.Uint16(h.ipv4[6:])&0x4000 != 0, order.Uint16(h.ipv4[6:])&0x2000 != 0, int(order.Uint16(h.ipv4[6:])&0x1fff)*8)
	case h.ipv6 != nil:
		b = appendClass(b, byte(order.Uint16(h.ipv6)>>4))
		b = append(b, " flowlabel 0x"...)
		b = appendHex(b, uint64(order.Uint32(h.ipv6)&0xfffff), 5)
		if h.fragment != nil {
			b = appendNumber(b, " id ", uint64(order.Uint32(h.fragment[4:])))
			b = appendFragment(b, false, h.fragment[3]&1 != 0, int(order.Uint16(h.fragment[2:])&^7))
		}
	case h.arp != nil:
		return appendARP(b, h.arp)
	case h.llc != nil:
		return appendLLC(b, h.llc)
	}
	if icmp := h.icmp(); icmp != nil {
		return appendICMP(b, icmp, h.ipv6 != nil)
	}
	return appendTCP(b, &h)
}

// appendClass appends the two parts of the traffic class (RFC 2474, RFC 3168).
func appendClass(b []byte, class byte) []byte {
	b = appendNumber(b, " dscp ", uint64(class>>2))
	if ecn := class & 3; ecn != 0 {
		b = appendNumber(b, " ecn ", uint64(ecn))
	}
	return b
}

func appendFragment(b []byte, dont, more bool, offset int) []byte {
	if dont {
		b = append(b, " DF"...)
	}
	if more {
		b = append(b, " MF"...)
	}
	if offset > 0 {
		b = appendNumber(b, " offset ", uint64(offset))
	}
	return b
}

// appendTCP appends the fields of a TCP header, RFC 9293, 3.1.
func appendTCP(b []byte, h *headers) []byte {
	header, options, payload := h.tcp()
	if header == nil {
		return b
	}
	const ack, urg = 0x10, 0x20
	sequence := order.Uint32(header[4:])
	b = appendNumber(b, " seq ", uint64(sequence))
	if payload > 0 {
		b = appendNumber(b, ":", uint64(sequence+uint32(payload)))
	}
	if header[13]&ack != 0 {
		b = appendNumber(b, " ack ", uint64(order.Uint32(header[8:])))
	}
	b = appendNumber(b, " win ", uint64(order.Uint16(header[14:])))
	if header[13]&urg != 0 {
		b = appendNumber(b, " urg ", uint64(order.Uint16(header[18:])))
	}
	if len(options) == 0 {
		return b
	}
	b = append(b, " options ["...)
	first := true
	for kind, value := range each(options) {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendOption(b, kind, value)
	}
	return append(b, ']')
}

func appendOption(b []byte, kind byte, value []byte) []byte {
	switch {
	case kind == optionEnd:
		return append(b, "eol"...)
	case kind == optionNop:
		return append(b, "nop"...)
	case kind == optionMSS && len(value) == 2:
		return appendNumber(b, "mss ", uint64(order.Uint16(value)))
	case kind == optionScale && len(value) == 1:
		return appendNumber(b, "wscale ", uint64(value[0]))
	case kind == optionSACKAllowed && len(value) == 0:
		return append(b, "sackOK"...)
	case kind == optionSACK && len(value)%8 == 0:
		b = appendNumber(b, "sack ", uint64(len(value)/8))
		for i := 0; i < len(value); i += 8 {
			b = appendNumber(b, " {", uint64(order.Uint32(value[i:])))
			b = appendNumber(b, ":", uint64(order.Uint32(value[i+4:])))
			b = append(b, '}')
		}
		return b
	case kind == optionTime && len(value) == 8:
		b = appendNumber(b, "TS val ", uint64(order.Uint32(value)))
		return appendNumber(b, " ecr ", uint64(order.Uint32(value[4:])))
	}
	b = appendNumber(b, "option ", uint64(kind))
	if len(value) > 0 {
		b = append(b, " 0x"...)
		for _, octet := range value {
			b = append(b, digits[octet>>4], digits[octet&0xf])
		}
	}
	return b
}

func appendARP(b, p []byte) []byte {
	operation := uint64(order.Uint16(p[6:]))
	if !isIPv4ARP(p) {
		b = appendNumber(b, " hardware ", uint64(order.Uint16(p)))
		b = append(b, " protocol 0x"...)
		b = appendHex(b, uint64(order.Uint16(p[2:])), 4)
		return appendNumber(b, " operation ", operation)
	}
	sender, target := netip.AddrFrom4([4]byte(p[14:])), netip.AddrFrom4([4]byte(p[24:]))
	switch operation {
	case 1:
		b = target.AppendTo(append(b, " who-has "...))
		if mac := known(p[18:24]); mac != nil {
			b = append(AppendMAC(append(b, " ("...), mac), ')')
		}
		return sender.AppendTo(append(b, " tell "...))
	case 2:
		b = sender.AppendTo(append(b, " reply "...))
		return AppendMAC(append(b, " is-at "...), p[8:14])
	}
	return appendNumber(b, " operation ", operation)
}

// appendLLC appends whose an IEEE 802.2 frame is.
func appendLLC(b, p []byte) []byte {
	const spanningTree, isIS = 0x42, 0xfe
	switch {
	case p[0] == spanningTree && p[1] == spanningTree:
		return append(b, " stp"...)
	case p[0] == isIS && p[1] == isIS:
		return append(b, " is-is"...)
	case p[0] == snap && p[1] == snap && len(p) >= 8:
		b = append(b, " snap oui 0x"...)
		b = appendHex(b, uint64(order.Uint32(p[2:])&0xffffff), 6)
		b = append(b, " type 0x"...)
		return appendHex(b, uint64(order.Uint16(p[6:])), 4)
	}
	b = append(b, " dsap 0x"...)
	b = appendHex(b, uint64(p[0]), 2)
	b = append(b, " ssap 0x"...)
	return appendHex(b, uint64(p[1]), 2)
}

func appendNumber(b []byte, name string, n uint64) []byte {
	return strconv.AppendUint(append(b, name...), n, 10)
}

// appendHex appends n in so many hexadecimal digits.
func appendHex(b []byte, n uint64, width int) []byte {
	for i := width - 1; i >= 0; i-- {
		b = append(b, digits[n>>(4*i)&0xf])
	}
	return b
}
