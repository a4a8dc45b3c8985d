package e2e

import (
	"bytes"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// A frameCase is a raw frame and the event that it is.
type frameCase struct {
	name      string
	frame     []byte
	text      string // of the event under --all
	isDefault bool   // the default filter reports it, too
}

const (
	eth4     = layers.EthernetTypeIPv4
	eth6     = layers.EthernetTypeIPv6
	dot1q    = layers.EthernetTypeDot1Q
	qinq     = layers.EthernetTypeQinQ
	protoUDP = layers.IPProtocolUDP
	protoTCP = layers.IPProtocolTCP
)

// pad is what stands where no header is looked for: it would be read as port
// 60138.
var pad = gopacket.Payload{0xea, 0xea, 0xea, 0xea, 0xea, 0xea, 0xea, 0xea}

func vlanCases() []frameCase {
	return []frameCase{
		{"802.1Q", frame(ethernet(dot1q), vlan(10, eth4), ipv4(protoUDP), udp(1234, 53)),
			`"pkt_len":46,"vlan":[10],"ether_type":2048,"ip_v":4,"src_ip":"198.51.100.7","src_port":1234,"dest_ip":"192.0.2.2","dest_port":53,"proto":"UDP","proto_number":17,"ttl":61`, true},
		{"802.1Q with a priority", patch(frame(ethernet(dot1q), vlan(0xabc, eth6), ipv6(protoTCP), syn(1234, 443)), 14, 0xfa),
			`"pkt_len":78,"vlan":[2748],"ether_type":34525,"ip_v":6,"src_ip":"2001:db8:7::7","src_port":1234,"dest_ip":"2001:db8::2","dest_port":443,"proto":"TCP","proto_number":6,"ttl":62,"tcp_flags":"02"`, true},
		{"QinQ", frame(ethernet(qinq), vlan(100, dot1q), vlan(4095, eth4), ipv4(protoUDP), udp(1234, 53)),
			`"pkt_len":50,"vlan":[100,4095],"ether_type":2048,"ip_v":4,"src_ip":"198.51.100.7","src_port":1234,"dest_ip":"192.0.2.2","dest_port":53,"proto":"UDP","proto_number":17,"ttl":61`, true},
		{"QinQ over IPv6", frame(ethernet(qinq), vlan(1, dot1q), vlan(0, eth6), ipv6(protoUDP), udp(1234, 53)),
			`"pkt_len":70,"vlan":[1,0],"ether_type":34525,"ip_v":6,"src_ip":"2001:db8:7::7","src_port":1234,"dest_ip":"2001:db8::2","dest_port":53,"proto":"UDP","proto_number":17,"ttl":62`, true},
		{"three tags", frame(ethernet(qinq), vlan(1, dot1q), vlan(2, dot1q), vlan(3, eth4), ipv4(protoUDP), udp(1234, 53)),
			`"pkt_len":54,"vlan":[1,2],"ether_type":33024`, false},
		{"tag cut", frame(ethernet(dot1q), vlan(10, eth4))[:17],
			`"pkt_len":17,"ether_type":33024`, false},
		{"inner tag cut", frame(ethernet(qinq), vlan(10, dot1q), vlan(20, eth4))[:21],
			`"pkt_len":21,"vlan":[10],"ether_type":33024`, false},
		{"nothing behind the tag", frame(ethernet(dot1q), vlan(10, eth4)),
			`"pkt_len":18,"vlan":[10],"ether_type":2048`, false},
	}
}

func ipv4Cases() []frameCase {
	options := ipv4(protoTCP)
	options.Options = []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}} // router alert, RFC 2113
	full := ipv4(protoUDP)
	full.Options = []layers.IPv4Option{{OptionType: 7, OptionLength: 39, OptionData: make([]byte, 37)}, {OptionType: 0}} // record route
	tcp := frame(ethernet(eth4), ipv4(protoTCP), syn(1234, 443))
	datagram := func() []byte { return frame(ethernet(eth4), ipv4(protoUDP), udp(1234, 53)) }
	return []frameCase{
		{"UDP", datagram(),
			`"pkt_len":42,"ether_type":2048,"ip_v":4,"src_ip":"198.51.100.7","src_port":1234,"dest_ip":"192.0.2.2","dest_port":53,"proto":"UDP","proto_number":17,"ttl":61`, true},
		{"options", frame(ethernet(eth4), options, syn(1234, 443)),
			`"pkt_len":58,"ether_type":2048,"ip_v":4,"src_ip":"198.51.100.7","src_port":1234,"dest_ip":"192.0.2.2","dest_port":443,"proto":"TCP","proto_number":6,"ttl":61,"tcp_flags":"02"`, true},
		{"40 bytes of options", frame(ethernet(eth4), full, udp(1234, 53)),
			`"pkt_len":82,"ether_type":2048,"ip_v":4,"src_ip":"198.51.100.7","src_port":1234,"dest_ip":"192.0.2.2","dest_port":53,"proto":"UDP","proto_number":17,"ttl":61`, true},
		{"first fragment", frame(ethernet(eth4), ipv4Fragment(0, true), udp(1234, 53), pad),
			`"pkt_len":50,"ether_type":2048,"ip_v":4,"src_ip":"198.51.100.7","src_port":1234,"dest_ip":"192.0.2.2","dest_port":53,"proto":"UDP","proto_number":17,"ttl":61`, true},
		{"later fragment", frame(ethernet(eth4), ipv4Fragment(2, true), pad),
			`"pkt_len":42,"ether_type":2048,"ip_v":4,"src_ip":"198.51.100.7","dest_ip":"192.0.2.2","proto":"UDP","proto_number":17,"ttl":61,"fragment":true`, true},
		{"last fragment, empty", frame(ethernet(eth4), ipv4Fragment(0x1fff, false)),
			`"pkt_len":34,"ether_type":2048,"ip_v":4,"src_ip":"198.51.100.7","dest_ip":"192.0.2.2","proto":"UDP","proto_number":17,"ttl":61,"fragment":true`, true},
		{"SCTP", frame(ethernet(eth4), ipv4(layers.IPProtocolSCTP), sctp(2905, 36412)),
			`"pkt_len":46,"ether_type":2048,"ip_v":4,"src_ip":"198.51.100.7","src_port":2905,"dest_ip":"192.0.2.2","dest_port":36412,"proto":"SCTP","proto_number":132,"ttl":61`, false},
		{"GRE, reported as what is outside", frame(ethernet(eth4), ipv4(layers.IPProtocolGRE), pad),
			`"pkt_len":42,"ether_type":2048,"ip_v":4,"src_ip":"198.51.100.7","dest_ip":"192.0.2.2","proto":"GRE","proto_number":47,"ttl":61`, false},
		{"protocol without a keyword", frame(ethernet(eth4), ipv4(253), pad),
			`"pkt_len":42,"ether_type":2048,"ip_v":4,"src_ip":"198.51.100.7","dest_ip":"192.0.2.2","proto":"253","proto_number":253,"ttl":61`, false},
		{"all TCP flags", patch(frame(ethernet(eth4), ipv4(protoTCP), syn(1234, 443)), 34+13, 0xff),
			`"pkt_len":54,"ether_type":2048,"ip_v":4,"src_ip":"198.51.100.7","src_port":1234,"dest_ip":"192.0.2.2","dest_port":443,"proto":"TCP","proto_number":6,"ttl":61,"tcp_flags":"ff"`, true},
		{"no TCP flags", patch(frame(ethernet(eth4), ipv4(protoTCP), syn(1234, 443)), 34+13, 0),
			`"pkt_len":54,"ether_type":2048,"ip_v":4,"src_ip":"198.51.100.7","src_port":1234,"dest_ip":"192.0.2.2","dest_port":443,"proto":"TCP","proto_number":6,"ttl":61,"tcp_flags":"00"`, true},
		{"TCP cut behind the flags", tcp[:34+14],
			`"pkt_len":48,"ether_type":2048,"ip_v":4,"src_ip":"198.51.100.7","src_port":1234,"dest_ip":"192.0.2.2","dest_port":443,"proto":"TCP","proto_number":6,"ttl":61,"tcp_flags":"02"`, true},
		{"TCP cut before the flags", tcp[:34+13],
			`"pkt_len":47,"ether_type":2048,"ip_v":4,"src_ip":"198.51.100.7","src_port":1234,"dest_ip":"192.0.2.2","dest_port":443,"proto":"TCP","proto_number":6,"ttl":61`, true},
		{"TCP cut behind the ports", tcp[:34+4],
			`"pkt_len":38,"ether_type":2048,"ip_v":4,"src_ip":"198.51.100.7","src_port":1234,"dest_ip":"192.0.2.2","dest_port":443,"proto":"TCP","proto_number":6,"ttl":61`, true},
		{"TCP cut in the ports", tcp[:34+3],
			`"pkt_len":37,"ether_type":2048,"ip_v":4,"src_ip":"198.51.100.7","dest_ip":"192.0.2.2","proto":"TCP","proto_number":6,"ttl":61,"truncated":true`, true},
		{"nothing behind the IP header", datagram()[:34],
			`"pkt_len":34,"ether_type":2048,"ip_v":4,"src_ip":"198.51.100.7","dest_ip":"192.0.2.2","proto":"UDP","proto_number":17,"ttl":61,"truncated":true`, true},
		{"IP header cut", datagram()[:33], `"pkt_len":33,"ether_type":2048`, false},
		{"nothing behind the Ethernet header", datagram()[:14], `"pkt_len":14,"ether_type":2048`, false},
		{"version 5", patch(datagram(), 14, 0x55), `"pkt_len":42,"ether_type":2048`, false},
		{"header of 16 bytes", patch(datagram(), 14, 0x44), `"pkt_len":42,"ether_type":2048`, false},
		{"options that are not there", patch(datagram(), 14, 0x4f), `"pkt_len":42,"ether_type":2048`, false},
		{"IPv6 in its place", frame(ethernet(eth4), ipv6(protoUDP), udp(1234, 53)), `"pkt_len":62,"ether_type":2048`, false},
	}
}

func ipv6Cases() []frameCase {
	const (
		hop     = layers.IPProtocolIPv6HopByHop
		options = layers.IPProtocolIPv6Destination
		piece   = layers.IPProtocolIPv6Fragment
	)
	datagram := func() []byte { return frame(ethernet(eth6), ipv6(protoUDP), udp(1234, 53)) }
	hopped := frame(ethernet(eth6), ipv6(hop), extension(protoUDP), udp(1234, 53))
	return []frameCase{
		{"UDP", datagram(),
			`"pkt_len":62,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8:7::7","src_port":1234,"dest_ip":"2001:db8::2","dest_port":53,"proto":"UDP","proto_number":17,"ttl":62`, true},
		{"hop-by-hop", hopped,
			`"pkt_len":70,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8:7::7","src_port":1234,"dest_ip":"2001:db8::2","dest_port":53,"proto":"UDP","proto_number":17,"ttl":62`, true},
		{"routing", frame(ethernet(eth6), ipv6(layers.IPProtocolIPv6Routing), extension(protoTCP), syn(1234, 443)),
			`"pkt_len":82,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8:7::7","src_port":1234,"dest_ip":"2001:db8::2","dest_port":443,"proto":"TCP","proto_number":6,"ttl":62,"tcp_flags":"02"`, true},
		{"destination options", frame(ethernet(eth6), ipv6(options), extension(protoUDP), udp(1234, 53)),
			`"pkt_len":70,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8:7::7","src_port":1234,"dest_ip":"2001:db8::2","dest_port":53,"proto":"UDP","proto_number":17,"ttl":62`, true},
		{"24 bytes of options", frame(ethernet(eth6), ipv6(options), longExtension(protoUDP), udp(1234, 53)),
			`"pkt_len":86,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8:7::7","src_port":1234,"dest_ip":"2001:db8::2","dest_port":53,"proto":"UDP","proto_number":17,"ttl":62`, true},
		{"authentication", frame(ethernet(eth6), ipv6(layers.IPProtocolAH), authentication(protoUDP), udp(1234, 53)),
			`"pkt_len":86,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8:7::7","src_port":1234,"dest_ip":"2001:db8::2","dest_port":53,"proto":"UDP","proto_number":17,"ttl":62`, true},
		{"first fragment", frame(ethernet(eth6), ipv6(piece), ipv6Fragment(protoUDP, 0, true), udp(1234, 53), pad),
			`"pkt_len":78,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8:7::7","src_port":1234,"dest_ip":"2001:db8::2","dest_port":53,"proto":"UDP","proto_number":17,"ttl":62`, true},
		{"later fragment", frame(ethernet(eth6), ipv6(piece), ipv6Fragment(protoUDP, 2, false), pad),
			`"pkt_len":70,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8:7::7","dest_ip":"2001:db8::2","proto":"UDP","proto_number":17,"ttl":62,"fragment":true`, true},
		{"later fragment behind options", frame(ethernet(eth6), ipv6(options), extension(piece), ipv6Fragment(protoTCP, 185, true), pad),
			`"pkt_len":78,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8:7::7","dest_ip":"2001:db8::2","proto":"TCP","proto_number":6,"ttl":62,"fragment":true`, true},
		{"one of each", frame(ethernet(eth6), ipv6(hop), extension(options), extension(layers.IPProtocolIPv6Routing), extension(piece), ipv6Fragment(layers.IPProtocolAH, 0, true),
			authentication(options), extension(protoUDP), udp(1234, 53)),
			`"pkt_len":126,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8:7::7","src_port":1234,"dest_ip":"2001:db8::2","dest_port":53,"proto":"UDP","proto_number":17,"ttl":62`, true},
		{"chain of 8", frame(ethernet(eth6), ipv6(options), extensions(8, protoUDP), udp(1234, 53)),
			`"pkt_len":126,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8:7::7","src_port":1234,"dest_ip":"2001:db8::2","dest_port":53,"proto":"UDP","proto_number":17,"ttl":62`, true},
		{"chain of 9", frame(ethernet(eth6), ipv6(options), extensions(9, protoUDP), udp(1234, 53)),
			`"pkt_len":134,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8:7::7","dest_ip":"2001:db8::2","proto":"IPv6-Opts","proto_number":60,"ttl":62`, false},
		{"ICMPv6", frame(ethernet(eth6), ipv6(layers.IPProtocolICMPv6), pad),
			`"pkt_len":62,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8:7::7","dest_ip":"2001:db8::2","proto":"IPv6-ICMP","proto_number":58,"ttl":62`, false},
		{"no next header", frame(ethernet(eth6), ipv6(layers.IPProtocolNoNextHeader)),
			`"pkt_len":54,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8:7::7","dest_ip":"2001:db8::2","proto":"IPv6-NoNxt","proto_number":59,"ttl":62`, false},
		{"SCTP", frame(ethernet(eth6), ipv6(layers.IPProtocolSCTP), sctp(2905, 36412)),
			`"pkt_len":66,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8:7::7","src_port":2905,"dest_ip":"2001:db8::2","dest_port":36412,"proto":"SCTP","proto_number":132,"ttl":62`, false},
		{"ports cut", datagram()[:54+3],
			`"pkt_len":57,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8:7::7","dest_ip":"2001:db8::2","proto":"UDP","proto_number":17,"ttl":62,"truncated":true`, true},
		{"nothing behind the extension header", hopped[:54+8],
			`"pkt_len":62,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8:7::7","dest_ip":"2001:db8::2","proto":"UDP","proto_number":17,"ttl":62,"truncated":true`, true},
		{"extension header cut", hopped[:54+7],
			`"pkt_len":61,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8:7::7","dest_ip":"2001:db8::2","proto":"HOPOPT","proto_number":0,"ttl":62,"truncated":true`, false},
		{"extension header longer than the frame", patch(frame(ethernet(eth6), ipv6(options), extension(protoUDP), udp(1234, 53)), 55, 255),
			`"pkt_len":70,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8:7::7","dest_ip":"2001:db8::2","proto":"IPv6-Opts","proto_number":60,"ttl":62,"truncated":true`, false},
		{"IP header cut", datagram()[:53], `"pkt_len":53,"ether_type":34525`, false},
		{"nothing behind the Ethernet header", datagram()[:14], `"pkt_len":14,"ether_type":34525`, false},
		{"version 4", patch(datagram(), 14, 0x45), `"pkt_len":62,"ether_type":34525`, false},
		{"IPv4 in its place", frame(ethernet(eth6), ipv4(protoUDP), udp(1234, 53), pad, pad, pad), `"pkt_len":66,"ether_type":34525`, false},
	}
}

func otherCases() []frameCase {
	return []frameCase{
		{"ARP", frame(ethernet(layers.EthernetTypeARP), &layers.ARP{
			AddrType: layers.LinkTypeEthernet, Protocol: eth4, HwAddressSize: 6, ProtAddressSize: 4, Operation: layers.ARPReply,
			SourceHwAddress: make([]byte, 6), SourceProtAddress: stranger4, DstHwAddress: make([]byte, 6), DstProtAddress: host4,
		}), `"pkt_len":42,"ether_type":2054`, false},
		{"unknown EtherType", frame(ethernet(0x88b5), pad), `"pkt_len":22,"ether_type":34997`, false},
	}
}

// TestFrames sends raw frames, well-formed and not, and compares all that is
// said of each: under --all, and under the default filter, which reports TCP
// and UDP alone. A marker follows every frame, so that a frame which is not
// reported is seen not to be. Whatever it is, it must reach the host.
func TestFrames(t *testing.T) {
	groups := map[string][]frameCase{"VLAN": vlanCases(), "IPv4": ipv4Cases(), "IPv6": ipv6Cases(), "other": otherCases()}
	filters := map[string][]string{"all": {"--all"}, "default filter": nil}
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		tap := lab.tap(t)
		for filter, args := range filters {
			capture := lab.xdplog(t, append(args, "--mode", mode)...)
			for group, cases := range groups {
				for _, c := range cases {
					t.Run(filter+"/"+group+"/"+c.name, func(t *testing.T) {
						lab.send(t, c.frame, marker())
						got := capture.untilMarker(t)
						switch wanted := filter == "all" || c.isDefault; {
						case !wanted && len(got) > 0:
							t.Errorf("reported as\n\t%v, want nothing", got)
						case wanted && (len(got) != 1 || got[0].text != c.text):
							t.Errorf("reported as\n\t%v, want\n\t%s", got, c.text)
						}
						// The kernel takes tags off before a tap, or refuses them.
						if got := tap.untilMarker(t); group != "VLAN" && (len(got) != 1 || !bytes.Equal(got[0], c.frame)) {
							t.Errorf("the host received\n\t% x, want\n\t% x", got, c.frame)
						}
					})
				}
			}
			if end := capture.stop(t); len(end.lines) > 0 {
				t.Errorf("unexpected events: %q", end.lines)
			}
			lab.wantNoProgram(t)
		}
	})
}
