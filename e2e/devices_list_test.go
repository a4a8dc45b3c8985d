package e2e

import (
	"bytes"
	"net"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"
)

// A device is one in a lab: how it is made, called, and sent to.
type device struct {
	name string
	on   string // the interface to watch; "": right0
	make maker
}

// direct sends frames to an interface's own address.
func (l *lab) direct(t *testing.T, name string) func(frames ...[]byte) {
	mac := l.macOf(t, name)
	return func(frames ...[]byte) {
		for _, f := range frames {
			l.sendTo(t, mac, f)
		}
	}
}

func (l *lab) macOf(t *testing.T, name string) (mac net.HardwareAddr) {
	t.Helper()
	l.right.change(t, name, func(link netlink.Link) error { mac = link.Attrs().HardwareAddr; return nil })
	return mac
}

// stacked is a device of a kind above right0, of which on is watched.
func stacked(kind, on string) maker {
	return func(t *testing.T, lab *lab) func(frames ...[]byte) {
		lab.stack(t, uppers[slices.IndexFunc(uppers, func(u upper) bool { return u.kind == kind })])
		return lab.direct(t, on)
	}
}

// overlay is a tunnel over right0 whose packets have Ethernet headers: port and header
// are what is before them.
func overlay(link func(netlink.LinkAttrs) netlink.Link, port layers.UDPPort, header []byte) maker {
	return func(t *testing.T, lab *lab) func(frames ...[]byte) {
		lab.make(t, upper{kind: "overlay", link: link})
		mac := lab.macOf(t, above)
		return func(frames ...[]byte) {
			for _, f := range frames {
				outer := ipv4(protoUDP)
				outer.SrcIP = net.IPv4(192, 0, 2, 1)
				lab.sendTo(t, lab.wires[0].to, frame(ethernet(eth4), outer, udp(1234, port), gopacket.Payload(slices.Concat(header, patch(f, 0, mac...)))))
			}
		}
	}
}

// ipvlan is one on right0, in a mode.
func ipvlan(mode netlink.IPVlanMode) maker {
	return ipvlanOf(func(a netlink.LinkAttrs) netlink.Link { return &netlink.IPVlan{LinkAttrs: a, Mode: mode} })
}

func ipvlanOf(link func(netlink.LinkAttrs) netlink.Link) maker {
	return func(t *testing.T, lab *lab) func(frames ...[]byte) {
		lab.addLink(t, link)
		lab.right.change(t, above, func(link netlink.Link) error {
			addr, err := netlink.ParseAddr("198.51.100.9/24")
			if err != nil {
				return err
			}
			return netlink.AddrAdd(link, addr)
		})
		return func(frames ...[]byte) {
			for _, f := range frames {
				at := bytes.Index(f, []byte{192, 0, 2, 2})
				f = patch(f, at, 198, 51, 100, 9)
				lab.sendTo(t, lab.wires[0].to, f)
			}
		}
	}
}

// tunneled is one of tunnels.
func tunneled(kind string) maker {
	return func(t *testing.T, lab *lab) func(frames ...[]byte) {
		receive := lab.tunnel(t, tunnels[slices.IndexFunc(tunnels, func(u tunnel) bool { return u.kind == kind })])
		return func(frames ...[]byte) { receive(frames[0]) } // a tag is nothing that it has
	}
}

// devices are those of which there are rows, in their order.
var devices = []device{
	{"veth", "", func(t *testing.T, lab *lab) func(...[]byte) { return lab.direct(t, right(0)) }},
	{"veth whose ingress tc redirects to an ifb", "", func(t *testing.T, lab *lab) func(...[]byte) { lab.shape(t); return lab.direct(t, right(0)) }},
	{"that ifb", "ifb0", func(t *testing.T, lab *lab) func(...[]byte) { lab.shape(t); return lab.direct(t, right(0)) }},
	{"bridge", above, stacked("bridge", above)},
	{"port of a bridge", "", stacked("bridge", above)},
	{"bond", above, stacked("bond", above)},
	{"port of a bond", "", stacked("bond", above)},
	{"team", above, stacked("team", above)},
	{"vlan", above, stacked("vlan", above)},
	{"macvlan", above, stacked("macvlan", above)},
	{"ipvlan l2", above, ipvlan(netlink.IPVLAN_MODE_L2)},
	{"ipvlan l3", above, ipvlan(netlink.IPVLAN_MODE_L3)},
	{"ipvlan l3s", above, ipvlan(netlink.IPVLAN_MODE_L3S)},
	{"vrf", above, func(t *testing.T, lab *lab) func(...[]byte) {
		lab.stack(t, upper{kind: "vrf", port: true, link: func(a netlink.LinkAttrs) netlink.Link { return &netlink.Vrf{LinkAttrs: a, Table: 10} }})
		return lab.direct(t, right(0))
	}},
	{"vxlan", above, overlay(func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.Vxlan{LinkAttrs: a, VxlanId: 5, Port: 4789}
	}, 4789, []byte{8, 0, 0, 0, 0, 0, 5, 0})},
	{"geneve", above, overlay(func(a netlink.LinkAttrs) netlink.Link {
		a.ParentIndex = 0
		return &netlink.Geneve{LinkAttrs: a, ID: 5, Dport: 6081, Remote: net.IPv4(192, 0, 2, 1)}
	}, 6081, []byte{0, 0, 0x65, 0x58, 0, 0, 5, 0})},
	{"tun", tunnelName, tunneled("tun")},
	{"ipip", tunnelName, tunneled("ipip")},
	{"gre", tunnelName, tunneled("gre")},

	{"lo", "lo", loopbacks},
	{"dummy", "dummy0", dummy},
	{"port of a vrf", "", func(t *testing.T, lab *lab) func(...[]byte) {
		lab.stack(t, upper{kind: "vrf", port: true, link: func(a netlink.LinkAttrs) netlink.Link { return &netlink.Vrf{LinkAttrs: a, Table: 10} }})
		return lab.direct(t, right(0))
	}},
	{"port of a team", "", stacked("team", above)},
	{"vlan of 802.1ad", above, provider},
	{"macvtap", above, onRight0(func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.Macvtap{Macvlan: netlink.Macvlan{LinkAttrs: a, Mode: netlink.MACVLAN_MODE_BRIDGE}}
	})},
	{"ipvtap", above, ipvlanOf(func(a netlink.LinkAttrs) netlink.Link { return &netlink.IPVtap{IPVlan: netlink.IPVlan{LinkAttrs: a}} })},
	{"tap", above, written},
	{"netkit l2", above, netkit(netlink.NETKIT_MODE_L2)},
	{"netkit l3", above, netkit(netlink.NETKIT_MODE_L3)},
	{"hsr", above, ring(0, hsrTag)},
	{"prp", above, ring(1, func(f []byte) []byte { return f })},
	{"macsec", above, macsec},
	{"gretap", above, overIP(func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.Gretap{LinkAttrs: a, Local: net.IPv4(192, 0, 2, 2), Remote: net.IPv4(192, 0, 2, 1)}
	}, 0, func(f []byte) []byte {
		return within4(layers.IPProtocolGRE, gopacket.Payload{0, 0, 0x65, 0x58}, gopacket.Payload(f))
	})},
	{"l2tp", above, l2tp},
	{"sit", above, overIP(func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.Sittun{LinkAttrs: a, Local: net.IPv4(192, 0, 2, 2), Remote: net.IPv4(192, 0, 2, 1)}
	}, 14, func(p []byte) []byte { return within4(layers.IPProtocolIPv6, gopacket.Payload(likeIPv6(p))) })},
	{"ip6tnl", above, overIP(func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.Ip6tnl{LinkAttrs: a, Local: host6, Remote: net.ParseIP("2001:db8::1")}
	}, 14, func(p []byte) []byte { return within6(layers.IPProtocolIPv4, gopacket.Payload(p)) })},
	{"ip6gre", above, overIP(func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.Gretun{LinkAttrs: a, Local: host6, Remote: net.ParseIP("2001:db8::1")}
	}, 14, func(p []byte) []byte {
		return within6(layers.IPProtocolGRE, gopacket.Payload{0, 0, 8, 0}, gopacket.Payload(p))
	})},
	{"wireguard", above, wireguard},
	{"ppp", "ppp0", ppp},
	{"gtp", above, gtp},
	{"xfrm", above, ipsec(func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.Xfrmi{LinkAttrs: a, Ifid: 7}
	}, func(s *netlink.XfrmState) { s.Ifid = 7 })},
	{"vti", above, ipsec(func(a netlink.LinkAttrs) netlink.Link {
		a.ParentIndex = 0
		return &netlink.Vti{LinkAttrs: a, Local: net.IPv4(192, 0, 2, 2), Remote: net.IPv4(192, 0, 2, 1), IKey: 7, OKey: 7}
	}, func(s *netlink.XfrmState) { s.Mark = &netlink.XfrmMark{Value: 7, Mask: 0xffffffff} })},
	{"nlmon", above, silent("nlmon")},
	{"vcan", above, silent("vcan")},

	{"vxlan external", above, overlay(func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.Vxlan{LinkAttrs: a, FlowBased: true, Port: 4789}
	}, 4789, []byte{8, 0, 0, 0, 0, 0, 5, 0})},
	{"vxlan gpe", above, vxlanGPE},
	{"geneve without Ethernet", above, overIP(func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.Geneve{LinkAttrs: a, ID: 5, Dport: 6081, Remote: net.IPv4(192, 0, 2, 1), InnerProtoInherit: true}
	}, 14, func(p []byte) []byte {
		return within4(protoUDP, udp(1234, 6081), gopacket.Payload{0, 0, 8, 0, 0, 0, 5, 0}, gopacket.Payload(p))
	})},
	{"gre external", above, overIP(func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.Gretun{LinkAttrs: a, Local: net.IPv4zero, FlowBased: true}
	}, 14, func(p []byte) []byte {
		return within4(layers.IPProtocolGRE, gopacket.Payload{0, 0, 8, 0}, gopacket.Payload(p))
	})},
	{"sit any", above, overIP(func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.Sittun{LinkAttrs: a, Local: net.IPv4(192, 0, 2, 2), Remote: net.IPv4(192, 0, 2, 1)}
	}, 14, func(p []byte) []byte { return within4(layers.IPProtocolIPv4, gopacket.Payload(p)) })},
	{"ip6tnl of IPv6", above, overIP(func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.Ip6tnl{LinkAttrs: a, Local: host6, Remote: net.ParseIP("2001:db8::1")}
	}, 14, func(p []byte) []byte { return within6(layers.IPProtocolIPv6, gopacket.Payload(likeIPv6(p))) })},
	{"ipip over FOU", above, overFOU},
	{"ip6gretap", above, ofEthernet6("ip6gretap", func() []byte { return []byte{0, 0, 0x65, 0x58} })},
	{"erspan", above, erspan("erspan")},
	{"ip6erspan", above, erspan("ip6erspan")},
}
