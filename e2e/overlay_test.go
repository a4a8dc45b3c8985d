package e2e

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Networks over the lab's wire.

// likeIPv6 is a datagram of IPv6 to the port of one of IPv4.
func likeIPv6(packet []byte) []byte {
	return frame(ipv6(protoUDP), udp(1234, layers.UDPPort(binary.BigEndian.Uint16(packet[22:]))))
}

// vxlanGPE is a vxlan whose packets are what their header says: here, of IPv4.
func vxlanGPE(t *testing.T, lab *lab) func(...[]byte) {
	const learning, port, collectMetadata, gpe = 7, 15, 25, 27 // IFLA_VXLAN_…
	lab.addKind(t, "vxlan", nl.NewRtAttr(learning, []byte{0}), nl.NewRtAttr(collectMetadata, []byte{1}), nl.NewRtAttr(gpe, nil), nl.NewRtAttr(port, []byte{4790 >> 8, 4790 & 0xff}))
	return lab.carried(t, 14, func(p []byte) []byte {
		return within4(protoUDP, udp(1234, 4790), gopacket.Payload{0x0c, 0, 0, 1, 0, 0, 5, 0}, gopacket.Payload(p))
	})
}

// overFOU is an ipip tunnel in datagrams, to a port where the kernel takes them off.
func overFOU(t *testing.T, lab *lab) func(...[]byte) {
	const port = 5555
	lab.addLink(t, func(a netlink.LinkAttrs) netlink.Link {
		a.ParentIndex = 0
		return &netlink.Iptun{LinkAttrs: a, Local: net.IPv4(192, 0, 2, 2), Remote: net.IPv4(192, 0, 2, 1)}
	})
	listen := netlink.Fou{Family: unix.AF_INET, Port: port, Protocol: unix.IPPROTO_IPIP, EncapType: netlink.FOU_ENCAP_DIRECT}
	if err := lab.right.do(func() error { return netlink.FouAdd(listen) }); err != nil {
		t.Skipf("this kernel lacks tunnels in UDP: %v", err)
	}
	return lab.carried(t, 14, func(p []byte) []byte {
		return within4(protoUDP, udp(1234, port), gopacket.Payload(p))
	})
}

// Attributes of GRE's kinds (IFLA_GRE_…).
const (
	greIFlags, greOFlags, greIKey, greOKey = 2, 3, 4, 5
	greLocal, greRemote                    = 6, 7
	erspanIndex, erspanVersion             = 21, 22
)

// ofEthernet6 is a kind of GRE over IPv6 that carries frames behind a header.
func ofEthernet6(kind string, header func() []byte, more ...*nl.RtAttr) maker {
	return func(t *testing.T, lab *lab) func(...[]byte) {
		lab.addKind(t, kind, append(more, nl.NewRtAttr(greLocal, host6), nl.NewRtAttr(greRemote, net.ParseIP("2001:db8::1")))...)
		mac := lab.macOf(t, above)
		return lab.carried(t, 0, func(f []byte) []byte {
			return within6(layers.IPProtocolGRE, gopacket.Payload(header()), gopacket.Payload(patch(bytes.Clone(f), 0, mac...)))
		})
	}
}

// erspan is a mirror of another switch's port, which comes in GRE with numbers.
func erspan(kind string) maker {
	const (
		key, sequence = 0x2000, 0x1000 // of the flags in GRE's header
		session       = 5
	)
	number := byte(0)
	header := func() []byte {
		number++
		return []byte{sequence >> 8, 0, 0x88, 0xbe, 0, 0, 0, number, 0x10, 0, 0, session, 0, 0, 0, 0}
	}
	flags := []byte{(key | sequence) >> 8, 0}
	id := binary.BigEndian.AppendUint32(nil, session)
	data := []*nl.RtAttr{
		nl.NewRtAttr(greIFlags, flags), nl.NewRtAttr(greOFlags, flags), nl.NewRtAttr(greIKey, id), nl.NewRtAttr(greOKey, id),
		nl.NewRtAttr(erspanVersion, []byte{1}), nl.NewRtAttr(erspanIndex, nl.Uint32Attr(1)),
	}
	if kind == "ip6erspan" {
		return ofEthernet6(kind, header, data...)
	}
	return func(t *testing.T, lab *lab) func(...[]byte) {
		lab.addKind(t, kind, append(data, nl.NewRtAttr(greLocal, []byte{192, 0, 2, 2}), nl.NewRtAttr(greRemote, []byte{192, 0, 2, 1}))...)
		mac := lab.macOf(t, above)
		return lab.carried(t, 0, func(f []byte) []byte {
			return within4(layers.IPProtocolGRE, gopacket.Payload(header()), gopacket.Payload(patch(bytes.Clone(f), 0, mac...)))
		})
	}
}
