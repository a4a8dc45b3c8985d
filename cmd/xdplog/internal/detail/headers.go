package detail

import "encoding/binary"

var order = binary.BigEndian

// EtherTypes, and the TPIDs of tags.
const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	tpidC     = 0x8100
	etherIPv6 = 0x86dd
	tpidS     = 0x88a8

	maxLength = 1500 // what is at most this is a length (IEEE 802.3, 3.2.6)
)

// IANA protocol numbers.
const (
	protoHopByHop    = 0
	protoICMP        = 1
	protoTCP         = 6
	protoUDP         = 17
	protoRouting     = 43
	protoFragment    = 44
	protoAH          = 51
	protoICMPv6      = 58
	protoDestination = 60
	protoSCTP        = 132
)

// Lengths of headers in bytes.
const (
	ethernetHeader = 14
	tag            = 4
	ipv4Header     = 20 // without options
	ipv6Header     = 40
	udpHeader      = 8
	tcpHeader      = 20 // without options
	arpPacket      = 28 // of IPv4 on Ethernet
)

// headers are those of a packet, each from its first byte on to the packet's end,
// and nil where it is not wholly there.
type headers struct {
	etherType uint16
	link      int // bytes before the network layer

	arp, llc   []byte
	ipv4, ipv6 []byte
	fragment   []byte // header of IPv6
	body       []byte // behind the IP headers; nil in a later fragment
	protocol   uint8  // of body
	length     int    // of body by the IP header, which may be more than there is
}

// headers are those of the packet that is spoken of.
func (p Packet) headers() headers {
	frame := p.frame()
	if p.Inside == 0 {
		return parse(frame)
	}
	frame = frame[min(p.Inside, len(frame)):]
	if !p.InsideIP {
		return parse(frame)
	}
	var h headers
	if len(frame) > 0 && frame[0]>>4 == 6 {
		h.parseIPv6(frame)
	} else {
		h.parseIPv4(frame)
	}
	return h
}

// parse reads the headers of a frame, which may be cut.
func parse(frame []byte) (h headers) {
	if len(frame) < ethernetHeader {
		h.link = len(frame)
		return h
	}
	h.etherType, h.link = order.Uint16(frame[12:]), ethernetHeader
	rest := frame[ethernetHeader:]
	for range 2 {
		if h.etherType != tpidC && h.etherType != tpidS || len(rest) < tag {
			break
		}
		h.etherType = order.Uint16(rest[2:])
		rest = rest[tag:]
		h.link += tag
	}
	switch {
	case h.etherType == etherIPv4:
		h.parseIPv4(rest)
	case h.etherType == etherIPv6:
		h.parseIPv6(rest)
	case h.etherType == etherARP && len(rest) >= 8:
		h.arp = rest
	case h.etherType <= maxLength && len(rest) >= 3:
		h.llc = rest
		h.link += llcHeader(rest)
	}
	return h
}

// llcHeader is the length of an IEEE 802.2 header, and SNAP's behind it: an
// information or supervisory frame has a control field of two bytes.
func llcHeader(b []byte) int {
	length := 3
	if b[2]&3 != 3 {
		length++
	}
	if b[0] == snap && b[1] == snap {
		length += 5
	}
	return min(length, len(b))
}

// snap is the service access point of SNAP.
const snap = 0xaa

func (h *headers) parseIPv4(b []byte) {
	if len(b) < ipv4Header || b[0]>>4 != 4 {
		return
	}
	length := int(b[0]&0xf) * 4
	if length < ipv4Header || length > len(b) {
		return
	}
	h.ipv4 = b
	if order.Uint16(b[6:])&0x1fff == 0 {
		h.body, h.protocol = b[length:], b[9]
		h.length = int(order.Uint16(b[2:])) - length
	}
}

func (h *headers) parseIPv6(b []byte) {
	if len(b) < ipv6Header || b[0]>>4 != 6 {
		return
	}
	h.ipv6, h.length = b, int(order.Uint16(b[4:]))
	next := b[6]
	b = b[ipv6Header:]
	for range 8 {
		length := 8
		switch next {
		default:
			h.body, h.protocol = b, next
			return
		case protoHopByHop, protoRouting, protoDestination, protoFragment, protoAH:
		}
		if len(b) < length {
			return
		}
		switch next {
		case protoAH: // RFC 4302, 2.2: in 4 bytes, without the first 8
			length += int(b[1]) * 4
		case protoFragment:
			h.fragment = b
			if order.Uint16(b[2:])&0xfff8 != 0 {
				return
			}
		default:
			length += int(b[1]) * 8
		}
		if length > len(b) {
			return
		}
		next = b[0]
		b = b[length:]
		h.length -= length
	}
}

// tcp is the TCP header with its options, or nil, and how many bytes of the stream
// follow. Options that are cut are left out.
func (h *headers) tcp() (header, options []byte, payload int) {
	if h.protocol != protoTCP || len(h.body) < tcpHeader {
		return nil, nil, 0
	}
	length := int(h.body[12]>>4) * 4
	if length < tcpHeader {
		return h.body, nil, 0
	}
	return h.body, h.body[tcpHeader:min(length, len(h.body))], max(0, h.length-length)
}

// icmp is the ICMP header of either version, or nil.
func (h *headers) icmp() []byte {
	switch {
	case len(h.body) < 4:
	case h.ipv4 != nil && h.protocol == protoICMP, h.ipv6 != nil && h.protocol == protoICMPv6:
		return h.body
	}
	return nil
}

// isIPv4ARP reports whether an ARP packet is whole, and of IPv4 on Ethernet.
func isIPv4ARP(b []byte) bool {
	return len(b) >= arpPacket && order.Uint16(b) == 1 && order.Uint16(b[2:]) == etherIPv4 && b[4] == 6 && b[5] == 4
}
