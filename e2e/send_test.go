package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// transmit sends a frame from left(i).
func (l *lab) transmit(i int, frame []byte) error {
	return l.left.do(func() error {
		_, err := unix.Write(l.wires[i].packets, frame)
		return err
	})
}

// send sends frames from left0, in this order.
func (l *lab) send(t testing.TB, frames ...[]byte) {
	t.Helper()
	for i, frame := range frames {
		if err := l.transmit(0, frame); err != nil {
			t.Fatalf("send frame %d (%d bytes): %v", i, len(frame), err)
		}
	}
}

// sendTo sends a frame from the left to a hardware address on the right, so that
// whoever has it takes it: the IPv4 header's checksum is right, too.
func (l *lab) sendTo(t *testing.T, to net.HardwareAddr, f []byte) {
	t.Helper()
	if bytes.Equal(f[12:15], []byte{8, 0, 0x45}) {
		f = sumIPv4(f, 14)
	}
	l.send(t, patch(f, 0, to...))
}

// sumIPv4 sets the checksum of the header of 20 bytes that begins at an offset.
func sumIPv4(f []byte, at int) []byte {
	f = patch(f, at+10, 0, 0)
	sum := checksum(f[at:][:20])
	return patch(f, at+10, byte(sum>>8), byte(sum))
}

// burst sends a frame from left0 until n of them have arrived, as fast as one
// thread can. What finds the veth's queue full is not received by anybody, and
// is sent again.
func (l *lab) burst(t testing.TB, n int, frame []byte) {
	t.Helper()
	before := l.dropped(t)
	for again := uint64(n); again > 0; {
		err := l.left.do(func() error {
			for range again {
				_, err := unix.Write(l.wires[0].packets, frame)
				if err != nil && err != unix.ENOBUFS { // a full queue, which some kernels also tell
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatalf("send a burst: %v", err)
		}
		now := l.dropped(t)
		again, before = now-before, now
	}
}

// dropped is the number of frames that left0 could not hand over to right0.
func (l *lab) dropped(t testing.TB) uint64 {
	t.Helper()
	var n uint64
	err := l.left.do(func() error {
		found, err := netlink.LinkByName(left(0))
		if err == nil {
			n = found.Attrs().Statistics.TxDropped
		}
		return err
	})
	if err != nil {
		t.Fatalf("read the statistics of %s: %v", left(0), err)
	}
	return n
}

// udp sends n datagrams with size bytes of payload over sockets, from port
// 40000 on the left of pair i to a port on its right, and returns when all
// have been received there.
func (l *lab) udp(t testing.TB, i int, v6 bool, port uint16, n, size int) {
	t.Helper()
	from := netip.AddrPortFrom(address(i, 1, v6), 40000)
	to := netip.AddrPortFrom(address(i, 2, v6), port)

	var receiver, sender *net.UDPConn
	err := l.right.do(func() (err error) {
		receiver, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(to))
		return err
	})
	if err != nil {
		t.Fatalf("open the receiving socket: %v", err)
	}
	defer receiver.Close()
	err = l.left.do(func() (err error) {
		sender, err = net.DialUDP("udp", net.UDPAddrFromAddrPort(from), net.UDPAddrFromAddrPort(to))
		return err
	})
	if err != nil {
		t.Fatalf("open the sending socket: %v", err)
	}
	defer sender.Close()

	receiver.SetReadDeadline(time.Now().Add(timeout))
	payload := make([]byte, size)
	for k := range n {
		err := l.left.do(func() error { _, err := sender.Write(payload); return err })
		if err != nil {
			t.Fatalf("send datagram %d: %v", k, err)
		}
		if got, err := receiver.Read(make([]byte, size+1)); err != nil || got != size {
			t.Fatalf("datagram %d was not received: %d of %d bytes, %v", k, got, size, err)
		}
	}
}

// tcp opens a connection over sockets, from port 50000 on the left to a port
// on the right, and resets it. The right end receives a SYN, an ACK and a RST.
func (l *lab) tcp(t testing.TB, v6 bool, port uint16) {
	t.Helper()
	from := netip.AddrPortFrom(address(0, 1, v6), 50000)
	to := netip.AddrPortFrom(address(0, 2, v6), port)

	var listener *net.TCPListener
	err := l.right.do(func() (err error) {
		listener, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(to))
		return err
	})
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	defer listener.Close()
	err = l.left.do(func() error {
		conn, err := net.DialTCP("tcp", net.TCPAddrFromAddrPort(from), net.TCPAddrFromAddrPort(to))
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		conn.SetLinger(0) // close with a reset: no packets at a later time
		return conn.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// stream opens a TCP connection from the left to port 80 on the right, and
// returns a function that moves bytes over it and fails the test unless all of
// them arrive, unchanged.
func (l *lab) stream(t testing.TB, v6 bool) (transfer func(size int)) {
	t.Helper()
	to := net.TCPAddrFromAddrPort(netip.AddrPortFrom(address(0, 2, v6), 80))
	var listener *net.TCPListener
	var sender, receiver *net.TCPConn
	err := l.right.do(func() (err error) { listener, err = net.ListenTCP("tcp", to); return err })
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	defer listener.Close()
	err = l.left.do(func() (err error) { sender, err = net.DialTCP("tcp", nil, to); return err })
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { sender.Close() })
	if receiver, err = listener.AcceptTCP(); err != nil {
		t.Fatalf("accept: %v", err)
	}
	t.Cleanup(func() { receiver.Close() })
	return func(size int) {
		t.Helper()
		sent, received := make([]byte, size), make([]byte, size)
		rand.NewChaCha8([32]byte{}).Read(sent)
		deadline := time.Now().Add(timeout)
		sender.SetDeadline(deadline)
		receiver.SetDeadline(deadline)
		writing := make(chan error, 1)
		go func() { _, err := sender.Write(sent); writing <- err }()
		if n, err := io.ReadFull(receiver, received); err != nil {
			t.Fatalf("%d of %d bytes arrived: %v, %v", n, size, err, <-writing)
		}
		if !bytes.Equal(sent, received) {
			t.Fatal("other bytes arrived than were sent")
		}
	}
}

// ping sends an ICMP echo request from the left over a raw socket, and fails
// the test unless the right answers it.
func (l *lab) ping(t testing.TB) {
	t.Helper()
	request := []byte{8, 0, 0, 0, 0x12, 0x34, 0, 1, 'x', 'd', 'p', 'l', 'o', 'g'}
	sum := checksum(request)
	request[2], request[3] = byte(sum>>8), byte(sum)

	var conn *net.IPConn
	err := l.left.do(func() (err error) {
		conn, err = net.DialIP("ip4:icmp", nil, &net.IPAddr{IP: address(0, 2, false).AsSlice()})
		return err
	})
	if err != nil {
		t.Fatalf("open a raw socket: %v", err)
	}
	defer conn.Close()
	if err := l.left.do(func() error { _, err := conn.Write(request); return err }); err != nil {
		t.Fatalf("send an echo request: %v", err)
	}
	conn.SetReadDeadline(time.Now().Add(timeout))
	reply := make([]byte, 64)
	n, _, err := conn.ReadFrom(reply) // without the IP header, unlike Read
	if err != nil {
		t.Fatalf("no answer to the echo request: %v", err)
	}
	if got, want := string(reply[:n]), string(request); n < 8 || got[0] != 0 || got[4:] != want[4:] {
		t.Fatalf("answer to the echo request is % x", got)
	}
}

// checksum is the Internet checksum (RFC 1071) of an even number of bytes.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// A tap sees every frame that the right namespace's stack receives on right0,
// behind XDP.
type tap struct{ fd int }

func (l *lab) tap(t testing.TB) tap {
	t.Helper()
	var fd int
	err := l.right.do(func() (err error) { fd, err = packetSocket(right(0), unix.ETH_P_ALL); return err })
	if err != nil {
		t.Fatalf("open a packet socket: %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	limit := unix.NsecToTimeval(int64(timeout))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		t.Fatal(err)
	}
	return tap{fd}
}

// untilMarker returns the frames before the next marker.
func (tp tap) untilMarker(t testing.TB) [][]byte {
	t.Helper()
	var frames [][]byte
	for last := marker(); ; {
		frame := make([]byte, 1<<16)
		n, _, err := unix.Recvfrom(tp.fd, frame, 0)
		if err != nil {
			t.Fatalf("the marker does not arrive: %v", err)
		}
		if bytes.Equal(frame[:n], last) {
			return frames
		}
		frames = append(frames, frame[:n])
	}
}
