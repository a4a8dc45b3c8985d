package e2e

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/gopacket/gopacket"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// TestBothHalves: with --direction inout both halves of a connection come in one
// stream, in their order, received in XDP or at tc.
func TestBothHalves(t *testing.T) {
	for _, place := range []string{"auto", "xdp", "tc"} {
		eachTransport(t, func(t *testing.T, transport asm.Transport) {
			t.Run(place, func(t *testing.T) {
				lab := newLab(t)
				capture := lab.xdplog(t, "--direction", "inout", "--place", place, "--transport", transport.String(), "tcp")
				lab.tcp(t, false, 80)
				var got []string
				for range 4 {
					e := capture.next(t)
					got = append(got, fmt.Sprintf("%s %s %d %s", e.Direction, e.Source, e.Length, e.TCPFlags))
				}
				want := []string{"in 192.0.2.1 74 02", "out 192.0.2.2 74 12", "in 192.0.2.1 66 10", "in 192.0.2.1 66 14"}
				if transport == asm.Perf && !slices.Equal(got, want) || transport != asm.Perf && len(got) != len(want) {
					t.Errorf("events %q, want %q", got, want)
				}
				capture.stop(t)
				lab.wantNoProgram(t)
				lab.wantNothingAtTC(t)
			})
		})
	}
}

// TestSent: with --direction out alone nothing is said of the direction, and what
// is received is not seen.
func TestSent(t *testing.T) {
	lab := newLab(t)
	capture := lab.xdplog(t, "--direction", "out")
	if said := capture.stderr.String(); !strings.Contains(said, "(tc egress), sent packets only") {
		t.Errorf("it does not say what it sees:\n%s", said)
	}
	lab.udp(t, 0, false, 53, 3, 18)
	lab.tcp(t, false, 80)
	if e := capture.next(t); e.Source != "192.0.2.2" || e.TCPFlags != "12" || e.Direction != "" {
		t.Errorf("event is %v, want the SYN and ACK that right sends", e)
	}
	if end := capture.stop(t); end.counters.Seen != 1 {
		t.Errorf("counters are %+v, want 1 seen", end.counters)
	}
	lab.wantNothingAtTC(t)
}

// TestDecodeAtTC: of frames of all kinds tc says what XDP says, also of those whose
// tag the stack has taken off and put beside the packet.
func TestDecodeAtTC(t *testing.T) {
	lab := newLab(t)
	capture := lab.xdplog(t, "--place", "tc", "--all")
	for _, c := range slices.Concat(vlanCases(), ipv4Cases()) {
		if c.name == "tag cut" || c.name == "nothing behind the tag" {
			continue // such a tag can't be taken off, and the stack drops the frame before
		}
		lab.send(t, c.frame, marker())
		events := capture.untilMarker(t)
		if len(events) != 1 || events[0].text != c.text {
			t.Errorf("%s: events are %v, want %s", c.name, events, c.text)
		}
	}
	capture.stop(t)
	lab.wantNothingAtTC(t)
}

// TestFilterAtTC: filters speak of the frame on the wire.
func TestFilterAtTC(t *testing.T) {
	lab := newLab(t)
	tagged := frame(ethernet(dot1q), vlan(10, eth4), ipv4(protoUDP), udp(1234, 53), gopacket.Payload(make([]byte, 1000)))
	for _, filter := range []string{"vlan 10", "udp dst port 53", "ether[12:2] = 0x8100 and ether[14:2] & 0xfff = 10", "ip[8] = 61", "len = 1046", "ether[1045] = 0"} {
		capture := lab.xdplog(t, "--place", "tc", fmt.Sprintf("port %d or (%s)", markerPort, filter))
		lab.send(t, tagged, marker())
		if events := capture.untilMarker(t); len(events) != 1 {
			t.Errorf("%s: events %v, want one", filter, events)
		}
		capture.stop(t)
	}
	for _, filter := range []string{"vlan 11", "len = 1042", "ether[1046] = 0", "ether[12:2] = 0x800"} {
		capture := lab.xdplog(t, "--place", "tc", fmt.Sprintf("port %d or (%s)", markerPort, filter))
		lab.send(t, tagged, marker())
		if events := capture.untilMarker(t); len(events) != 0 {
			t.Errorf("%s: events %v, want none", filter, events)
		}
		capture.stop(t)
	}
	lab.wantNothingAtTC(t)
}

// TestWriteAtTC compares frames, byte for byte, with what the file holds: the tag
// that is beside a packet is where it was on the wire.
func TestWriteAtTC(t *testing.T) {
	for _, snaplen := range []int{0, 1, 18, 64, 100} {
		lab := newLab(t)
		capture, name := lab.startWrite(t, "--place", "tc", "--all", "-s", fmt.Sprint(snaplen))
		var sent [][]byte
		for _, size := range []int{14, 15, 60, 61, 62, 63, 64, 65, 66, 100, 1500, 1514} {
			sent = append(sent, ofSize(size))
			if size >= 60 && size < 1000 { // the stack drops tags with next to nothing behind
				inner := append(frame(ethernet(dot1q), vlan(10, experimental)), ofSize(size)[14:]...)
				sent = append(sent, inner)
			}
		}
		lab.send(t, sent...)
		lab.udp(t, 0, false, 53, 1, 18) // received: all before it are, too
		capture.stop(t)
		file := readRecordingFile(t, name)
		if len(file.packets) != len(sent)+1 {
			t.Fatalf("%d packets in the file, want %d", len(file.packets), len(sent)+1)
		}
		for i, want := range sent {
			got := file.packets[i]
			data := want
			if snaplen > 0 {
				data = want[:min(len(want), snaplen)]
			}
			if got.length != len(want) || !bytes.Equal(got.data, data) {
				t.Errorf("-s %d: %d bytes of %d\n%x\nwant %d of %d\n%x", snaplen, len(got.data), got.length, got.data, len(data), len(want), data)
			}
		}
		file.wantSame(t, name)
		lab.wantNothingAtTC(t)
	}
}

// TestSegments: what the sender's stack has not cut, as the receiver's has a
// network card between, is said to be in segments, which make up its length.
func TestSegments(t *testing.T) {
	lab := newLab(t)
	transfer := lab.stream(t, false)
	capture := lab.xdplog(t, "--place", "tc", "tcp and greater 1600 or port "+fmt.Sprint(markerPort))
	transfer(1 << 20)
	lab.send(t, marker())
	events := capture.untilMarker(t)
	if len(events) == 0 {
		t.Fatal("no packet is longer than the wire's")
	}
	for _, e := range events {
		const headers, payload = 66, 1448 // of TCP with time stamps, MTU 1500
		if want := (e.Length - headers + payload - 1) / payload; e.Segments != want {
			t.Errorf("%d segments, want %d, in %v", e.Segments, want, e)
		}
	}
	capture.stop(t)
	lab.wantNothingAtTC(t)
}

// TestOccupiedSlot: where the XDP slot is another's, its packets are looked at tc,
// and the first line says why.
func TestOccupiedSlot(t *testing.T) {
	for _, direction := range []string{"in", "inout"} {
		lab := newLab(t)
		remove := lab.foreign(t, "native")
		theirs := lab.attached(t, right(0))
		capture := lab.xdplog(t, "--direction", direction)
		if said := capture.stderr.String(); !strings.Contains(said, "(tc ingress; right0 has another XDP program") || !strings.Contains(said, "somebody_else") {
			t.Errorf("it does not say why:\n%s", said)
		}
		lab.udp(t, 0, false, 53, 1, 18)
		if e := capture.next(t); e.Port != 53 {
			t.Errorf("event is %v", e)
		}
		capture.stop(t)
		lab.wantNothingAtTC(t)
		if now := lab.attached(t, right(0)); now != theirs {
			t.Errorf("%s carries %v, want still %v", right(0), now, theirs)
		}
		complain(t, lab.right, 1, []string{"another XDP program"}, "-i", right(0), "--place", "xdp")
		remove()
	}
}

// TestBesideAFilter: a filter of somebody else's drops all. What it drops is seen,
// and it is left alone.
func TestBesideAFilter(t *testing.T) {
	lab := newLab(t)
	remove := lab.foreignFilter(t, tcShot)
	for range 2 { // before us, and when we come back
		capture := lab.xdplog(t, "--direction", "inout", "--place", "tc")
		lab.send(t, frame(ethernet(eth4), ipv4(protoUDP), udp(1234, 53)))
		if e := capture.next(t); e.Port != 53 {
			t.Errorf("event is %v", e)
		}
		capture.stop(t)
	}
	remove() // fails if it is not there
	lab.wantNothingAtTC(t)
}

// TestKilledAtTC kills xdplog, and starts it again: each packet is one event.
func TestKilledAtTC(t *testing.T) {
	lab := newLab(t)
	for range 3 {
		lab.xdplog(t, "--place", "tc", "--direction", "inout").kill(t)
	}
	cmd := command("-i", right(0), "-o", "json", "--place", "tc", "--direction", "inout")
	admit(t, nil)
	cmd.SysProcAttr = nobody(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON)
	capture := launch(t, lab.right, cmd).read().listens(t)
	lab.udp(t, 0, false, 53, 1, 18)
	if e := capture.next(t); e.Port != 53 {
		t.Errorf("event is %v", e)
	}
	if end := capture.stop(t); end.counters.Seen != 1 || len(end.lines) > 0 {
		t.Errorf("counters are %+v, want 1 seen, and %d events more", end.counters, len(end.lines))
	}
	lab.wantNothingAtTC(t)

	lab.xdplog(t, "--place", "tc", "--direction", "inout").kill(t)
	start(t, lab.right, "detach", "-i", right(0)).wait(t) // links are off already
	lab.wantNothingAtTC(t)
}

// TestLostAtTC: the interface goes, and xdplog ends.
func TestLostAtTC(t *testing.T) {
	lab := newLab(t)
	capture := lab.xdplog(t, "--direction", "out")
	lab.remove(t, right(0))
	if end := capture.wait(t); end.status != 1 || !strings.Contains(end.stderr, "interface right0 is gone") {
		t.Errorf("exit status is %d, want 1:\n%s", end.status, end.stderr)
	}
}

// TestBothAtOnce has the programs of both directions, which share counters and
// rings, run on both CPUs at once: everything is counted, and each event is there.
func TestBothAtOnce(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport asm.Transport) {
		lab := newLab(t)
		capture := lab.xdplog(t, "--direction", "inout", "--place", "tc", "--transport", transport.String(), "tcp")
		lab.throughput(t, time.Second, 50<<20)
		end := capture.stop(t)
		c := end.counters
		t.Logf("%+v", c)
		if c.Seen != c.Matched || c.Captured != uint64(len(end.lines)) || c.Captured+c.Lost != c.Matched || c.Captured < 200 {
			t.Errorf("%d events, counters %+v", len(end.lines), c)
		}
		var ways [2]int
		for _, line := range end.lines {
			switch e := parseEvent(t, line); e.Direction {
			case "in":
				ways[0]++
			case "out":
				ways[1]++
			default:
				t.Fatalf("event is %v", e)
			}
		}
		if ways[0] < 20 || ways[1] < 20 {
			t.Errorf("%v events received and sent", ways)
		}
		lab.wantNothingAtTC(t)
	})
}

// tcShot is TC_ACT_SHOT (linux/pkt_cls.h).
const tcShot = 2

// foreignFilter has a filter at tc ingress of right0 return an action, and returns
// a function that takes it off, and fails the test if it is not there.
func (l *lab) foreignFilter(t testing.TB, action int32) (remove func()) {
	t.Helper()
	defer setMemlock(t, unix.RLIM_INFINITY)()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "somebody_else", Type: ebpf.SchedCLS,
		Instructions: bpf.Instructions{bpf.Mov.Imm(bpf.R0, action), bpf.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	var filter *netlink.BpfFilter
	var qdisc *netlink.GenericQdisc
	l.right.change(t, right(0), func(at netlink.Link) error {
		index := at.Attrs().Index
		qdisc = &netlink.GenericQdisc{QdiscType: "clsact", QdiscAttrs: netlink.QdiscAttrs{
			LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
		}}
		if err := netlink.QdiscAdd(qdisc); err != nil {
			return err
		}
		filter = &netlink.BpfFilter{
			FilterAttrs: netlink.FilterAttrs{LinkIndex: index, Parent: netlink.HANDLE_MIN_INGRESS, Priority: 7, Handle: 1, Protocol: unix.ETH_P_ALL},
			Fd:          prog.FD(), Name: "somebody_else", DirectAction: true,
		}
		return netlink.FilterAdd(filter)
	})
	return func() {
		t.Helper()
		defer prog.Close()
		l.right.change(t, right(0), func(netlink.Link) error {
			if err := netlink.FilterDel(filter); err != nil {
				return err
			}
			return netlink.QdiscDel(qdisc)
		})
	}
}

// wantNothingAtTC fails the test if anything is left at tc of right0.
func (l *lab) wantNothingAtTC(t testing.TB) {
	t.Helper()
	l.right.change(t, right(0), func(at netlink.Link) error {
		for _, attach := range []ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress} {
			linked, err := link.QueryPrograms(link.QueryOptions{Target: at.Attrs().Index, Attach: attach})
			if err == nil && len(linked.Programs) > 0 {
				t.Errorf("programs %v are left at tc", linked.Programs)
			}
		}
		list, err := netlink.QdiscList(at)
		for _, q := range list {
			if q.Type() == "clsact" {
				t.Error("a clsact qdisc is left")
			}
		}
		return err
	})
}
