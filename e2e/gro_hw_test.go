package e2e

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"
)

// TestMergedInCard: a card that merges segments (rx-gro-hw, here virtio_net's at a tap) hands them
// over merged at tc, where events say of how many, and singly to a program in the XDP slot.
func TestMergedInCard(t *testing.T) {
	c, there := cards(t)["virtio-net-pci-mq"]
	if !there {
		t.Skip("this kernel lacks a card with rx-gro-hw: it is in guests for amd64, where taps may be made (make devices)")
	}
	lab := c.lab(t)
	if on := lab.features(t); !slices.ContainsFunc(on, func(f string) bool { return strings.HasPrefix(f, "rx-gro-hw") }) {
		t.Fatalf("rx-gro-hw is off: %v", on)
	}
	send := lab.segmented(t)
	single := "1054 1054 1054"
	for _, way := range []struct{ args, want string }{
		{"--place xdp --mode native", single},
		{"--place xdp --mode generic", single},
		{"--place tc", "3054/3"},
		{"--place auto", single},
	} {
		capture := lab.xdplog(t, append(strings.Fields(way.args), "tcp", "dst", "port", fmt.Sprint(pairPort))...)
		send()
		time.Sleep(time.Second)
		var got []string
		for _, line := range capture.stop(t).lines {
			got = append(got, lengthOf(parseEvent(t, line)))
		}
		if got := strings.Join(got, " "); got != way.want {
			t.Errorf("%s: a packet of three segments is seen as %q, want %q", way.args, got, way.want)
		}
	}
}

// segmented returns what sends to right0 a TCP packet of three segments that nobody has cut yet.
func (l *lab) segmented(t *testing.T) func() {
	t.Helper()
	const needsChecksum, gsoOfTCPv4, headers = 1, 1, 14 + 20 + 20 // VIRTIO_NET_HDR_…
	fd := -1
	err := l.left.do(func() (err error) {
		if fd, err = packetSocket(left(0), 0); err != nil {
			return err
		}
		return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1)
	})
	t.Cleanup(func() { unix.Close(fd) })
	if err != nil {
		t.Fatal(err)
	}
	tcp := &layers.TCP{SrcPort: 1234, DstPort: pairPort, ACK: true, Window: 1024}
	packet := frame(ethernet(eth4), ipv4(layers.IPProtocolTCP), tcp, gopacket.Payload(make([]byte, 3000)))
	packet = sumIPv4(patch(packet, 0, l.wires[0].to...), 14)
	header := []byte{needsChecksum, gsoOfTCPv4}
	for _, n := range []uint16{headers, 1000, 34, 16} { // header length, of a segment, where the checksum begins, and is
		header = binary.NativeEndian.AppendUint16(header, n)
	}
	return func() {
		t.Helper()
		if _, err := unix.Write(fd, slices.Concat(header, packet)); err != nil {
			t.Fatalf("send a packet that is to be cut: %v", err)
		}
	}
}
