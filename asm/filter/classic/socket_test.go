package classic_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/filter/classic"
)

// TestPacketSocket sends frames over a veth pair, in a network namespace of its own, to a
// packet socket, whose kernel takes the outer tag off. The verdicts are those of the
// evaluator on what was sent.
func TestPacketSocket(t *testing.T) {
	seed := environment(t, "XDPLOG_FUZZ_SEED", rand.Uint64()>>1)
	t.Logf("XDPLOG_FUZZ_SEED=%d", seed)
	sender, receiver := newWire(t)
	marker := [6]byte{2, 0, 0, 0, 0, 0x77}
	expressions, frames := newExpressions(seed), newFrames(seed)
	buffer := make([]byte, 1<<16)
	sent, matched := 0, 0
	for i := range 120 {
		f := expressions.next()
		for asksForBytes(f.Root) {
			f = expressions.next()
		}
		if i%4 == 0 { // random ones seldom ask for tags
			f = parse(t, []string{"vlan 10", "vlan 4095 and not vlan 20", "vlan and ip", "not vlan", "ether proto 0x88a8", "not ether proto 0x8100"}[i/4%6])
		}
		f = &filter.Filter{Root: filter.Or{filter.EtherAddress{Direction: filter.Source, Address: marker}, f.Root}}
		if i%8 < 4 {
			attach(t, receiver, f, compile(t, f, classic.Options{TagBeside: true}))
		} else {
			attachProgram(t, receiver, f)
		}

		var want [][]byte
		for range 50 {
			frame := frames.next()
			if len(frame) < 22 || len(frame) > 1500 { // the kernel drops tags that are cut
				continue
			}
			send(t, sender, frame)
			sent++
			if f.Match(frame, len(frame)) {
				want = append(want, withoutTag(frame))
			}
		}
		last := make([]byte, 60)
		copy(last[6:], marker[:])
		send(t, sender, last)
		want = append(want, last)
		matched += len(want)
		for i := range want {
			n, _, err := unix.Recvfrom(receiver, buffer, 0)
			if err != nil {
				t.Fatalf("XDPLOG_FUZZ_SEED=%d: %s: %v, want %x", seed, f, err, want[i])
			}
			if !bytes.Equal(buffer[:n], want[i]) {
				t.Fatalf("XDPLOG_FUZZ_SEED=%d: %s\ngot  %x\nwant %x", seed, f, buffer[:n], want[i])
			}
		}
	}
	t.Logf("%d frames, %d matches", sent, matched)
}

// attachProgram attaches the eBPF that package asm makes for sockets.
func attachProgram(t *testing.T, socket int, f *filter.Filter) {
	t.Helper()
	spec, err := asm.FilterProgram(asm.FilterConfig{Filter: f, Place: asm.Socket, Match: -1})
	if err != nil {
		t.Fatal(err)
	}
	rlimit.RemoveMemlock() // needed before Linux 5.11
	collection, err := ebpf.NewCollection(spec)
	if err != nil {
		t.Fatalf("%s: %+v", f, err)
	}
	defer collection.Close()
	if err := unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, collection.Programs[asm.FilterProgramName].FD()); err != nil {
		t.Fatal(err)
	}
}

// asksForBytes says whether a filter asks for ether[…] or len, which is not the same with
// the tag beside the packet.
func asksForBytes(n filter.Node) bool {
	switch n := n.(type) {
	case filter.And:
		return slices.ContainsFunc(n, asksForBytes)
	case filter.Or:
		return slices.ContainsFunc(n, asksForBytes)
	case filter.Not:
		return asksForBytes(n.Term)
	case filter.Relation:
		var asks func(a filter.Arith) bool
		asks = func(a filter.Arith) bool {
			switch a := a.(type) {
			case filter.Length:
				return true
			case filter.Load:
				return a.Layer == filter.EtherLayer || asks(a.Offset)
			case filter.Binary:
				return asks(a.Left) || asks(a.Right)
			}
			return false
		}
		return asks(n.Left) || asks(n.Right)
	}
	return false
}

func withoutTag(frame []byte) []byte {
	if t := binary.BigEndian.Uint16(frame[12:]); t != 0x8100 && t != 0x88a8 {
		return frame
	}
	return slices.Delete(slices.Clone(frame), 12, 16)
}

// newWire returns packet sockets at both ends of a veth pair. The test's thread stays in
// its namespace, on one CPU, so that frames keep their order, and ends with the test.
func newWire(t *testing.T) (sender, receiver int) {
	t.Helper()
	runtime.LockOSThread()
	err := unix.Unshare(unix.CLONE_NEWNET)
	if errors.Is(err, unix.EPERM) && os.Getenv("XDPLOG_E2E") != "required" {
		t.Skipf("needs root: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	var cpus, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &cpus); err != nil {
		t.Fatal(err)
	}
	for cpu := range 1024 {
		if cpus.IsSet(cpu) {
			one.Set(cpu)
			break
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	// Where there is no IPv6, it sends nothing either.
	_ = os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0)
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "sender"}, PeerName: "receiver"}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	links := func(name string) netlink.Link {
		link, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		return link
	}
	for _, name := range []string{"sender", "receiver"} {
		if err := netlink.LinkSetUp(links(name)); err != nil {
			t.Fatal(err)
		}
	}
	for links("sender").Attrs().OperState != netlink.OperUp { // before that, what is sent is lost
		time.Sleep(time.Millisecond)
	}
	open := func(name string, protocol uint16) int {
		socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(socket) })
		if err := unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: htons(protocol), Ifindex: links(name).Attrs().Index}); err != nil {
			t.Fatal(err)
		}
		if err := unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}); err != nil {
			t.Fatal(err)
		}
		return socket
	}
	return open("sender", 0), open("receiver", unix.ETH_P_ALL)
}

func send(t *testing.T, socket int, frame []byte) {
	t.Helper()
	if _, err := unix.Write(socket, frame); err != nil {
		t.Fatalf("send %x: %v", frame, err)
	}
}
