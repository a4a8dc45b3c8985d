package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// pairPort is that of the datagrams which are counted.
const pairPort = 7777

func pairFrame() []byte { return frame(ethernet(eth4), ipv4(protoUDP), udp(1234, pairPort)) }

// ways are how a program may be put on an interface.
var ways = []struct {
	name string
	args []string
}{
	{"native", []string{"--place", "xdp", "--mode", "native"}},
	{"generic", []string{"--place", "xdp", "--mode", "generic"}},
	{"tc", []string{"--place", "tc"}},
}

// seenBy says how often a datagram was seen on an interface, in each way.
func (l *lab) seenBy(t *testing.T, on string, send func()) string {
	t.Helper()
	var all []string
	for _, way := range ways {
		capture := start(t, l.right, append(slices.Clone(way.args), "-i", on, "-o", "json", "udp dst port", fmt.Sprint(pairPort))...)
		if !capture.stderr.await(listening) {
			capture.wait(t)
			all = append(all, way.name+" no")
			continue
		}
		send()
		time.Sleep(200 * time.Millisecond)
		all = append(all, fmt.Sprintf("%s %d", way.name, len(capture.stop(t).lines)))
	}
	return strings.Join(all, ", ")
}

// sendPair sends one such datagram to right0.
func (l *lab) sendPair(t *testing.T) func() {
	return func() { l.sendTo(t, l.wires[0].to, pairFrame()) }
}

// mirred has tc pass on to an interface what right1 receives.
func (l *lab) mirred(t *testing.T, to string, action netlink.MirredAct) {
	t.Helper()
	l.right.change(t, right(1), func(from netlink.Link) error {
		target, err := netlink.LinkByName(to)
		if err != nil {
			return err
		}
		ingress := netlink.QdiscAttrs{LinkIndex: from.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_INGRESS}
		if err := netlink.QdiscAdd(&netlink.Ingress{QdiscAttrs: ingress}); err != nil {
			return err
		}
		passOn := netlink.NewMirredAction(target.Attrs().Index)
		passOn.MirredAction = action
		passOn.Attrs().Action = netlink.TC_ACT_PIPE
		if action == netlink.TCA_EGRESS_REDIR || action == netlink.TCA_INGRESS_REDIR {
			passOn.Attrs().Action = netlink.TC_ACT_STOLEN
		}
		return netlink.FilterAdd(&netlink.U32{
			FilterAttrs: netlink.FilterAttrs{LinkIndex: from.Attrs().Index, Parent: ingress.Handle, Priority: 10, Protocol: unix.ETH_P_ALL},
			Actions:     []netlink.Action{passOn},
			ClassId:     netlink.MakeHandle(1, 1),
		})
	})
}

// sendOther sends a datagram to right1.
func (l *lab) sendOther(t *testing.T) func() {
	return func() {
		t.Helper()
		if err := l.transmit(1, sumIPv4(patch(pairFrame(), 0, l.wires[1].to...), 14)); err != nil {
			t.Fatal(err)
		}
	}
}

// atop adds an interface on another one of the right.
func (l *lab) atop(t *testing.T, lower string, link func(netlink.LinkAttrs) netlink.Link, name string) {
	t.Helper()
	l.right.change(t, lower, func(on netlink.Link) error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.ParentIndex = name, on.Attrs().Index
		made := link(attrs)
		if err := netlink.LinkAdd(made); err != nil {
			return err
		}
		return netlink.LinkSetUp(made)
	})
}

// pairs are what happens where two things meet, each of which alone is known. seen is on
// Linux 6.18; where kernels differ the test says so.
var pairs = []struct {
	name string
	what func(t *testing.T, l *lab) (seen string)
	want string
}{
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
	}, "native 3054, generic 3054, tc 3054"},
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
		send := l.protected(t, 0)
		return l.seenBy(t, right(0), func() { send(pairFrame()) })
	}, "native 0, generic 1, tc 1"},
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

// alone makes an interface on the right that is on nothing.
func (l *lab) alone(t *testing.T, name string, link func(netlink.LinkAttrs) netlink.Link) {
	t.Helper()
	err := l.right.do(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = name
		made := link(attrs)
		if err := netlink.LinkAdd(made); err != nil {
			return err
		}
		return netlink.LinkSetUp(made)
	})
	if errors.Is(err, unix.EOPNOTSUPP) {
		t.Skipf("this kernel lacks %s", name)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// siblings are two macvlans on right0, of which one sends to the other.
func (l *lab) siblings(t *testing.T) func() {
	for _, name := range []string{"mac0", "mac1"} {
		l.atop(t, right(0), func(a netlink.LinkAttrs) netlink.Link {
			return &netlink.Macvlan{LinkAttrs: a, Mode: netlink.MACVLAN_MODE_BRIDGE}
		}, name)
	}
	send, to := l.sends(t, l.right, "mac0"), l.macOf(t, "mac1")
	return func() { send(patch(pairFrame(), 0, to...)) }
}

// seenSizes is how long a packet of three segments is that a process hands to a tap.
func (l *lab) seenSizes(t *testing.T) string {
	const (
		vnetHeader                = 0x4000 // IFF_VNET_HDR
		setOffload                = 0x400454d0
		checksum, tso4            = 1, 2 // TUN_F_…
		needsChecksum, gsoOfTCPv4 = 1, 1 // VIRTIO_NET_HDR_…
		headers                   = 14 + 20 + 20
	)
	fd := -1
	t.Cleanup(func() { unix.Close(fd) })
	l.add(t, "tap", func(netlink.LinkAttrs) (err error) {
		if fd, err = openTunnel(above, unix.IFF_TAP|vnetHeader); err != nil {
			return err
		}
		return unix.IoctlSetInt(fd, setOffload, checksum|tso4)
	})
	tcp := &layers.TCP{SrcPort: 1234, DstPort: 80, ACK: true, Window: 1024}
	packet := frame(ethernet(eth4), ipv4(layers.IPProtocolTCP), tcp, gopacket.Payload(make([]byte, 3000)))
	header := []byte{needsChecksum, gsoOfTCPv4}
	for _, n := range []uint16{headers, 1000, 34, 16} { // header length, of a segment, where the checksum begins, and is
		header = binary.NativeEndian.AppendUint16(header, n)
	}
	var all []string
	for _, way := range ways {
		capture := start(t, l.right, append(slices.Clone(way.args), "-i", above, "-o", "json", "tcp")...).listens(t)
		if _, err := unix.Write(fd, slices.Concat(header, sumIPv4(packet, 14))); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(way.name, " ", capture.next(t).Length))
		capture.stop(t)
	}
	return strings.Join(all, ", ")
}

// failsOver is by which port a bond received two packets, between which one failed.
func (l *lab) failsOver(t *testing.T) string {
	l.stack(t, uppers[4])
	l.right.change(t, right(1), func(lower netlink.Link) error {
		master, err := netlink.LinkByName(above)
		if err != nil {
			return err
		}
		return errors.Join(netlink.LinkSetDown(lower), netlink.LinkSetMaster(lower, master), netlink.LinkSetUp(lower))
	})
	mac := l.macOf(t, above)
	capture := start(t, l.right, "-i", above, "-o", "json", "udp dst port", fmt.Sprint(pairPort)).listens(t)
	var by []string
	for i := range 2 {
		var e event
		for begin := time.Now(); e.text == "" && time.Since(begin) < timeout; { // until the bond has noticed
			if err := l.transmit(i, patch(pairFrame(), 0, mac...)); err != nil && err != unix.ENETDOWN {
				t.Fatal(err)
			}
			select {
			case line := <-capture.lines:
				e = parseEvent(t, line)
			case <-time.After(50 * time.Millisecond):
			}
		}
		_, port, _ := strings.Cut(e.text, `"in_port":"`)
		port, _, _ = strings.Cut(port, `"`)
		by = append(by, port)
		l.left.change(t, left(0), netlink.LinkSetDown)
		time.Sleep(300 * time.Millisecond)
	}
	capture.stop(t)
	l.left.change(t, left(0), netlink.LinkSetUp)
	return strings.Join(by, ", ")
}

// mtuUnderLoad says whether all of a burst was seen while the MTU changed.
func (l *lab) mtuUnderLoad(t *testing.T) string {
	const n = 20_000
	capture := start(t, l.right, "-i", right(0), "--mode", "native", "--buffer", "16MiB", "-o", "none").listens(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 20 {
			_ = l.right.do(func() error {
				link, err := netlink.LinkByName(right(0))
				if err != nil {
					return err
				}
				return netlink.LinkSetMTU(link, 1400+i%2*100)
			})
			time.Sleep(5 * time.Millisecond)
		}
	}()
	l.burst(t, n, pairFrame())
	<-done
	end := capture.stop(t)
	if !strings.Contains(end.stderr, fmt.Sprint(n, " packets captured")) {
		return end.stderr
	}
	return "all"
}

// TestPairs: what happens where two things meet is what docs/devices.md says.
func TestPairs(t *testing.T) {
	for _, p := range pairs {
		t.Run(p.name, func(t *testing.T) {
			if got := p.what(t, newLabWith(t, labOptions{pairs: 2})); got != p.want {
				t.Errorf("seen: %s, want %s", got, p.want)
			}
		})
	}
}
