package e2e

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A pair is two things that meet, and what happens then.
type pair struct {
	name string
	what func(t *testing.T, l *lab) (seen string)
	want string
}

// pairs are of things of which each alone is known. seen is on Linux 6.18; where kernels
// differ the test says so.
var pairs = []pair{
	{"tc redirects to its ingress", func(t *testing.T, l *lab) string {
		l.mirred(t, right(0), netlink.TCA_INGRESS_REDIR)
		return l.seenBy(t, right(0), l.sendOther(t))
	}, "native 0, generic 0, tc 1"},
	{"tc mirrors to its ingress", func(t *testing.T, l *lab) string {
		l.mirred(t, right(0), netlink.TCA_INGRESS_MIRROR)
		return l.seenBy(t, right(0), l.sendOther(t))
	}, "native 0, generic 1, tc 1"},
	{"tc redirects to its egress", func(t *testing.T, l *lab) string {
		l.mirred(t, right(0), netlink.TCA_EGRESS_REDIR)
		return l.seenBy(t, right(0), l.sendOther(t))
	}, "native 0, generic 0, tc 0"},
	{"tc redirects away from it", func(t *testing.T, l *lab) string {
		l.mirred(t, right(0), netlink.TCA_EGRESS_REDIR)
		return l.seenBy(t, right(1), l.sendOther(t))
	}, "native 1, generic 1, tc 1"},
	{"macvlan to macvlan, seen below", func(t *testing.T, l *lab) string {
		return l.seenBy(t, right(0), l.siblings(t))
	}, "native 0, generic 1, tc 1"},
	{"macvlan to macvlan, seen there", func(t *testing.T, l *lab) string {
		send := l.siblings(t)
		return l.seenBy(t, "mac1", send)
	}, "native no, generic 1, tc 1"},
	{"macvlan passthru, seen below", func(t *testing.T, l *lab) string {
		l.atop(t, right(0), func(a netlink.LinkAttrs) netlink.Link {
			return &netlink.Macvlan{LinkAttrs: a, Mode: netlink.MACVLAN_MODE_PASSTHRU}
		}, "mac0")
		return l.seenBy(t, right(0), l.sendPair(t))
	}, "native 1, generic 1, tc 1"},
	{"a bridge that filters VLANs, and its port", func(t *testing.T, l *lab) string {
		filters := true
		l.stack(t, upper{kind: "bridge", port: true, link: func(a netlink.LinkAttrs) netlink.Link {
			return &netlink.Bridge{LinkAttrs: a, VlanFiltering: &filters}
		}})
		mac := l.macOf(t, above)
		send := func() {
			l.sendTo(t, mac, frame(ethernet(dot1q), vlan(10, eth4), ipv4(protoUDP), udp(1234, pairPort)))
		}
		return "port: " + l.seenBy(t, right(0), send) + "; bridge: " + l.seenBy(t, above, send)
	}, "port: native 1, generic 1, tc 1; bridge: native no, generic 0, tc 0"},
	{"a vxlan that is a bridge's port", func(t *testing.T, l *lab) string {
		l.alone(t, "br0", func(a netlink.LinkAttrs) netlink.Link { return &netlink.Bridge{LinkAttrs: a} })
		l.atop(t, right(0), func(a netlink.LinkAttrs) netlink.Link {
			return &netlink.Vxlan{LinkAttrs: a, VxlanId: 5, Port: 4789, Learning: true}
		}, "vx0")
		l.right.change(t, "vx0", func(vx netlink.Link) error {
			bridge, err := netlink.LinkByName("br0")
			if err != nil {
				return err
			}
			return netlink.LinkSetMaster(vx, bridge)
		})
		mac := l.macOf(t, "br0") // its port's, by now
		send := func() {
			inner := sumIPv4(patch(pairFrame(), 0, mac...), 14) // bridges may look
			l.sendTo(t, l.wires[0].to, within4(protoUDP, udp(1234, 4789), gopacket.Payload{8, 0, 0, 0, 0, 0, 5, 0}, gopacket.Payload(inner)))
		}
		return "vxlan: " + l.seenBy(t, "vx0", send) + "; bridge: " + l.seenBy(t, "br0", send)
	}, "vxlan: native no, generic 1, tc 1; bridge: native no, generic 1, tc 1"},
	{"jumbo frames", func(t *testing.T, _ *lab) string {
		l := newLabWith(t, labOptions{mtu: 9000})
		large := frame(ethernet(eth4), ipv4(protoUDP), udp(1234, pairPort), gopacket.Payload(make([]byte, 8000)))
		return l.seenBy(t, right(0), func() { l.sendTo(t, l.wires[0].to, large) })
	}, "native 1, generic 1, tc 1"},
	{"64 queues", func(t *testing.T, _ *lab) string {
		l := newLabWith(t, labOptions{queues: 64})
		return l.seenBy(t, right(0), func() { l.burst(t, 640, sumIPv4(patch(pairFrame(), 0, l.wires[0].to...), 14)) })
	}, "native 640, generic 640, tc 640"},
	{"one's own address", func(t *testing.T, l *lab) string {
		l.loopback(t)
		send := func() {
			err := l.right.do(func() error {
				c, err := net.Dial("udp", fmt.Sprintf("192.0.2.2:%d", pairPort))
				if err != nil {
					return err
				}
				defer c.Close()
				_, err = c.Write([]byte("x"))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return "it: " + l.seenBy(t, right(0), send) + "; lo: " + l.seenBy(t, "lo", send)
	}, "it: native 0, generic 0, tc 0; lo: native no, generic 1, tc 1"},
	{"a tap and merged segments", func(t *testing.T, l *lab) string {
		return l.seenSizes(t)
	}, "native 3054, generic 3054, tc 3054/3"},
	{"a bond whose port fails", func(t *testing.T, l *lab) string { return l.failsOver(t) }, "right0, right1"},
	{"an AF_XDP socket without a program", func(t *testing.T, l *lab) string {
		l.bindXDPSocket(t)
		return l.seenBy(t, right(0), l.sendPair(t))
	}, "native 1, generic 1, tc 1"},
	{"a drop at tc", func(t *testing.T, l *lab) string {
		const shot = 2 // TC_ACT_SHOT
		defer l.foreignFilter(t, shot)()
		return l.seenBy(t, right(0), l.sendPair(t))
	}, "native 1, generic 1, tc 1"},
	{"the MTU changed under load", func(t *testing.T, l *lab) string { return l.mtuUnderLoad(t) }, "all"},
	{"IPsec in tunnel mode, without an interface", func(t *testing.T, l *lab) string {
		send := l.protected(t, func(*netlink.XfrmState) {})
		return l.seenBy(t, right(0), func() { send(pairFrame()) })
	}, "native 0, generic 0, tc 1"},
	{"a VRF and tc", func(t *testing.T, l *lab) string {
		l.stack(t, upper{kind: "vrf", port: true, link: func(a netlink.LinkAttrs) netlink.Link { return &netlink.Vrf{LinkAttrs: a, Table: 10} }})
		return l.seenBy(t, above, l.sendPair(t))
	}, "native no, generic 0, tc 0"},
	{"a netkit whose peer may not send", func(t *testing.T, l *lab) string {
		const peer = "peer0"
		l.add(t, "netkit", func(a netlink.LinkAttrs) error {
			a.ParentIndex = 0
			kit := &netlink.Netkit{LinkAttrs: a, Mode: netlink.NETKIT_MODE_L2, PeerPolicy: netlink.NETKIT_POLICY_BLACKHOLE}
			other := netlink.NewLinkAttrs()
			other.Name, other.Namespace = peer, netlink.NsPid(l.left.id)
			kit.SetPeerAttrs(&other)
			return netlink.LinkAdd(kit)
		})
		l.left.change(t, peer, netlink.LinkSetUp)
		fd := -1
		if err := l.left.do(func() (err error) { fd, err = packetSocket(peer, 0); return err }); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return l.seenBy(t, above, func() { unix.Write(fd, pairFrame()) }) // which is an error there
	}, "native no, generic 0, tc 0"},
	{"what is said of an interface and one above it", func(t *testing.T, l *lab) string {
		l.stack(t, uppers[0])
		mac := l.macOf(t, above)
		capture := start(t, l.right, "-i", right(0), "-i", above, "-o", "json").listens(t)
		l.sendTo(t, mac, pairFrame())
		time.Sleep(200 * time.Millisecond)
		var on []string
		for _, line := range capture.stop(t).lines {
			on = append(on, parseEvent(t, line).Interface)
		}
		return strings.Join(on, ", ")
	}, "right0, above0"},
}

// TestPairs: what happens where two things meet is what docs/devices.md says.
func TestPairs(t *testing.T) {
	for _, p := range slices.Concat(pairs, paths) {
		t.Run(p.name, func(t *testing.T) {
			if got := p.what(t, newLabWith(t, labOptions{pairs: 2})); got != p.want {
				t.Errorf("seen: %s, want %s", got, p.want)
			}
		})
	}
}
