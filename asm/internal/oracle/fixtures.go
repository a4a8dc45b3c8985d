package oracle

import (
	"bytes"
	"fmt"
	"net"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Fixture is a well-formed frame, every header of which is whole.
type Fixture struct {
	Name  string
	Frame []byte
}

// part is one choice of the layers between two others, or of the end.
type part struct {
	name   string
	layers []gopacket.SerializableLayer
	first  uint16 // EtherType or IP protocol of the first layer; 0: of what follows
}

// Fixtures returns frames of all combinations of tags, IP headers and
// transports, and a few that have none of those.
func Fixtures() []Fixture {
	var all []Fixture
	add := func(name string, etherType layers.EthernetType, rest ...gopacket.SerializableLayer) {
		ether := &layers.Ethernet{
			SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2},
			EthernetType: etherType,
		}
		buffer := gopacket.NewSerializeBuffer()
		options := gopacket.SerializeOptions{FixLengths: true}
		if err := gopacket.SerializeLayers(buffer, options, append([]gopacket.SerializableLayer{ether}, rest...)...); err != nil {
			panic(fmt.Sprintf("fixture %s: %v", name, err)) // a mistake in this file
		}
		all = append(all, Fixture{name, buffer.Bytes()})
	}

	for _, tags := range [][]uint16{nil, {0x8100}, {0x88a8}, {0x88a8, 0x8100}, {0x8100, 0x8100}} {
		for _, transport := range transports() {
			for _, network := range networks(transport) {
				name, etherType, tagged := tag(tags, network.first)
				add(name+network.name+"/"+transport.name, etherType,
					append(append(tagged, network.layers...), transport.layers...)...)
			}
		}
		name, etherType, tagged := tag(tags, uint16(layers.EthernetTypeARP))
		add(name+"arp", etherType, append(tagged, &layers.ARP{
			AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4,
			HwAddressSize: 6, ProtAddressSize: 4, Operation: layers.ARPRequest,
			SourceHwAddress: []byte{2, 0, 0, 0, 0, 1}, SourceProtAddress: []byte{192, 0, 2, 1},
			DstHwAddress: make([]byte, 6), DstProtAddress: []byte{192, 0, 2, 2},
		})...)
		name, etherType, tagged = tag(tags, uint16(layers.EthernetTypeEthernetCTP))
		add(name+"loopback", etherType, append(tagged, gopacket.Payload{0, 0, 1, 0, 0, 0, 'd', 'a', 't', 'a'})...)
	}
	return all
}

// tag returns the tags with the given TPIDs, the first one's TPID as the
// EtherType before it, and behind the last one inner.
func tag(tpids []uint16, inner uint16) (name string, outer layers.EthernetType, tags []gopacket.SerializableLayer) {
	types := append(append([]uint16{}, tpids...), inner)
	for i, tpid := range tpids {
		name += fmt.Sprintf("%x/", tpid)
		tags = append(tags, &layers.Dot1Q{
			Priority: 5, DropEligible: true,
			VLANIdentifier: uint16(0xabc + i),
			Type:           layers.EthernetType(types[i+1]),
		})
	}
	return name, layers.EthernetType(types[0]), tags
}

func transports() []part {
	data := gopacket.Payload("data")
	return []part{
		{"udp", []gopacket.SerializableLayer{&layers.UDP{SrcPort: 40000, DstPort: 9}, data}, udp},
		{"tcp", []gopacket.SerializableLayer{&layers.TCP{SrcPort: 443, DstPort: 51324, SYN: true, ACK: true, ECE: true, CWR: true}, data}, tcp},
		{"sctp", []gopacket.SerializableLayer{&layers.SCTP{SrcPort: 36412, DstPort: 5000, VerificationTag: 1}, gopacket.Payload{14, 0, 0, 4}}, sctp},
		{"icmp", []gopacket.SerializableLayer{gopacket.Payload{8, 0, 0, 0, 0, 1, 0, 1}}, 1},
		{"ipip", []gopacket.SerializableLayer{inner4(), &layers.UDP{SrcPort: 1, DstPort: 2}}, 4},
		{"gre", []gopacket.SerializableLayer{gopacket.Payload{0, 0, 0x88, 0xb5, 1, 2, 3, 4}}, 47},
	}
}

func inner4() *layers.IPv4 {
	return &layers.IPv4{
		Version: 4, TTL: 1, Protocol: layers.IPProtocolUDP,
		SrcIP: net.IP{203, 0, 113, 1}, DstIP: net.IP{203, 0, 113, 2},
	}
}

// networks returns the IP headers, with and without options, extension headers
// and fragmentation, that announce what follows.
func networks(follows part) []part {
	const v4, v6 = uint16(layers.EthernetTypeIPv4), uint16(layers.EthernetTypeIPv6)
	protocol := layers.IPProtocol(follows.first)

	ip4 := func(change func(*layers.IPv4)) []gopacket.SerializableLayer {
		ip := &layers.IPv4{
			Version: 4, TTL: 57, Protocol: protocol, Id: 7, TOS: 0xb8,
			SrcIP: net.IP{192, 0, 2, 1}, DstIP: net.IP{198, 51, 100, 254},
		}
		change(ip)
		return []gopacket.SerializableLayer{ip}
	}
	all := []part{
		{"ipv4", ip4(func(*layers.IPv4) {}), v4},
		{"ipv4-dont-fragment", ip4(func(ip *layers.IPv4) { ip.Flags = layers.IPv4DontFragment }), v4},
		{"ipv4-first-fragment", ip4(func(ip *layers.IPv4) { ip.Flags = layers.IPv4MoreFragments }), v4},
		{"ipv4-later-fragment", ip4(func(ip *layers.IPv4) { ip.Flags = layers.IPv4MoreFragments; ip.FragOffset = 1 }), v4},
		{"ipv4-last-fragment", ip4(func(ip *layers.IPv4) { ip.FragOffset = 0x1fff }), v4},
	}
	for _, words := range []int{1, 10} {
		all = append(all, part{fmt.Sprintf("ipv4-options-%d", 4*words), ip4(func(ip *layers.IPv4) {
			for range 4 * words {
				ip.Options = append(ip.Options, layers.IPv4Option{OptionType: 1}) // no operation
			}
		}), v4})
	}

	chains := [][]uint8{
		nil,
		{hopByHop}, {routing}, {auth}, {fragment},
		{hopByHop, destination, routing, fragment, auth, destination},
		{auth, fragment, auth},
		{auth, auth, auth, auth, auth, auth, auth, fragment, auth, auth},
	}
	for depth := 1; depth <= mostExtensions+2; depth++ {
		chains = append(chains, bytes.Repeat([]byte{destination}, depth))
	}
	for _, chain := range chains {
		all = append(all, part{"ipv6" + chainName(chain), ip6(chain, 0, protocol), v6})
	}
	for depth := 1; depth <= mostExtensions+1; depth++ {
		chain := append(bytes.Repeat([]byte{routing}, depth-1), fragment)
		all = append(all, part{fmt.Sprintf("ipv6-later-fragment-%d", depth), ip6(chain, 1, protocol), v6})
	}
	return append(all,
		part{"ipv6-last-fragment", ip6([]uint8{fragment}, 0x1fff, protocol), v6},
		part{"ipv6-later-fragment-destination", ip6([]uint8{fragment, destination}, 1, protocol), v6},
	)
}

func chainName(chain []uint8) (name string) {
	for _, protocol := range chain {
		name += fmt.Sprintf("-%d", protocol)
	}
	return name
}

// ip6 is an IPv6 header and a chain of extension headers. Those are written as
// bytes: gopacket cannot serialize AH.
func ip6(chain []uint8, fragmentOffset uint16, protocol layers.IPProtocol) []gopacket.SerializableLayer {
	chain = append(append([]uint8{}, chain...), uint8(protocol))
	all := []gopacket.SerializableLayer{&layers.IPv6{
		Version: 6, HopLimit: 58, TrafficClass: 0xff, FlowLabel: 0xfffff,
		NextHeader: layers.IPProtocol(chain[0]),
		SrcIP:      net.ParseIP("2001:db8::1"), DstIP: net.ParseIP("2001:db8:ffff::ff02"),
	}}
	for i, this := range chain[:len(chain)-1] {
		all = append(all, gopacket.Payload(Extension(this, chain[i+1], i%3, fragmentOffset)))
	}
	return all
}

// Extension returns an IPv6 extension header that announces next. Other than
// a fragment header it is longer than the shortest by 8 bytes times more.
func Extension(this, next uint8, more int, fragmentOffset uint16) []byte {
	switch this {
	case fragment:
		field := fragmentOffset<<3 | 1 // more fragments follow
		return []byte{next, 0, byte(field >> 8), byte(field), 0, 0, 0, 9}
	case auth:
		b := make([]byte, 16+8*more)
		b[0], b[1] = next, byte(len(b)/4-2)
		return b
	case routing:
		b := make([]byte, 8+8*more)
		b[0], b[1], b[2] = next, byte(more), 253 // an experimental type (RFC 4727)
		return b
	default:
		b := make([]byte, 8+8*more)
		b[0], b[1] = next, byte(more)
		b[2], b[3] = 1, byte(len(b)-4) // one PadN option
		return b
	}
}
