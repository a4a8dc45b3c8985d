package detail

import (
	"bytes"
	"encoding/base64"
	"net/netip"
)

// AppendFields appends to an open object the fields that are wanted of a packet,
// each with a comma before it, by the names of Suricata's EVE where that has them.
func (o Options) AppendFields(b []byte, p Packet) []byte {
	if o.Ether {
		b = appendEtherField(b, p)
	}
	if o.Verbose {
		b = appendHeaderFields(b, p)
	}
	if o.Dump != NoDump {
		data := p.Data
		if o.Most > 0 {
			data = data[:min(o.Most, len(data))]
		}
		b = append(b, `,"packet":"`...)
		b = base64.StdEncoding.AppendEncode(b, data)
		b = append(b, '"')
	}
	return b
}

func appendEtherField(b []byte, p Packet) []byte {
	source, destination := p.MACs()
	b, start := begin(b, "ether")
	if source != nil {
		b = append(AppendMAC(append(b, `,"src_mac":"`...), source), '"')
	}
	if destination != nil {
		b = append(AppendMAC(append(b, `,"dest_mac":"`...), destination), '"')
	}
	return end(b, start)
}

// begin begins an object in another one, whose fields have a comma before them, and
// end ends it; one without fields is left out.
func begin(b []byte, name string) (_ []byte, start int) {
	start = len(b)
	b = append(b, `,"`...)
	b = append(b, name...)
	return append(b, `":`...), start
}

func end(b []byte, start int) []byte {
	fields := start + bytes.IndexByte(b[start:], ':') + 1
	if fields == len(b) {
		return b[:start]
	}
	b[fields] = '{' // in place of the first comma
	return append(b, '}')
}

func appendHeaderFields(b []byte, p Packet) []byte {
	h := p.headers()
	switch {
	case h.ipv4 != nil:
		b = appendNumber(b, `,"tos":`, uint64(h.ipv4[1]))
		b = appendNumber(b, `,"dscp":`, uint64(h.ipv4[1]>>2))
		b = appendNumber(b, `,"ipid":`, uint64(order.Uint16(h.ipv4[4:])))
		flags := order.Uint16(h.ipv4[6:])
		b = appendFragmentFields(b, flags&0x4000 != 0, flags&0x2000 != 0, int(flags&0x1fff)*8)
	case h.ipv6 != nil:
		class := byte(order.Uint16(h.ipv6) >> 4)
		b = appendNumber(b, `,"tos":`, uint64(class))
		b = appendNumber(b, `,"dscp":`, uint64(class>>2))
		b = appendNumber(b, `,"flow_label":`, uint64(order.Uint32(h.ipv6)&0xfffff))
		if h.fragment != nil {
			b = appendNumber(b, `,"ipid":`, uint64(order.Uint32(h.fragment[4:])))
			b = appendFragmentFields(b, false, h.fragment[3]&1 != 0, int(order.Uint16(h.fragment[2:])&^7))
		}
	case h.arp != nil && isIPv4ARP(h.arp):
		return appendARPField(b, h.arp)
	}
	if icmp := h.icmp(); icmp != nil {
		b = appendNumber(b, `,"icmp_type":`, uint64(icmp[0]))
		b = appendNumber(b, `,"icmp_code":`, uint64(icmp[1]))
		if _, has := icmpName(icmp[0], icmp[1], h.ipv6 != nil); has == echo && len(icmp) >= 8 {
			b = appendNumber(b, `,"icmp_id":`, uint64(order.Uint16(icmp[4:])))
			b = appendNumber(b, `,"icmp_seq":`, uint64(order.Uint16(icmp[6:])))
		}
	}
	return appendTCPFields(b, &h)
}

func appendFragmentFields(b []byte, dont, more bool, offset int) []byte {
	if dont {
		b = append(b, `,"dont_fragment":true`...)
	}
	if more {
		b = append(b, `,"more_fragments":true`...)
	}
	if offset > 0 {
		b = appendNumber(b, `,"fragment_offset":`, uint64(offset))
	}
	return b
}

func appendTCPFields(b []byte, h *headers) []byte {
	header, options, payload := h.tcp()
	if header == nil {
		return b
	}
	b = appendNumber(b, `,"tcpseq":`, uint64(order.Uint32(header[4:])))
	b = appendNumber(b, `,"tcpack":`, uint64(order.Uint32(header[8:])))
	b = appendNumber(b, `,"tcpwin":`, uint64(order.Uint16(header[14:])))
	b = appendNumber(b, `,"tcpurgp":`, uint64(order.Uint16(header[18:])))
	b = appendNumber(b, `,"payload_len":`, uint64(payload))
	return appendOptionFields(b, options)
}

func appendOptionFields(b, options []byte) []byte {
	b, start := begin(b, "tcp_options")
	var seen [256]bool
	for kind, value := range each(options) {
		again := seen[kind]
		seen[kind] = true
		switch {
		case again: // an object has each name once
		case kind == optionMSS && len(value) == 2:
			b = appendNumber(b, `,"mss":`, uint64(order.Uint16(value)))
		case kind == optionScale && len(value) == 1:
			b = appendNumber(b, `,"wscale":`, uint64(value[0]))
		case kind == optionSACKAllowed && len(value) == 0:
			b = append(b, `,"sack_ok":true`...)
		case kind == optionSACK && len(value) > 0 && len(value)%8 == 0:
			b = append(b, `,"sack":`...)
			for i := 0; i < len(value); i += 8 {
				b = appendNumber(append(b, "[,"[min(i, 1)]), "[", uint64(order.Uint32(value[i:])))
				b = appendNumber(b, ",", uint64(order.Uint32(value[i+4:])))
				b = append(b, ']')
			}
			b = append(b, ']')
		case kind == optionTime && len(value) == 8:
			b = appendNumber(b, `,"ts_val":`, uint64(order.Uint32(value)))
			b = appendNumber(b, `,"ts_ecr":`, uint64(order.Uint32(value[4:])))
		}
	}
	return end(b, start)
}

// appendARPField is an object as EVE's of an arp event.
func appendARPField(b, p []byte) []byte {
	b = append(b, `,"arp":{"opcode":"`...)
	switch operation := order.Uint16(p[6:]); operation {
	case 1:
		b = append(b, "request"...)
	case 2:
		b = append(b, "reply"...)
	default:
		b = appendNumber(b, "", uint64(operation))
	}
	b = AppendMAC(append(b, `","src_mac":"`...), p[8:14])
	b = netip.AddrFrom4([4]byte(p[14:])).AppendTo(append(b, `","src_ip":"`...))
	b = AppendMAC(append(b, `","dest_mac":"`...), p[18:24])
	b = netip.AddrFrom4([4]byte(p[24:])).AppendTo(append(b, `","dest_ip":"`...))
	return append(b, `"}`...)
}
