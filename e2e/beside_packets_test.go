package e2e

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// TestBesideRedirect: what the firewall has another interface send says so, and is sent.
func TestBesideRedirect(t *testing.T) {
	needTracing(t)
	for _, mode := range []string{"native", "generic"} {
		t.Run(mode, func(t *testing.T) {
			lab := newLabWith(t, labOptions{pairs: 2})
			receiver, err := loadForeign(0)
			if err != nil {
				t.Fatal(err)
			}
			defer receiver.Close()
			// A veth takes redirected frames when its peer has a native program (Linux 5.10).
			lab.left.change(t, left(1), func(at netlink.Link) error {
				return netlink.LinkSetXdpFdWithFlags(at, receiver.FD(), xdpFlags("native"))
			})
			var fd int
			if err := lab.left.do(func() (err error) { fd, err = packetSocket(left(1), unix.ETH_P_IP); return err }); err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			limit := unix.NsecToTimeval(int64(timeout))
			if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
				t.Fatal(err)
			}

			f := lab.firewall(t, "firewall", mode)
			capture := lab.xdplog(t)
			sent := []string{"redirect", "pass", "redirect", "drop", "redirect"}
			lab.to(t, sent...)
			lab.send(t, marker())
			if got := verdictsOf(t, capture.untilMarker(t)); !slices.Equal(got, sent) {
				t.Errorf("verdicts %q, want %q", got, sent)
			}
			for i := range 3 {
				frame := make([]byte, 1<<12)
				n, _, err := unix.Recvfrom(fd, frame, 0)
				if err != nil {
					t.Fatalf("redirected packet %d is not sent: %v", i, err)
				}
				if port := binary.BigEndian.Uint16(frame[36:]); n != 53 || port != firewallPorts["redirect"] {
					t.Errorf("redirected packet %d has %d bytes, for port %d", i, n, port)
				}
			}
			capture.stop(t)
			if got, want := f.decided(t), map[string]uint64{"redirect": 3, "drop": 1, "pass": 2}; !maps.Equal(got, want) {
				t.Errorf("the firewall counts %v, want %v", got, want)
			}
			f.stays(t)
			f.off(t)
			lab.left.change(t, left(1), func(at netlink.Link) error {
				return netlink.LinkSetXdpFdWithFlags(at, -1, xdpFlags("native"))
			})
		})
	}
}

// TestBesideFrags: of packets in several buffers the length is that of all, and files hold
// all of their bytes, or by a ring in shared memory those of the first buffer.
func TestBesideFrags(t *testing.T) {
	needTracing(t)
	if !takesFrags(t) {
		lacks(t, nativeJumbo)
		return
	}
	eachTransport(t, func(t *testing.T, transport asm.Transport) {
		needTransport(t, transport)
		lab := newLabWith(t, labOptions{mtu: 9000})
		f := &firewall{lab: lab, mode: "native", frags: true}
		f.load(t, "firewall")
		f.attach(t)
		var sent [][]byte
		verdicts := []string{"drop", "pass", "aborted", "pass"}
		for i, size := range []int{9000, 4096, 5000, 100} {
			sent = append(sent, datagramOf(size, firewallPorts[verdicts[i]]))
		}

		capture := lab.xdplog(t, "--transport", transport.String())
		lab.send(t, sent...)
		for i := range sent {
			e := capture.next(t)
			if got := verdictsOf(t, []event{e}); got[0] != verdicts[i] || e.Length != len(sent[i]) {
				t.Errorf("packet %d of %d bytes, of which %s is decided: %v", i, len(sent[i]), verdicts[i], e)
			}
		}
		capture.stop(t)

		write, name := lab.startWrite(t, "--transport", transport.String(), "--all")
		lab.send(t, sent...)
		lab.send(t, marker())
		lab.udp(t, 0, false, firewallPorts["pass"], 1, 18) // received: all before it are, too
		write.stop(t)
		file := readRecordingFile(t, name)
		if len(file.packets) != len(sent)+2 || file.cut {
			t.Fatalf("%d packets in the file, want %d; cut: %v", len(file.packets), len(sent)+2, file.cut)
		}
		for i := range sent {
			got := file.packets[i].data
			whole := len(got) == len(sent[i]) || transport == asm.Mmap && len(got) >= 1500
			if !whole || !bytes.HasPrefix(sent[i], got) {
				t.Errorf("packet %d of %d bytes: the file has %d, or others", i, len(sent[i]), len(got))
			}
		}
		if got, want := f.decided(t), map[string]uint64{"drop": 2, "aborted": 2, "pass": 6}; !maps.Equal(got, want) {
			t.Errorf("the firewall counts %v, want %v", got, want)
		}
		f.stays(t)
		f.off(t)
	})
}

// datagramOf is a frame of size bytes with a datagram to a port.
func datagramOf(size int, port uint16) []byte {
	payload := make([]byte, size-42)
	for i := range payload {
		payload[i] = byte(i*i + size)
	}
	return frame(ethernet(eth4), ipv4(protoUDP), udp(1234, layers.UDPPort(port)), gopacket.Payload(payload))
}

// TestBesideSameIndex: the other program is on an interface of the same index in another network
// namespace, too, and what that receives is not ours.
func TestBesideSameIndex(t *testing.T) {
	needTracing(t)
	lab := newLab(t)
	index := map[*thread]int{}
	lab.left.change(t, left(0), func(at netlink.Link) error { index[lab.left] = at.Attrs().Index; return nil })
	lab.right.change(t, right(0), func(at netlink.Link) error { index[lab.right] = at.Attrs().Index; return nil })
	if index[lab.left] != index[lab.right] {
		t.Fatalf("the interfaces have different indexes: %v", index)
	}
	f := lab.firewall(t, "firewall", "native")
	lab.left.change(t, left(0), func(at netlink.Link) error {
		return netlink.LinkSetXdpFdWithFlags(at, f.program.FD(), xdpFlags("native"))
	})
	capture := lab.xdplog(t)
	lab.to(t, "drop")
	lab.ping(t) // is received by both
	lab.to(t, "drop")
	for range 2 {
		if e := capture.next(t); e.Port != firewallPorts["drop"] {
			t.Errorf("event is %v", e)
		}
	}
	end := capture.stop(t)
	if got, want := f.decided(t), map[string]uint64{"drop": 2, "pass": 2}; !maps.Equal(got, want) {
		t.Errorf("the firewall counts %v, want %v", got, want)
	}
	if end.counters.Seen != 3 {
		t.Errorf("counters are %+v, want 3 seen", end.counters)
	}
	f.stays(t)
	lab.left.change(t, left(0), func(at netlink.Link) error {
		return netlink.LinkSetXdpFdWithFlags(at, -1, xdpFlags("native"))
	})
	f.off(t)
}
