package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// paths are pairs of a way through the stack that people have besides the usual one.
var paths = []pair{
	{"NAPI in threads, and GRO", func(t *testing.T, l *lab) string {
		if err := l.right.do(func() error { return useGRO(right(0)) }); err != nil {
			t.Fatal(err)
		}
		l.set(t, right(0)+"/threaded", "1")
		return l.numbers(t)
	}, "native 640, generic 640, tc 640"},
	{"packets steered to other CPUs (RPS)", func(t *testing.T, l *lab) string {
		l.set(t, right(0)+"/queues/rx-0/rps_cpus", "3")
		return l.numbers(t)
	}, "native 640, generic 640, tc 640"},
	{"the end of a path by segments", func(t *testing.T, l *lab) string {
		send := l.segments(t)
		return l.seenBy(t, right(0), send) + "; --inner: " + l.seenBy(t, right(0), send, "--inner") + "; " + l.seenOut(t, right(1), send)
	}, "native 0, generic 0, tc 0; --inner: native 1, generic 1, tc 1; out 1"},
	{"the end of a path by labels", func(t *testing.T, l *lab) string {
		send := l.labels(t)
		return l.seenBy(t, right(0), send) + "; " + l.seenOut(t, right(1), send)
	}, "native 0, generic 0, tc 0; out 1"},
	{"a flow table", func(t *testing.T, l *lab) string {
		send := l.flowTable(t)
		return l.seenBy(t, right(0), send) + "; " + l.seenOut(t, right(1), send)
	}, "native 1, generic 1, tc 1; out 1"},
	{"a socket that sends past the queues", func(t *testing.T, l *lab) string {
		return l.seenOut(t, right(1), l.sending(t, true)) + "; usual: " + l.seenOut(t, right(1), l.sending(t, false))
	}, "out 0; usual: out 1"},
	{"another XDP program sends packets back", func(t *testing.T, l *lab) string {
		came := l.sendBack(t)
		seen := l.seenOut(t, right(0), l.sendPair(t))
		return fmt.Sprintf("%s; came back: %v", seen, came())
	}, "out 0; came back: true"},
	{"nftables drops what is sent", func(t *testing.T, l *lab) string {
		l.dropAtEgress(t)
		return l.seenOut(t, right(1), l.sending(t, false))
	}, "out 0"},
	{"a queue drops what is sent", func(t *testing.T, l *lab) string {
		send, dropped := l.sending(t, false), l.dropInQueue(t)
		seen := l.seenOut(t, right(1), func() {
			for range 100 {
				send()
			}
		})
		return fmt.Sprintf("%s; dropped: %v", seen, dropped() > 50)
	}, "out 100; dropped: true"},
	{"tags beside packets, and a bond", func(t *testing.T, l *lab) string {
		l.tagsBeside(t)
		l.stack(t, uppers[4])
		mac := l.macOf(t, above)
		said := start(t, l.right, "-i", above, "-o", "none", "--duration", "100ms").wait(t).stderr
		return l.seenBy(t, above, func() {
			l.sendTo(t, mac, frame(ethernet(dot1q), vlan(10, eth4), ipv4(protoUDP), udp(1234, pairPort)))
		}, "vlan 10 and") + fmt.Sprint("; said: ", strings.Contains(said, hidden))
	}, "native 0, generic 0, tc 1; said: true"},
}

// seenOut says how often a datagram that the right sends was seen at tc egress.
func (l *lab) seenOut(t *testing.T, on string, send func()) string {
	t.Helper()
	capture := start(t, l.right, "-i", on, "--direction", "out", "-o", "json", "udp dst port", fmt.Sprint(pairPort)).listens(t)
	send()
	time.Sleep(200 * time.Millisecond)
	return fmt.Sprint("out ", len(capture.stop(t).lines))
}

// set writes a setting of the right namespace's interfaces, below /sys/class/net.
func (l *lab) set(t *testing.T, name, value string) {
	t.Helper()
	dir := t.TempDir()
	err := l.right.do(func() error {
		if err := unix.Mount("sysfs", dir, "sysfs", 0, ""); err != nil {
			return err
		}
		return errors.Join(os.WriteFile(filepath.Join(dir, "class/net", name), []byte(value), 0), unix.Unmount(dir, unix.MNT_DETACH))
	})
	if err != nil {
		t.Fatalf("set %s: %v", name, err)
	}
}

// numbers says how many of 640 datagrams were seen.
func (l *lab) numbers(t *testing.T) string {
	return l.seenBy(t, right(0), func() { l.burst(t, 640, sumIPv4(patch(pairFrame(), 0, l.wires[0].to...), 14)) })
}

// sending has a packet socket on right1 send, past its queues as traffic generators do, or
// not. What finds no room, or is dropped, is an error there.
func (l *lab) sending(t *testing.T, bypass bool) func() {
	t.Helper()
	fd := -1
	err := l.right.do(func() (err error) {
		if fd, err = packetSocket(right(1), 0); err == nil && bypass {
			err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return func() {
		if _, err := unix.Write(fd, pairFrame()); err != nil && err != unix.ENOBUFS {
			t.Fatal(err)
		}
	}
}

// sendBack has somebody else's program on right0 send back what it receives (XDP_TX), and
// returns what says whether something came back.
func (l *lab) sendBack(t *testing.T) (came func() bool) {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "somebody_else", Type: ebpf.XDP,
		Instructions: bpf.Instructions{bpf.Mov.Imm(bpf.R0, 3), bpf.Return()}, // XDP_TX
	})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	set := func(fd int) {
		l.right.change(t, right(0), func(at netlink.Link) error { return netlink.LinkSetXdpFdWithFlags(at, fd, xdpFlags("generic")) })
	}
	set(prog.FD())
	t.Cleanup(func() { set(-1) })
	fd := -1
	if err := l.left.do(func() (err error) { fd, err = packetSocket(left(0), unix.ETH_P_ALL); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return func() bool {
		for frame := make([]byte, 1<<12); ; {
			n, from, err := unix.Recvfrom(fd, frame, unix.MSG_DONTWAIT)
			if err != nil {
				return false
			}
			if at := from.(*unix.SockaddrLinklayer); at.Pkttype != unix.PACKET_OUTGOING && bytes.Contains(frame[:n], []byte{pairPort >> 8, pairPort & 0xff}) {
				return true
			}
		}
	}
}

// dropInQueue has a queue on right1 that drops nearly all, and returns how many it did.
func (l *lab) dropInQueue(t *testing.T) (dropped func() uint32) {
	t.Helper()
	const rate = 1000
	l.right.change(t, right(1), func(link netlink.Link) error {
		return netlink.QdiscAdd(&netlink.Tbf{
			QdiscAttrs: netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
			Rate:       rate, Limit: 500, Buffer: netlink.Xmittime(rate, 1500),
		})
	})
	return func() (n uint32) {
		l.right.change(t, right(1), func(link netlink.Link) error {
			all, err := netlink.QdiscList(link)
			for _, q := range all {
				if stats := q.Attrs().Statistics; stats != nil && stats.Queue != nil {
					n += stats.Queue.Drops
				}
			}
			return err
		})
		return n
	}
}

// forwards has the right namespace forward.
func (l *lab) forwards(t *testing.T) {
	t.Helper()
	err := l.right.do(func() error {
		return errors.Join(os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0), os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// segments has the right end of a path by segments (SRv6) unpack what comes on it, and
// send it on over right1.
func (l *lab) segments(t *testing.T) func() {
	t.Helper()
	l.forwards(t)
	id := net.ParseIP("2001:db8:5::1")
	next := net.IP(address(1, 1, false).AsSlice())
	l.right.change(t, right(1), func(link netlink.Link) error {
		encap := &netlink.SEG6LocalEncap{Action: nl.SEG6_LOCAL_ACTION_END_DX4, InAddr: next}
		encap.Flags[nl.SEG6_LOCAL_ACTION], encap.Flags[nl.SEG6_LOCAL_NH4] = true, true
		return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: &net.IPNet{IP: id, Mask: net.CIDRMask(128, 128)}, Encap: encap})
	})
	return func() {
		const routing, segments = 43, 4
		outer := ipv6(routing)
		outer.DstIP = id
		inner := sumIPv4(pairFrame()[14:], 0)
		header := slices.Concat([]byte{byte(layers.IPProtocolIPv4), 2, segments, 0, 0, 0, 0, 0}, id)
		l.sendTo(t, l.wires[0].to, frame(ethernet(eth6), outer, gopacket.Payload(header), gopacket.Payload(inner)))
	}
}

// labels has the right take the label of MPLS off what comes with it, and send it on over right1.
func (l *lab) labels(t *testing.T) func() {
	t.Helper()
	const label = 100
	l.forwards(t)
	err := l.right.do(func() error {
		return errors.Join(
			os.WriteFile("/proc/sys/net/mpls/platform_labels", []byte("1000"), 0),
			os.WriteFile("/proc/sys/net/mpls/conf/"+right(0)+"/input", []byte("1"), 0))
	})
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("this kernel lacks MPLS")
	}
	if err != nil {
		t.Fatal(err)
	}
	l.right.change(t, right(1), func(link netlink.Link) error {
		popped := label
		return netlink.RouteAdd(&netlink.Route{
			Family: unix.AF_MPLS, LinkIndex: link.Attrs().Index, MPLSDst: &popped,
			Via: &netlink.Via{AddrFamily: unix.AF_INET, Addr: net.IP(address(1, 1, false).AsSlice())},
		})
	})
	return func() {
		l.sendTo(t, l.wires[0].to, frame(ethernet(0x8847), gopacket.Payload{0, label >> 4, label&15<<4 | 1, 64}, gopacket.Payload(sumIPv4(pairFrame()[14:], 0))))
	}
}
