package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A maker makes a device, and returns what sends to it.
type maker = func(t *testing.T, lab *lab) (send func(frames ...[]byte))

// add makes an interface above0 in the right namespace, and has it up.
func (l *lab) add(t *testing.T, kind string, link func(netlink.LinkAttrs) error) {
	t.Helper()
	err := l.right.do(func() error {
		lower, err := netlink.LinkByName(right(0))
		if err != nil {
			return err
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.ParentIndex = above, lower.Attrs().Index
		if err := link(attrs); err != nil {
			return err
		}
		made, err := netlink.LinkByName(above)
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(made)
	})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT) {
		t.Skipf("this kernel lacks %s devices: %v", kind, err)
	}
	if err != nil {
		t.Fatalf("make a %s device: %v", kind, err)
	}
	t.Cleanup(func() {
		l.right.change(t, above, func(made netlink.Link) error {
			if err := netlink.LinkDel(made); !errors.Is(err, unix.EOPNOTSUPP) { // L2TP's go with their namespace
				return err
			}
			return nil
		})
	})
}

// addLink is add of a device that the library knows.
func (l *lab) addLink(t *testing.T, link func(netlink.LinkAttrs) netlink.Link) {
	t.Helper()
	l.add(t, link(netlink.NewLinkAttrs()).Type(), func(a netlink.LinkAttrs) error { return netlink.LinkAdd(link(a)) })
}

// addKind is add of another one, by its kind and attributes.
func (l *lab) addKind(t *testing.T, kind string, data ...*nl.RtAttr) {
	t.Helper()
	l.add(t, kind, func(a netlink.LinkAttrs) error {
		request := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK)
		request.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
		request.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(a.Name)))
		request.AddData(nl.NewRtAttr(unix.IFLA_LINK, nl.Uint32Attr(uint32(a.ParentIndex))))
		info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
		info.AddRtAttr(nl.IFLA_INFO_KIND, []byte(kind))
		of := info.AddRtAttr(nl.IFLA_INFO_DATA, nil)
		for _, d := range data {
			of.AddChild(d)
		}
		request.AddData(info)
		_, err := request.Execute(unix.NETLINK_ROUTE, 0)
		return err
	})
}

// carried sends what is before each frame, and the frame or with from its IP header on.
func (l *lab) carried(t *testing.T, from int, before func(inner []byte) []byte) func(frames ...[]byte) {
	return func(frames ...[]byte) {
		for _, f := range frames {
			if from > 0 && binary.BigEndian.Uint16(f[12:]) != uint16(eth4) {
				continue // a tag is nothing that it has
			}
			l.sendTo(t, l.wires[0].to, before(f[from:]))
		}
	}
}

// within4 is a packet of the lab's wire that carries another one.
func within4(protocol layers.IPProtocol, parts ...gopacket.SerializableLayer) []byte {
	outer := ipv4(protocol)
	outer.SrcIP = net.IPv4(192, 0, 2, 1)
	return frame(append([]gopacket.SerializableLayer{ethernet(eth4), outer}, parts...)...)
}

func within6(protocol layers.IPProtocol, parts ...gopacket.SerializableLayer) []byte {
	outer := ipv6(protocol)
	outer.SrcIP = net.ParseIP("2001:db8::1")
	return frame(append([]gopacket.SerializableLayer{ethernet(eth6), outer}, parts...)...)
}

// loopbacks sends by a packet socket on lo, which hears it.
func loopbacks(t *testing.T, lab *lab) func(...[]byte) {
	lab.loopback(t)
	return lab.sends(t, lab.right, "lo")
}

// sends sends frames from an interface.
func (l *lab) sends(t *testing.T, from *thread, name string) func(frames ...[]byte) {
	t.Helper()
	var fd int
	if err := from.do(func() (err error) { fd, err = packetSocket(name, 0); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return func(frames ...[]byte) {
		t.Helper()
		for _, f := range frames {
			if _, err := unix.Write(fd, f); err != nil {
				t.Fatalf("send %x from %s: %v", f, name, err)
			}
		}
	}
}

// dummy has tc redirect to it what right0 receives.
func dummy(t *testing.T, lab *lab) func(...[]byte) {
	lab.redirect(t, "dummy0", func(a netlink.LinkAttrs) netlink.Link { return &netlink.Dummy{LinkAttrs: a} })
	return lab.direct(t, right(0))
}

// netkit is the end of a pair whose other end is on the left.
func netkit(mode netlink.NetkitMode) maker {
	return func(t *testing.T, lab *lab) func(...[]byte) {
		const peer = "peer0"
		lab.add(t, "netkit", func(a netlink.LinkAttrs) error {
			a.ParentIndex = 0
			kit := &netlink.Netkit{LinkAttrs: a, Mode: mode}
			other := netlink.NewLinkAttrs()
			other.Name, other.Namespace = peer, netlink.NsPid(lab.left.id)
			kit.SetPeerAttrs(&other)
			return netlink.LinkAdd(kit)
		})
		lab.left.change(t, peer, netlink.LinkSetUp)
		return lab.sends(t, lab.left, peer)
	}
}

// ring is an HSR or PRP node on both of two wires.
func ring(protocol byte, before func(inner []byte) []byte) maker {
	const slave1, slave2, version, proto = 1, 2, 6, 7 // IFLA_HSR_…
	return func(t *testing.T, lab *lab) func(...[]byte) {
		var indexes [2]uint32
		for i := range indexes {
			lab.right.change(t, right(i), func(link netlink.Link) error { indexes[i] = uint32(link.Attrs().Index); return nil })
		}
		data := []*nl.RtAttr{nl.NewRtAttr(slave1, nl.Uint32Attr(indexes[0])), nl.NewRtAttr(slave2, nl.Uint32Attr(indexes[1]))}
		if protocol == 0 {
			data = append(data, nl.NewRtAttr(version, []byte{1}))
		} else {
			data = append(data, nl.NewRtAttr(proto, []byte{protocol}))
		}
		lab.addKind(t, "hsr", data...)
		return lab.carried(t, 0, before)
	}
}

// hsrTag puts HSR's tag (IEC 62439-3) before the EtherType, behind a VLAN's. A frame with one has
// another number than one without: of a number the second is taken for the first's copy.
func hsrTag(f []byte) []byte {
	at, number := 12, byte(1)
	if binary.BigEndian.Uint16(f[at:]) == uint16(dot1q) {
		at, number = at+4, 2
	}
	size := len(f) - at - 2 + 6
	return slices.Concat(f[:at], []byte{0x89, 0x2f, byte(size >> 8), byte(size), 0, number}, f[at:])
}

// macsec is one that lets frames pass that nobody has protected.
func macsec(t *testing.T, lab *lab) func(...[]byte) {
	const validation, disabled = 13, 0 // IFLA_MACSEC_VALIDATION, MACSEC_VALIDATE_DISABLED
	lab.addKind(t, "macsec", nl.NewRtAttr(validation, []byte{disabled}))
	return lab.direct(t, right(0))
}

// overIP is a tunnel over the lab's wire: what its packets bear, and from where on they
// are in it.
func overIP(link func(netlink.LinkAttrs) netlink.Link, from int, before func(inner []byte) []byte) maker {
	return func(t *testing.T, lab *lab) func(...[]byte) {
		lab.addLink(t, func(a netlink.LinkAttrs) netlink.Link { a.ParentIndex = 0; return link(a) })
		if from > 0 {
			return lab.carried(t, from, before)
		}
		mac := lab.macOf(t, above)
		return lab.carried(t, 0, func(f []byte) []byte { return before(patch(bytes.Clone(f), 0, mac...)) })
	}
}

// onRight0 is a device on right0 that is sent to by its address.
func onRight0(link func(netlink.LinkAttrs) netlink.Link) maker {
	return func(t *testing.T, lab *lab) func(...[]byte) {
		lab.addLink(t, link)
		return lab.direct(t, above)
	}
}

// written is a tap device, whose frames a process writes.
func written(t *testing.T, lab *lab) func(...[]byte) {
	fd := -1
	t.Cleanup(func() { unix.Close(fd) }) // behind what deletes it
	lab.add(t, "tap", func(netlink.LinkAttrs) (err error) { fd, err = openTunnel(above, unix.IFF_TAP); return err })
	return func(frames ...[]byte) {
		for _, f := range frames {
			if _, err := unix.Write(fd, f); err != nil {
				t.Fatalf("write %x to a tap device: %v", f, err)
			}
		}
	}
}

// silent is a device that nothing is sent to: xdplog refuses it.
func silent(kind string) maker {
	return func(t *testing.T, lab *lab) func(...[]byte) {
		lab.add(t, kind, func(a netlink.LinkAttrs) error {
			a.ParentIndex = 0
			return netlink.LinkAdd(&netlink.GenericLink{LinkAttrs: a, LinkType: kind})
		})
		return func(...[]byte) {}
	}
}

// provider is a VLAN device for tags of 802.1ad.
func provider(t *testing.T, lab *lab) func(...[]byte) {
	lab.addLink(t, func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.Vlan{LinkAttrs: a, VlanId: 10, VlanProtocol: netlink.VLAN_PROTOCOL_8021AD}
	})
	send := lab.direct(t, right(0))
	return func(frames ...[]byte) {
		for _, f := range frames {
			if binary.BigEndian.Uint16(f[12:]) == uint16(dot1q) {
				f = patch(f, 12, 0x88, 0xa8)
			}
			send(f)
		}
	}
}
