package filtertest

import (
	"encoding/binary"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// plain are frames without tags and extension headers.
func (m maker) plain() []Frame {
	const ip4, ip6 = layers.EthernetTypeIPv4, layers.EthernetTypeIPv6
	icmp := func(t, code uint8) gopacket.SerializableLayer {
		return &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(t, code), Id: 7, Seq: 8}
	}
	withOptions := func() *layers.IPv4 {
		ip := m.ipv4(layers.IPProtocolTCP)
		ip.Options = []layers.IPv4Option{{OptionType: 7, OptionLength: 7, OptionData: []byte{4, 1, 2, 3, 4}}, {OptionType: 0}}
		return ip
	}
	fragment := func(p layers.IPProtocol, offset uint16, more bool) *layers.IPv4 {
		ip := m.ipv4(p)
		ip.FragOffset = offset
		if more {
			ip.Flags = layers.IPv4MoreFragments
		}
		return ip
	}
	frames := []Frame{
		frame("tcp4", true, m.ethernet(ip4), m.ipv4(layers.IPProtocolTCP), m.tcp(), m.payload(30)),
		frame("tcp4 with options", true, m.ethernet(ip4), withOptions(), m.tcp(), m.payload(30)),
		frame("tcp4 first fragment", true, m.ethernet(ip4), fragment(layers.IPProtocolTCP, 0, true), m.tcp(), m.payload(30)),
		frame("tcp4 later fragment", true, m.ethernet(ip4), fragment(layers.IPProtocolTCP, 1, true), m.payload(60)),
		frame("udp4", true, m.ethernet(ip4), m.ipv4(layers.IPProtocolUDP), m.udp(), m.payload(300)),
		frame("udp4 last fragment", true, m.ethernet(ip4), fragment(layers.IPProtocolUDP, 0x1fff, false), m.payload(60)),
		frame("sctp4", true, m.ethernet(ip4), m.ipv4(layers.IPProtocolSCTP), m.sctp(), m.payload(30)),
		frame("icmp4 echo", true, m.ethernet(ip4), m.ipv4(layers.IPProtocolICMPv4), icmp(8, 0), m.payload(30)),
		frame("icmp4 unreachable", true, m.ethernet(ip4), m.ipv4(layers.IPProtocolICMPv4), icmp(3, 3), m.payload(30)),
		frame("icmp4 later fragment", true, m.ethernet(ip4), fragment(layers.IPProtocolICMPv4, 100, false), m.payload(30)),
		frame("igmp", true, m.ethernet(ip4), m.ipv4(layers.IPProtocolIGMP), gopacket.Payload{0x16, 0, 0, 0, 224, 0, 0, 1}),
		frame("vrrp", true, m.ethernet(ip4), m.ipv4(layers.IPProtocolVRRP), m.payload(30)),
		frame("esp4", true, m.ethernet(ip4), m.ipv4(layers.IPProtocolESP), m.payload(30)),
		frame("ah4", true, m.ethernet(ip4), m.ipv4(layers.IPProtocolAH), gopacket.Payload{6, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, m.tcp()),
		frame("pim4", true, m.ethernet(ip4), m.ipv4(103), m.payload(30)),
		frame("tcp6", true, m.ethernet(ip6), m.ipv6(layers.IPProtocolTCP), m.tcp(), m.payload(30)),
		frame("udp6", true, m.ethernet(ip6), m.ipv6(layers.IPProtocolUDP), m.udp(), m.payload(300)),
		frame("sctp6", true, m.ethernet(ip6), m.ipv6(layers.IPProtocolSCTP), m.sctp(), m.payload(30)),
		frame("icmp6", true, m.ethernet(ip6), m.ipv6(layers.IPProtocolICMPv6), gopacket.Payload{128, 0, 0, 0, 0, 7, 0, 8}, m.payload(30)),
		frame("esp6", true, m.ethernet(ip6), m.ipv6(layers.IPProtocolESP), m.payload(30)),
		frame("nothing in ipv6", true, m.ethernet(ip6), m.ipv6(layers.IPProtocolNoNextHeader), m.payload(3)),
		frame("arp", true, m.ethernet(layers.EthernetTypeARP), m.arp(1), m.payload(18)),
		frame("rarp", true, m.ethernet(0x8035), m.arp(3), m.payload(18)),
		frame("lldp", true, m.ethernet(layers.EthernetTypeLinkLayerDiscovery), m.payload(60)),
		frame("mpls", true, m.ethernet(0x8847), gopacket.Payload{0, 6, 0x40, 64, 0, 0xc, 0x81, 64}, m.ipv4(layers.IPProtocolUDP), m.udp()),
		frame("mpls, another label", true, m.ethernet(0x8847), gopacket.Payload{0, 6, 0x51, 64}, m.ipv4(layers.IPProtocolUDP), m.udp()),
		frame("pppoe discovery", true, m.ethernet(0x8863), gopacket.Payload{0x11, 9, 0, 0, 0, 4, 1, 1, 0, 0}),
		frame("pppoe session", true, m.ethernet(0x8864), gopacket.Payload{0x11, 0, 0, 7, 0, 42, 0, 0x21}, m.ipv4(layers.IPProtocolTCP), m.tcp()),
		frame("geneve", true, m.ethernet(ip4), m.ipv4(layers.IPProtocolUDP), &layers.UDP{SrcPort: 40000, DstPort: 6081},
			gopacket.Payload{0, 0, 0x65, 0x58, 0, 0, 10, 0}, m.ethernet(ip4), m.ipv4(layers.IPProtocolTCP), m.tcp()),
		frame("geneve over ipv6", true, m.ethernet(ip6), m.ipv6(layers.IPProtocolUDP), &layers.UDP{SrcPort: 40000, DstPort: 6081},
			gopacket.Payload{0, 0, 0x65, 0x58, 0, 0, 11, 0}, m.ethernet(ip4), m.ipv4(layers.IPProtocolTCP), m.tcp()),
		frame("geneve of another version", true, m.ethernet(ip4), m.ipv4(layers.IPProtocolUDP), &layers.UDP{SrcPort: 40000, DstPort: 6081},
			gopacket.Payload{0x40, 0, 0x65, 0x58, 0, 0, 10, 0}, m.payload(30)),
		frame("vxlan", true, m.ethernet(ip4), m.ipv4(layers.IPProtocolUDP), &layers.UDP{SrcPort: 40000, DstPort: 4789},
			gopacket.Payload{8, 0, 0, 0, 0, 0, 10, 0}, m.ethernet(ip4), m.ipv4(layers.IPProtocolTCP), m.tcp()),
		frame("length field", true, m.ethernet(0x0026), gopacket.Payload{0x42, 0x42, 3}, m.payload(40)),
	}
	for i, f := range frames {
		if m.IntN(4) == 0 { // captured with a short snapshot length
			frames[i].Length = len(f.Data) + m.IntN(1500)
		}
	}
	return frames
}

// decorated are frames with tags, extension headers and malformed IP headers.
func (m maker) decorated() []Frame {
	const ip4, ip6 = layers.EthernetTypeIPv4, layers.EthernetTypeIPv6
	tag := func(t layers.EthernetType) gopacket.SerializableLayer {
		return &layers.Dot1Q{Priority: uint8(m.IntN(8)), VLANIdentifier: pick(m.Rand, vlans), Type: t}
	}
	const c, s = layers.EthernetTypeDot1Q, layers.EthernetTypeQinQ
	frames := []Frame{
		frame("tagged tcp4", false, m.ethernet(c), tag(ip4), m.ipv4(layers.IPProtocolTCP), m.tcp(), m.payload(30)),
		frame("tagged tcp6", false, m.ethernet(s), tag(ip6), m.ipv6(layers.IPProtocolTCP), m.tcp(), m.payload(30)),
		frame("tagged arp", false, m.ethernet(c), tag(layers.EthernetTypeARP), m.arp(1)),
		frame("two tags udp4", false, m.ethernet(s), tag(c), tag(ip4), m.ipv4(layers.IPProtocolUDP), m.udp(), m.payload(30)),
		frame("two tags icmp6", false, m.ethernet(c), tag(c), tag(ip6), m.ipv6(layers.IPProtocolICMPv6), gopacket.Payload{135, 0, 0, 0}, m.payload(30)),
		frame("three tags", false, m.ethernet(s), tag(c), tag(c), tag(ip4), m.ipv4(layers.IPProtocolUDP), m.udp()),
	}
	for _, stack := range []struct {
		name    string
		headers [][]byte
		last    layers.IPProtocol
	}{
		{"hop-by-hop", [][]byte{m.extension(0, 0)}, layers.IPProtocolTCP},
		{"routing", [][]byte{m.extension(43, 2)}, layers.IPProtocolUDP},
		{"options twice", [][]byte{m.extension(60, 0), m.extension(60, 1)}, layers.IPProtocolTCP},
		{"authentication", [][]byte{m.extension(51, 4)}, layers.IPProtocolTCP},
		{"first fragment", [][]byte{fragment6(0, true)}, layers.IPProtocolUDP},
		{"later fragment", [][]byte{fragment6(3, true)}, layers.IPProtocolTCP},
		{"options and last fragment", [][]byte{m.extension(0, 0), fragment6(9, false)}, layers.IPProtocolICMPv6},
		{"all of them", [][]byte{m.extension(0, 0), m.extension(60, 0), m.extension(43, 0), fragment6(0, false), m.extension(51, 1), m.extension(60, 2)}, layers.IPProtocolSCTP},
		{"nine", [][]byte{
			m.extension(60, 0), m.extension(60, 0), m.extension(60, 0), m.extension(60, 0), m.extension(60, 0),
			m.extension(60, 0), m.extension(60, 0), m.extension(60, 0), m.extension(60, 0),
		}, layers.IPProtocolTCP},
		{"icmp6 behind options", [][]byte{m.extension(60, 1)}, layers.IPProtocolICMPv6},
	} {
		frames = append(frames, frame(stack.name, false, m.extended(stack.headers, stack.last)...))
	}
	for _, broken := range []struct {
		name    string
		base    Frame
		offset  int
		replace byte
	}{
		{"ipv4 of version 5", frame("", false, m.ethernet(ip4), m.ipv4(layers.IPProtocolTCP), m.tcp()), 14, 0x55},
		{"ipv4 of four words", frame("", false, m.ethernet(ip4), m.ipv4(layers.IPProtocolTCP), m.tcp()), 14, 0x44},
		{"ipv4 longer than the frame", frame("", false, m.ethernet(ip4), m.ipv4(layers.IPProtocolUDP), m.udp()), 14, 0x4f},
		{"ipv6 of version 4", frame("", false, m.ethernet(ip6), m.ipv6(layers.IPProtocolTCP), m.tcp()), 14, 0x40},
	} {
		f := broken.base
		f.Name = broken.name
		f.Data[broken.offset] = broken.replace
		frames = append(frames, f)
	}
	return frames
}

// extension is an extension header: its type, which goes into the header
// before it, and its bytes, with length as it stands in them.
func (m maker) extension(kind, length byte) []byte {
	size := int(length)*8 + 8
	if kind == 51 {
		size = int(length)*4 + 8
	}
	b := make([]byte, 1+size)
	for i := range b {
		b[i] = byte(m.Uint32())
	}
	b[0], b[2] = kind, length
	return b
}

func fragment6(offset uint16, more bool) []byte {
	b := make([]byte, 1+8)
	b[0] = 44
	binary.BigEndian.PutUint16(b[3:], offset<<3)
	if more {
		b[4] |= 1
	}
	return b
}

// extended chains extension headers and what stands behind the last.
func (m maker) extended(headers [][]byte, last layers.IPProtocol) []gopacket.SerializableLayer {
	stack := []gopacket.SerializableLayer{m.ethernet(layers.EthernetTypeIPv6), m.ipv6(layers.IPProtocol(headers[0][0]))}
	for i, header := range headers {
		b := append([]byte(nil), header[1:]...)
		b[0] = byte(last)
		if i+1 < len(headers) {
			b[0] = headers[i+1][0]
		}
		stack = append(stack, gopacket.Payload(b))
	}
	switch last {
	case layers.IPProtocolTCP:
		stack = append(stack, m.tcp())
	case layers.IPProtocolUDP:
		stack = append(stack, m.udp())
	case layers.IPProtocolSCTP:
		stack = append(stack, m.sctp())
	}
	return append(stack, m.payload(20))
}
