package oracle

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/gopacket/gopacket/layers"
)

// bytesOf joins headers that are written as bytes.
func bytesOf(headers ...[]byte) []byte { return slices.Concat(headers...) }

func be16(values ...uint16) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

// InnerFixtures returns frames of tunnels of all kinds in packets of all kinds, with packets of
// all kinds in them, and frames that are nearly tunnels.
func InnerFixtures() (all []Fixture) {
	frames := make(map[string][]byte) // what tunnels carry: from the Ethernet header on
	for _, fixture := range Fixtures() {
		frames[fixture.Name] = fixture.Frame
	}
	inner := func(name string) []byte {
		frame, ok := frames[name]
		if !ok {
			panic("no fixture " + name)
		}
		return frame
	}
	ip4 := []string{"ipv4/tcp", "ipv4-options-4/udp", "ipv4-later-fragment/udp", "ipv4/icmp", "ipv4/ipip"}
	ip6 := []string{"ipv6/udp", "ipv6-0-60-43-44-51-60/tcp", "ipv6-later-fragment-1/udp"}
	ether := []string{"ipv4/udp", "8100/ipv6/tcp", "88a8/8100/ipv4/sctp", "arp", "8100/arp", "loopback"}

	wrap := func(tunnel string, outer byte, header []byte, names []string, isIP bool) {
		for i, name := range names {
			carried := inner(name)
			if isIP {
				carried = carried[14:]
			}
			for where, frame := range inOuter(outer, bytesOf(header, carried), i) {
				all = append(all, Fixture{tunnel + " in " + where + ": " + name, frame})
			}
		}
	}
	udpTo := func(port uint16, header ...[]byte) []byte {
		return bytesOf(be16(50000, port, 0, 0), bytesOf(header...))
	}
	const bridging, v4, v6 = etherBridging, etherIPv4, etherIPv6

	vni := []byte{0x12, 0x34, 0x56, 0xff} // and a byte that is to be ignored
	wrap("vxlan", udp, udpTo(4789, []byte{0x08, 0, 0, 0}, vni), ether, false)
	wrap("vxlan with a policy", udp, udpTo(4789, []byte{0x88, 0x40, 0x12, 0x34}, vni), ether[:2], false)
	wrap("vxlan by the old port", udp, udpTo(8472, []byte{0x08, 0, 0, 0}, vni), ether[:2], false)
	wrap("no vxlan: without VNI", udp, udpTo(4789, []byte{0, 0, 0, 0}, vni), ether[:1], false)
	wrap("no vxlan: GPE", udp, udpTo(4789, []byte{0x0c, 0, 0, 1}, vni), ether[:1], false)

	wrap("geneve", udp, udpTo(6081, []byte{0, 0}, be16(bridging), vni), ether, false)
	wrap("geneve with options", udp, udpTo(6081, []byte{3, 0x40}, be16(bridging), vni, make([]byte, 12)), ether[:3], false)
	wrap("geneve with all options", udp, udpTo(6081, []byte{63, 0}, be16(v4), vni, make([]byte, 63*4)), ip4[:1], true)
	wrap("geneve of IPv6", udp, udpTo(6081, []byte{0, 0}, be16(v6), vni), ip6, true)
	wrap("no geneve: version 1", udp, udpTo(6081, []byte{0x40, 0}, be16(bridging), vni), ether[:1], false)
	wrap("no geneve: MPLS", udp, udpTo(6081, []byte{0, 0}, be16(0x8847), vni), ether[:1], false)

	four := []byte{0, 0, 0, 42}
	wrap("gre of IPv4", gre, be16(0, v4), ip4, true)
	wrap("gre of IPv6", gre, be16(0, v6), ip6, true)
	wrap("gre of Ethernet", gre, be16(0, bridging), ether, false)
	wrap("gre with a key", gre, bytesOf(be16(0x2000, bridging), four), ether[:2], false)
	wrap("gre with a checksum", gre, bytesOf(be16(0x8000, v4), four), ip4[:1], true)
	wrap("gre with a number", gre, bytesOf(be16(0x1000, v6), four), ip6[:1], true)
	wrap("gre with all", gre, bytesOf(be16(0xb000, v4), make([]byte, 4), four, four), ip4[:2], true)
	wrap("no gre: version 1", gre, bytesOf(be16(0x2001, v4), four), ip4[:1], true)
	wrap("no gre: routing", gre, bytesOf(be16(0x4000, v4), four), ip4[:1], true)
	wrap("no gre: of PPP", gre, be16(0, 0x880b), ip4[:1], true)

	wrap("ipip", ipip, nil, ip4, true)
	wrap("ip6", ipv6, nil, ip6, true)
	wrap("no ipip: IPv6", ipip, nil, ip6[:1], true)
	wrap("no ip6: IPv4", ipv6, nil, ip4[:1], true)

	teid := []byte{0xaa, 0xbb, 0xcc, 0xdd}
	session := []byte{1, 0, 9, 0} // PDU Session Container (TS 38.415)
	gtp := func(flags, kind byte, more ...[]byte) []byte {
		return udpTo(2152, []byte{flags, kind, 0, 0}, teid, bytesOf(more...))
	}
	wrap("gtpu", udp, gtp(0x30, 255), slices.Concat(ip4, ip6), true)
	wrap("gtpu with a number", udp, gtp(0x32, 255, []byte{0, 1, 0, 0x85}), ip4[:1], true) // next means nothing
	wrap("gtpu with an extension", udp, gtp(0x34, 255, []byte{0, 0, 0, 0x85}, session), ip6[:2], true)
	wrap("gtpu with four", udp, gtp(0x37, 255, []byte{0, 0, 0, 0x85},
		[]byte{1, 0, 9, 0x85}, []byte{2, 0, 9, 0, 0, 0, 0, 0x40}, []byte{1, 0, 9, 0x85}, session), ip4[:1], true)
	wrap("no gtpu: five extensions", udp, gtp(0x34, 255, []byte{0, 0, 0, 0x85},
		[]byte{1, 0, 9, 0x85}, []byte{1, 0, 9, 0x85}, []byte{1, 0, 9, 0x85}, []byte{1, 0, 9, 0x85}, session), ip4[:1], true)
	wrap("no gtpu: an extension of length 0", udp, gtp(0x34, 255, []byte{0, 0, 0, 0x85}, []byte{0, 0, 9, 0}), ip4[:1], true)
	wrap("no gtpu: echo", udp, gtp(0x32, 1, []byte{0, 1, 0, 0}), ip4[:1], true)
	wrap("no gtpu: GTP'", udp, gtp(0x20, 255), ip4[:1], true)
	wrap("no gtpu: Ethernet", udp, gtp(0x30, 255), ether[:1], false)

	one := slices.IndexFunc(all, func(f Fixture) bool { return f.Name == "vxlan in IPv4: ipv4/udp" })
	nested := all[one].Frame // one level is looked into
	for where, frame := range inOuter(udp, bytesOf(udpTo(4789, []byte{8, 0, 0, 0}, vni), nested), 0) {
		all = append(all, Fixture{"vxlan in " + where + ": vxlan", frame})
	}
	slices.SortFunc(all, func(a, b Fixture) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// inOuter puts bytes behind IP headers that announce a protocol, with tags and without: which of
// them is the n-th's choice.
func inOuter(protocol byte, payload []byte, n int) map[string][]byte {
	header4 := func(words int, fragment uint16) []byte {
		b := make([]byte, 4*words)
		b[0], b[8], b[9] = byte(4<<4|words), 63, protocol
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)+len(payload)))
		binary.BigEndian.PutUint16(b[6:], fragment)
		copy(b[12:], []byte{192, 0, 2, 101, 192, 0, 2, 102})
		for i := 20; i < len(b); i++ {
			b[i] = 1 // no operation
		}
		return b
	}
	header6 := func(extensions ...byte) []byte {
		b := make([]byte, 40)
		b[0], b[7] = 6<<4, 62
		copy(b[8:], []byte{0x20, 0x01, 0x0d, 0xb8, 15: 0xa})
		copy(b[24:], []byte{0x20, 0x01, 0x0d, 0xb8, 15: 0xb})
		chain := append(extensions, protocol)
		b[6] = chain[0]
		for i, this := range extensions {
			b = append(b, Extension(this, chain[i+1], 0, 0)...)
		}
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40+len(payload)))
		return b
	}
	ether := func(types ...uint16) []byte {
		b := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}
		for i, t := range types {
			b = binary.BigEndian.AppendUint16(b, t)
			if i < len(types)-1 {
				b = binary.BigEndian.AppendUint16(b, 0x7000|uint16(100+i))
			}
		}
		return b
	}
	const v4, v6 = uint16(layers.EthernetTypeIPv4), uint16(layers.EthernetTypeIPv6)
	switch n % 3 {
	case 0:
		return map[string][]byte{
			"IPv4":           bytesOf(ether(v4), header4(5, 0x4000), payload),
			"later fragment": bytesOf(ether(v4), header4(5, 1), payload),
		}
	case 1:
		return map[string][]byte{
			"IPv6":                        bytesOf(ether(0x8100, v6), header6(), payload),
			"IPv6 behind extensions":      bytesOf(ether(v6), header6(destination, fragment), payload),
			"IPv6 behind long extensions": bytesOf(ether(v6), bytesOfLong(header6, protocol), payload),
		}
	}
	return map[string][]byte{
		"IPv4 with options": bytesOf(ether(0x88a8, 0x8100, v4), header4(8, 0x2000), payload),
	}
}

// bytesOfLong is an IPv6 header with so many bytes of extension headers behind it that no
// tunnel is looked for.
func bytesOfLong(header6 func(...byte) []byte, protocol byte) []byte {
	b := header6(destination)[:40]
	return append(b, Extension(destination, protocol, 60, 0)...)
}
