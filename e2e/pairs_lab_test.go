package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
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

// seenBy says how often a datagram was seen on an interface, in each way. more stands
// before the filter's end.
func (l *lab) seenBy(t *testing.T, on string, send func(), more ...string) string {
	t.Helper()
	var all []string
	for _, way := range ways {
		capture := start(t, l.right, slices.Concat(way.args, []string{"-i", on, "-o", "json"}, more, []string{"udp dst port", fmt.Sprint(pairPort)})...)
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

// lengthOf is how long a packet is, and how many segments it is said to be.
func lengthOf(e event) string {
	if e.Segments == 0 {
		return fmt.Sprint(e.Length)
	}
	return fmt.Sprintf("%d/%d", e.Length, e.Segments)
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
		all = append(all, way.name+" "+lengthOf(capture.next(t)))
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
