package e2e

import (
	"net"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Raw frames come from addresses that the right namespace has no route to, so
// that nothing is ever answered. Checksums are left at zero: whatever kernel
// there is behind the XDP program throws the frames away.
var (
	stranger4 = net.IP{198, 51, 100, 7}
	stranger6 = net.ParseIP("2001:db8:7::7")
	host4     = net.IP{192, 0, 2, 2}
	host6     = net.ParseIP("2001:db8::2")
)

// frame returns the layers as bytes, lengths filled in, nothing padded.
func frame(parts ...gopacket.SerializableLayer) []byte {
	buffer := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true}, parts...); err != nil {
		panic(err) // a fixture that does not serialize is a mistake in the fixture
	}
	return buffer.Bytes()
}

// patch returns the frame with bytes replaced from an offset on.
func patch(frame []byte, offset int, bytes ...byte) []byte {
	copy(frame[offset:], bytes)
	return frame
}

// ethernet is written by hand: gopacket's layer would pad the frame to 60 bytes.
func ethernet(next layers.EthernetType) gopacket.Payload {
	return gopacket.Payload{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, byte(next >> 8), byte(next)}
}

func vlan(id uint16, next layers.EthernetType) *layers.Dot1Q {
	return &layers.Dot1Q{VLANIdentifier: id, Type: next}
}

func ipv4(protocol layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, IHL: 5, TTL: 61, Protocol: protocol, SrcIP: stranger4, DstIP: host4}
}

// ipv4Fragment is a piece at an offset in units of 8 bytes.
func ipv4Fragment(offset uint16, more bool) *layers.IPv4 {
	ip := ipv4(layers.IPProtocolUDP)
	ip.FragOffset, ip.Id = offset, 77
	if more {
		ip.Flags = layers.IPv4MoreFragments
	}
	return ip
}

func ipv6(next layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 62, NextHeader: next, SrcIP: stranger6, DstIP: host6}
}

// extension is one of IPv6's headers of 8 bytes: hop-by-hop, routing or
// destination options (RFC 8200, 4.3–4.6), filled with padding.
func extension(next layers.IPProtocol) gopacket.Payload {
	return gopacket.Payload{byte(next), 0, 1, 4, 0, 0, 0, 0}
}

// extensions is n destination options headers, the last announcing next.
func extensions(n int, next layers.IPProtocol) gopacket.Payload {
	var chain gopacket.Payload
	for range n - 1 {
		chain = append(chain, extension(layers.IPProtocolIPv6Destination)...)
	}
	return append(chain, extension(next)...)
}

// longExtension is a destination options header of 24 bytes.
func longExtension(next layers.IPProtocol) gopacket.Payload {
	return gopacket.Payload{byte(next), 2, 1, 20, 23: 0}
}

// ipv6Fragment is a fragment header (RFC 8200, 4.5), offset in units of 8 bytes.
func ipv6Fragment(next layers.IPProtocol, offset uint16, more bool) gopacket.Payload {
	field := offset << 3
	if more {
		field |= 1
	}
	return gopacket.Payload{byte(next), 0, byte(field >> 8), byte(field), 0, 0, 0, 77}
}

// authentication is an AH of 24 bytes (RFC 4302), whose length counts in units
// of 4 bytes where the other headers' counts in 8.
func authentication(next layers.IPProtocol) gopacket.Payload {
	return gopacket.Payload{byte(next), 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 23: 0}
}

func udp(from, to layers.UDPPort) *layers.UDP {
	return &layers.UDP{SrcPort: from, DstPort: to}
}

func syn(from, to layers.TCPPort) *layers.TCP {
	return &layers.TCP{SrcPort: from, DstPort: to, SYN: true, Window: 1024}
}

// sctp is an SCTP common header (RFC 9260, 3.1).
func sctp(from, to uint16) gopacket.Payload {
	return gopacket.Payload{byte(from >> 8), byte(from), byte(to >> 8), byte(to), 11: 0}
}

// markerPort is the port of datagrams that only say: all before this is here.
const markerPort = 9 // discard, RFC 863

func marker() []byte {
	return frame(ethernet(layers.EthernetTypeIPv4), ipv4(layers.IPProtocolUDP), udp(markerPort, markerPort))
}
