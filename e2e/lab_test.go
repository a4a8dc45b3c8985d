package e2e

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// timeout bounds every wait. Nothing takes this long where all is well, but on an emulated
// machine whose host has other things to do.
var timeout = map[bool]time.Duration{false: 10 * time.Second, true: 40 * time.Second}[os.Getenv(machineEnv) == "own"]

// A lab is two network namespaces and veth pairs between them:
//
//	left                              right
//	left0 192.0.2.1, 2001:db8::1      right0 192.0.2.2, 2001:db8::2      ← xdplog
//	left1 198.51.100.1, 2001:db8:1::1 right1 198.51.100.2, 2001:db8:1::2 ← with pairs: 2
//
// Only what a test sends is ever on the wires: neighbours are known, and there
// is no ARP, no neighbour discovery and no multicast listener report.
type lab struct {
	left, right *thread
	wires       []wire
}

// A wire is one veth pair, seen from the sender.
type wire struct {
	from, to net.HardwareAddr
	packets  int // packet socket on the left end
}

type labOptions struct {
	pairs  int // default 1
	mtu    int // bytes; default 1500
	queues int // of each end; default 1, which keeps the order
}

func newLab(t testing.TB) *lab {
	t.Helper()
	return newLabWith(t, labOptions{})
}

func newLabWith(t testing.TB, opts labOptions) *lab {
	t.Helper()
	needPrivilege(t)
	if opts.mtu == 0 {
		opts.mtu = 1500
	}
	l := &lab{
		left:  newThread(t, steps(network, pin(cpus(t)[0]))),
		right: newThread(t, network),
	}
	for i := range max(opts.pairs, 1) {
		if err := l.connect(i, opts.mtu, max(opts.queues, 1)); err != nil {
			t.Fatalf("make veth pair %d: %v", i, err)
		}
		t.Cleanup(func() { unix.Close(l.wires[i].packets) })
	}
	// Registered before any capture, so it runs after the last of them.
	t.Cleanup(func() {
		for i := range l.wires {
			if p := l.attached(t, right(i)); p.id != 0 && !t.Failed() {
				t.Errorf("the test left %v on %s", p, right(i))
			}
		}
	})
	return l
}

func left(i int) string  { return fmt.Sprint("left", i) }
func right(i int) string { return fmt.Sprint("right", i) }

// address returns the address of an end (1 left, 2 right) of pair i.
func address(i int, end byte, v6 bool) netip.Addr {
	switch {
	case v6:
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 5: byte(i), 15: end})
	case i == 0:
		return netip.AddrFrom4([4]byte{192, 0, 2, end})
	default:
		return netip.AddrFrom4([4]byte{198, 51, 100, end})
	}
}

// connect makes pair i and returns when frames cross it.
func (l *lab) connect(i, mtu, queues int) error {
	w := wire{
		from: net.HardwareAddr{2, 0, 0, 0, byte(i), 1},
		to:   net.HardwareAddr{2, 0, 0, 0, byte(i), 2},
	}
	err := l.left.do(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU, attrs.HardwareAddr = left(i), mtu, w.from
		attrs.NumTxQueues, attrs.NumRxQueues = queues, queues
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: attrs,
			PeerName:  right(i), PeerMTU: uint32(mtu), PeerHardwareAddr: w.to,
			PeerNumTxQueues: uint32(queues), PeerNumRxQueues: uint32(queues),
			PeerNamespace: netlink.NsPid(l.right.id),
		})
	})
	if err != nil {
		return fmt.Errorf("add: %w", err)
	}
	if err := l.left.do(func() error { return configure(left(i), i, 1, w.to) }); err != nil {
		return err
	}
	if err := l.right.do(func() error { return configure(right(i), i, 2, w.from) }); err != nil {
		return err
	}
	if err := l.left.do(func() error { w.packets, err = packetSocket(left(i), 0); return err }); err != nil {
		return fmt.Errorf("open a packet socket: %w", err)
	}
	l.wires = append(l.wires, w)
	return l.warmUp(i)
}

// configure sets up one end of pair i in the thread's namespace.
func configure(name string, i int, end byte, peer net.HardwareAddr) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	// Without ARP there is no neighbour discovery either, and no membership
	// of its multicast groups to report.
	if err := netlink.LinkSetARPOff(link); err != nil {
		return fmt.Errorf("silence %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	for _, v6 := range []bool{false, true} {
		bits := 24
		if v6 {
			bits = 64
		}
		own := netip.PrefixFrom(address(i, end, v6), bits)
		addr, err := netlink.ParseAddr(own.String())
		if err != nil {
			return err
		}
		if v6 {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("give %s address %v: %w", name, own, err)
		}
		err = netlink.NeighSet(&netlink.Neigh{
			LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT,
			IP: address(i, 3-end, v6).AsSlice(), HardwareAddr: peer,
		})
		if err != nil {
			return fmt.Errorf("tell %s its neighbour: %w", name, err)
		}
	}
	return nil
}

// packetSocket opens a socket for whole frames on an interface of the thread's
// namespace: to send, and to receive frames of protocol (EtherType) unless 0.
func packetSocket(name string, protocol uint16) (int, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = unix.Bind(fd, &unix.SockaddrLinklayer{
		Ifindex:  link.Attrs().Index,
		Protocol: binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, protocol)),
	})
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// experimental is an EtherType for local experiments (IEEE 802).
const experimental = 0x88b5

// warmUp waits until pair i is up and has carried a frame.
func (l *lab) warmUp(i int) error { return l.warmUpAs(i, right(i)) }

// warmUpAs is warmUp where the right end has another name.
func (l *lab) warmUpAs(i int, name string) error {
	frame := make([]byte, 60)
	copy(frame, l.wires[i].to)
	copy(frame[6:], l.wires[i].from)
	frame[12], frame[13] = experimental>>8, experimental&0xff

	var fd int
	err := l.right.do(func() (err error) { fd, err = packetSocket(name, experimental); return err })
	if err != nil {
		return fmt.Errorf("listen for a first frame: %w", err)
	}
	defer unix.Close(fd)
	tick := unix.NsecToTimeval(int64(10 * time.Millisecond))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tick); err != nil {
		return err
	}
	for start := time.Now(); time.Since(start) < timeout; {
		err := l.transmit(i, frame)
		if err != nil && err != unix.ENETDOWN {
			return fmt.Errorf("send a first frame: %w", err)
		}
		if _, _, err := unix.Recvfrom(fd, make([]byte, len(frame)), 0); err == nil {
			return nil
		}
	}
	return fmt.Errorf("no frame came across in %v", timeout)
}

// TestLab proves the lab itself, without xdplog: where it fails, nothing that
// the other tests say counts.
func TestLab(t *testing.T) {
	lab := newLabWith(t, labOptions{pairs: 2})
	for _, v6 := range []bool{false, true} {
		lab.udp(t, 0, v6, 53, 3, 100)
		lab.udp(t, 1, v6, 53, 3, 100)
		lab.tcp(t, v6, 80)
	}
	lab.ping(t)
	lab.burst(t, 1000, marker())
	for _, mode := range []string{"native", "generic", "link"} {
		remove := lab.foreign(t, mode)
		if mode == "link" {
			mode = "native"
		}
		lab.wantProgram(t, mode)
		remove()
		lab.wantNoProgram(t)
	}
}
