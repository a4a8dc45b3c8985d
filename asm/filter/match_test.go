package filter_test

import (
	"net"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/xdplog/xdplog/asm/filter"
)

var (
	mac1  = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	mac2  = net.HardwareAddr{2, 0, 0, 0, 0, 2}
	host1 = net.IP{192, 0, 2, 1}
	host2 = net.IP{198, 51, 100, 7}
	six1  = net.ParseIP("2001:db8::1")
	six2  = net.ParseIP("2001:db8::2")
)

func ether(t layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: mac1, DstMAC: mac2, EthernetType: t}
}

func ipv4(p layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 57, Protocol: p, SrcIP: host1, DstIP: host2}
}

func ipv6(p layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 57, NextHeader: p, SrcIP: six1, DstIP: six2}
}

func tag(id uint16, t layers.EthernetType) *layers.Dot1Q {
	return &layers.Dot1Q{Priority: 5, VLANIdentifier: id, Type: t}
}

func syn() *layers.TCP { return &layers.TCP{SrcPort: 40000, DstPort: 443, SYN: true} }

func build(t *testing.T, stack ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, stack...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestMatch is about what libpcap can't be asked: tags, extension headers,
// malformed headers. The rest is TestLibpcap's.
func TestMatch(t *testing.T) {
	const tcp, udp = layers.IPProtocolTCP, layers.IPProtocolUDP
	const ip4, ip6 = layers.EthernetTypeIPv4, layers.EthernetTypeIPv6
	const c, s = layers.EthernetTypeDot1Q, layers.EthernetTypeQinQ
	type verdicts map[string]bool
	cut := func(b []byte, n int) []byte { return b[:n:n] }
	broken := build(t, ether(ip4), ipv4(tcp), syn())
	broken[14] = 0x44
	dot1q := build(t, ether(c), tag(10, ip4), ipv4(tcp), syn())
	udp6 := gopacket.Payload{0x9c, 0x40, 0, 53, 0, 8, 0, 0}

	for _, test := range []struct {
		name  string
		frame []byte
		want  verdicts
	}{
		{"plain", build(t, ether(ip4), ipv4(tcp), syn()), verdicts{
			"": true, "tcp port 443": true, "dst port https": true, "src port 443": false, "udp": false, "not udp": true,
			"host 192.0.2.1": true, "src 192.0.2.1 and dst 198.51.100.7": true, "dst host 192.0.2.1": false,
			"src and dst net 192.0.2.0/24": false, "net 198.51.100": true, "ip6": false, "vlan": false,
			"tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn": true, "ip[8] = 57": true, "ether host 2:0:0:0:0:1": true,
			"ether[14] = 0x45": true, "len = 60": true, "greater 61": false, "less 60": true,
			"udp[0] = 0": false, "not udp[0] = 0": true, "ether[60] = 0": false, "not ether[60] = 0": false,
			"tcp or ether[60] = 0": true, "ether[60] = 0 or tcp": false, "len / (tcp[4] - tcp[4]) = 1 or tcp": false,
			"len << tcp[3] = 0": true, "-1 = 0xffffffff": true, "0 - len > 5": true, "tcp[-20] = 0x45": true,
		}},
		{"ipv6", build(t, ether(ip6), ipv6(tcp), syn()), verdicts{
			"tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn": true, "tcp[2:2] = 443": true, "tcp[-40] & 0xf0 = 0x60": true,
			"ip and tcp[2:2] = 443": false, "udp[0] = 0": false, "icmp[0] = 0": false, "tcp[ip6[40]] >= 0": false,
			"tcp[tcp[12] >> 4] = 0": true, "len - tcp[3] > 0": true,
		}},
		{"tag", dot1q, verdicts{
			"tcp dst port 443": true, "ip": true, "vlan": true, "vlan 10": true, "vlan 11": false, "not vlan": false,
			"vlan and tcp": true, "vlan 10 and vlan": true, "ip[9] = 6": true, "tcp[2:2] = 443": true, "ether[12:2] = 0x8100": true,
			"ether[16:2] = 0x800": true, "ether proto 0x8100": true, "ether proto 0x88a8": false, "ether proto \\ip": true,
			"net 192.0.2.0/24": true,
		}},
		{"cut tag", cut(dot1q, 17), verdicts{
			"vlan": false, "not vlan": true, "ether proto 0x8100": true, "ip": false, "tcp": false, "not tcp": true, "host 192.0.2.1": false,
		}},
		{"two tags", build(t, ether(s), tag(10, c), tag(20, ip6), ipv6(udp), udp6), verdicts{
			"vlan": true, "vlan 10": true, "vlan 20": true, "vlan 30": false, "vlan 10 and vlan 20": true, "udp port 53": true,
			"ip6": true, "ip6[6] = 17": true, "ether proto 0x8100": true, "ether proto 0x88a8": true, "host 2001:db8::1": true,
		}},
		{"three tags", build(t, ether(c), tag(10, c), tag(20, c), tag(30, ip4), ipv4(tcp), syn()), verdicts{
			"vlan 10 and vlan 20": true, "vlan 30": false, "ip": false, "not ip": true, "ether proto 0x8100": true, "tcp": false,
		}},
		{"tagged arp", build(t, ether(c), tag(10, layers.EthernetTypeARP), &layers.ARP{
			AddrType: 1, Protocol: ip4, HwAddressSize: 6, ProtAddressSize: 4, Operation: 1,
			SourceHwAddress: mac1, SourceProtAddress: host1, DstHwAddress: mac2, DstProtAddress: host2,
		}), verdicts{
			"arp": true, "host 192.0.2.1": true, "arp src host 192.0.2.1": true, "arp dst host 198.51.100.7": true, "ip host 192.0.2.1": false,
			"rarp host 192.0.2.1": false, "arp[7] = 1": true, "net 192.0.2": true,
		}},
		{"two labels", build(t, ether(c), tag(10, 0x8847), gopacket.Payload{0, 6, 0x40, 64, 0, 0xc, 0x81, 64}, ipv4(tcp)), verdicts{
			"mpls": true, "mpls 100": true, "mpls 200": true, "mpls 300": false, "mpls 100 and mpls 200": true, "vlan 10 and mpls": true,
			"not mpls 300": true, "ip": false, "mpls and host 192.0.2.1": false, "pppoes": false,
		}},
		{"one label", build(t, ether(0x8847), gopacket.Payload{0, 6, 0x41, 64, 0, 0xc, 0x81, 64}), verdicts{"mpls 100": true, "mpls 200": false}},
		{"session", build(t, ether(c), tag(10, 0x8864), gopacket.Payload{0x11, 0, 0, 7, 0, 2, 0, 0x21}), verdicts{
			"pppoes": true, "pppoes 7": true, "pppoes 8": false, "pppoed": false, "vlan 10": true,
		}},
		{"vxlan over ipv6", build(t, ether(ip6), ipv6(udp), &layers.UDP{SrcPort: 40000, DstPort: 4789}, gopacket.Payload{8, 0, 0, 0, 0, 0, 10, 0}), verdicts{
			"vxlan": true, "vxlan 10": true, "vxlan 11": false, "not vxlan 11": true, "geneve": false, "vxlan and host 2001:db8::1": true, "vxlan and tcp": false,
		}},
		{"geneve", build(t, ether(ip4), ipv4(udp), &layers.UDP{SrcPort: 40000, DstPort: 6081}, gopacket.Payload{2, 0, 0x65, 0x58, 0, 0, 10, 0}), verdicts{
			"geneve": true, "geneve 10": true, "geneve 0x0a": true, "geneve 11": false, "vxlan": false, "geneve and host 192.0.2.1": true,
		}},
		{"vxlan without an identifier", build(t, ether(ip4), ipv4(udp), &layers.UDP{SrcPort: 40000, DstPort: 4789}, gopacket.Payload{0, 0, 0, 0, 0, 0, 10, 0}), verdicts{
			"vxlan": false, "vxlan 10": false, "not vxlan": true,
		}},
		{"hop-by-hop and destination options", build(t, ether(ip6), ipv6(0),
			gopacket.Payload{60, 0, 1, 4, 0, 0, 0, 0}, gopacket.Payload{17, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, udp6), verdicts{
			"udp": true, "port 53": true, "udp dst port 53": true, "ip6 proto 17": true, "ip6 proto 0": true, "ip6 proto 60": true, "proto 60": true, "proto 0": true, "ip proto 60": false, "ip6 proto 44": false, "not ip6 proto 43": true, "ip6[6] = 0": true,
			"udp[2:2] = 53": true, "udp[0] = 0x9c": true, "ip and udp[2:2] = 53": false, "udp[-16] = 17": true, "udp[-64] & 0xf0 = 0x60": true,
			"udp[8] = 0": false, "not udp[8] = 0": false, "tcp[0] = 0": false, "not tcp[0] = 0": true, "len - udp[3] = 33": true,
			"host 2001:db8::2": true,
		}},
		{"icmp6 behind options", build(t, ether(ip6), ipv6(60), gopacket.Payload{58, 0, 1, 4, 0, 0, 0, 0}, gopacket.Payload{135, 0, 0, 0}), verdicts{
			"icmp6": true, "icmp6[icmp6type] = icmp6-neighborsolicit": true, "ip6[40] = 58": true,
		}},
		{"first fragment", build(t, ether(ip6), ipv6(44), gopacket.Payload{17, 0, 0, 1, 0, 0, 0, 9}, udp6), verdicts{
			"udp": true, "port 53": true, "ip6 proto 44": true, "proto 44": true, "proto ipv6-frag": true, "ip proto 44": false, "proto 0": false,
		}},
		{"later fragment", build(t, ether(ip6), ipv6(44), gopacket.Payload{17, 0, 0, 9, 0, 0, 0, 9}, udp6), verdicts{
			"udp": true, "port 53": false, "not port 53": true, "ip6 proto 44": true, "udp[0] = 0x9c": false,
		}},
		{"later fragment of icmp6", build(t, ether(ip6), ipv6(44), gopacket.Payload{58, 0, 0, 9, 0, 0, 0, 9}, gopacket.Payload{128, 0}), verdicts{
			"icmp6": true, "icmp6[0] = 128": false, "not icmp6[0] = 128": true,
		}},
		{"authentication", build(t, ether(ip6), ipv6(51), gopacket.Payload{17, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1}, udp6), verdicts{
			"udp port 53": true, "ah": true, "ip6 proto 51": true, "proto 17 and ah": true, "esp": false,
		}},
		{"authentication in ipv4", build(t, ether(ip4), ipv4(51), gopacket.Payload{17, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1}, udp6), verdicts{
			"udp": false, "ah": true, "port 53": false,
		}},
		{"extension header that is cut", cut(build(t, ether(ip6), ipv6(43), gopacket.Payload{17, 3, 0, 0, 0, 0, 0, 0}, udp6), 14+40+16), verdicts{
			"udp": false, "proto 43": true, "ip6 proto 43": true, "proto 60": false, "ip6": true, "port 53": false, "not port 53": true,
		}},
		{"ipv4 of four words", broken, verdicts{
			"ip": true, "tcp": false, "not tcp": true, "host 192.0.2.1": false, "not host 192.0.2.1": true, "port 443": false,
			"not tcp port 443": true, "ip[0] = 0x44": true, "tcp[0] = 0": false, "not tcp[0] = 0": true, "ip multicast": false,
		}},
		{"ipv4 that is cut", cut(build(t, ether(ip4), ipv4(tcp), syn()), 33), verdicts{
			"ip": true, "tcp": false, "not tcp": true, "ip[18] = 100": true, "ip[19] = 7": false, "not ip[19] = 7": false,
		}},
		{"one port", cut(build(t, ether(ip4), ipv4(tcp), syn()), 14+20+2), verdicts{
			"tcp": true, "src port 40000": true, "port 40000": true, "port 443": false, "not port 443": false,
			"not dst port 443": false, "tcp or port 443": true, "not src port 1": true,
		}},
		{"no EtherType", cut(dot1q, 13), verdicts{
			"": true, "ip": false, "not ip": false, "not tcp": false, "not host 192.0.2.1": false, "not host 2001:db8::1": false,
			"not port 1": false, "not vlan": false, "not ip[0] = 1": false, "not tcp[0] = 1": false, "len = 13": true,
			"ether src 2:0:0:0:0:1": true, "ether[0] = 2": true,
		}},
		{"nothing", nil, verdicts{
			"": true, "len = 0": true, "less 5": true, "not ether[0] = 0": false, "not ether src 2:0:0:0:0:1": false, "not ip": false,
		}},
	} {
		for expression, want := range test.want {
			f, err := builtIn.Parse(expression)
			if err != nil {
				t.Errorf("%v", err)
				continue
			}
			if got := f.Match(test.frame, len(test.frame)); got != want {
				t.Errorf("%s: %q is %v, want %v", test.name, expression, got, want)
			}
		}
	}
}

func TestLengthIsOfTheWholePacket(t *testing.T) {
	f, err := builtIn.Parse("greater 1000 and len = 1500")
	if err != nil {
		t.Fatal(err)
	}
	if frame := make([]byte, 60); !f.Match(frame, 1500) || f.Match(frame, 60) {
		t.Error("len is not the length of the whole packet")
	}
}

// TestTreeByHand evaluates what the parser would not have made.
func TestTreeByHand(t *testing.T) {
	for name, test := range map[string]struct {
		node filter.Node
		want bool
	}{
		"empty and":      {filter.And{}, true},
		"empty or":       {filter.Or{}, false},
		"shift by a lot": {filter.Relation{Op: filter.Equal, Left: filter.Binary{Op: filter.ShiftLeft, Left: filter.Length{}, Right: filter.Number(32)}, Right: filter.Number(0)}, true},
		"zero":           {filter.Not{Term: filter.Relation{Op: filter.Equal, Left: filter.Binary{Op: filter.Modulo, Left: filter.Length{}, Right: filter.Number(0)}, Right: filter.Number(0)}}, false},
	} {
		if got := (&filter.Filter{Root: test.node}).Match(nil, 60); got != test.want {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}
