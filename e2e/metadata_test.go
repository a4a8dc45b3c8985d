package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/gopacket/gopacket"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/loader"
)

// tagsBeside has the outermost tag of each frame that left0 sends be beside it, as VLAN
// devices and cards have it: a program at tc takes it off, and puts it there.
func (l *lab) tagsBeside(t testing.TB) {
	t.Helper()
	defer setMemlock(t, unix.RLIM_INFINITY)()
	const frame = 16 // of which the tag is the last 4 bytes
	const tpid, tci = -4, -2
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "tags_beside", Type: ebpf.SchedCLS, License: "GPL",
		Instructions: bpf.Instructions{
			bpf.Mov.Reg(bpf.R6, bpf.R1),
			bpf.Mov.Imm(bpf.R2, 0),
			bpf.Mov.Reg(bpf.R3, bpf.RFP),
			bpf.Add.Imm(bpf.R3, -frame),
			bpf.Mov.Imm(bpf.R4, frame),
			bpf.FnSkbLoadBytes.Call(),
			bpf.JNE.Imm(bpf.R0, 0, "pass"),
			bpf.LoadMem(bpf.R7, bpf.RFP, tpid, bpf.Half),
			bpf.Mov.Reg(bpf.R0, bpf.R7),
			bpf.HostTo(bpf.BE, bpf.R0, bpf.Half),
			bpf.JEq.Imm(bpf.R0, int32(dot1q), "tagged"),
			bpf.JNE.Imm(bpf.R0, int32(qinq), "pass"),

			bpf.LoadMem(bpf.R8, bpf.RFP, tci, bpf.Half).WithSymbol("tagged"),
			bpf.HostTo(bpf.BE, bpf.R8, bpf.Half),
			bpf.Mov.Reg(bpf.R1, bpf.R6),
			bpf.FnSkbVlanPop.Call(),
			bpf.JNE.Imm(bpf.R0, 0, "pass"),
			bpf.Mov.Reg(bpf.R1, bpf.R6),
			bpf.Mov.Reg(bpf.R2, bpf.R7),
			bpf.Mov.Reg(bpf.R3, bpf.R8),
			bpf.FnSkbVlanPush.Call(),

			bpf.Mov.Imm(bpf.R0, -1).WithSymbol("pass"), // TC_ACT_UNSPEC
			bpf.Return(),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close() })
	l.left.change(t, left(0), func(at netlink.Link) error {
		qdisc := netlink.QdiscAttrs{LinkIndex: at.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}
		if err := netlink.QdiscAdd(&netlink.GenericQdisc{QdiscType: "clsact", QdiscAttrs: qdisc}); err != nil {
			return err
		}
		return netlink.FilterAdd(&netlink.BpfFilter{
			FilterAttrs: netlink.FilterAttrs{LinkIndex: at.Attrs().Index, Parent: netlink.HANDLE_MIN_EGRESS, Priority: 1, Protocol: unix.ETH_P_ALL},
			Fd:          prog.FD(), Name: "tags_beside", DirectAction: true,
		})
	})
}

// tellsTags reports whether right0's driver tells programs of tags. What they call for it is
// found by the kernel's BTF.
func (l *lab) tellsTags(t testing.TB) (tells bool) {
	t.Helper()
	if !hasBTF(t) {
		return false
	}
	l.right.change(t, right(0), func(at netlink.Link) error {
		features, err := loader.DeviceFeatures(at.Attrs().Index)
		if errors.Is(err, loader.ErrNoNetdev) {
			return nil
		}
		tells = features.TellsTags()
		return err
	})
	return tells
}

// needTags notes where the driver tells no tags, and the test ends.
func (l *lab) needTags(t testing.TB) {
	t.Helper()
	if !l.tellsTags(t) {
		t.Skip("this kernel lacks a veth that tells programs of VLAN tags (Linux 6.8)")
	}
}

// hidden is what the first line says of an interface whose tags are not seen.
const hidden = "VLAN tags kept beside packets are not seen (--place tc sees them)"

// TestTagBeside: a tag that is beside the packet is one of the packet, and its outermost.
// Where it can't be had, the first line says so.
func TestTagBeside(t *testing.T) {
	for _, args := range [][]string{{}, {"--transport", "mmap"}, {"--mode", "native"}, {"--place", "tc"}, {"--mode", "generic"}, {"--attach", "link"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			lab := newLab(t)
			lab.tagsBeside(t)
			capture := lab.xdplog(t, append([]string{"--all"}, args...)...)
			said := capture.stderr.String()
			native := strings.Contains(said, "(native XDP")
			seen := strings.Contains(said, "tc ingress") || native && lab.tellsTags(t)
			if strings.Contains(said, hidden) == seen {
				t.Errorf("it says, where tags are seen: %v\n%s", seen, said)
			}
			for _, c := range slices.Concat(vlanCases(), ipv4Cases()) {
				if c.name == "tag cut" || c.name == "nothing behind the tag" || c.name == "inner tag cut" {
					continue // such a tag can't be taken off
				}
				lab.send(t, c.frame, marker())
				events := capture.untilMarker(t)
				if seen && (len(events) != 1 || events[0].text != c.text) {
					t.Errorf("%s: events are %v, want %s", c.name, events, c.text)
				}
			}
			capture.stop(t)
			lab.wantNoProgram(t)
		})
	}
}

// TestFilterTagBeside: filters speak of the frame on the wire.
func TestFilterTagBeside(t *testing.T) {
	lab := newLab(t)
	lab.needTags(t)
	lab.tagsBeside(t)
	one := frame(ethernet(dot1q), vlan(20, eth4), ipv4(protoUDP), udp(1234, 53), gopacket.Payload(make([]byte, 1000)))
	two := frame(ethernet(qinq), vlan(20, dot1q), vlan(10, eth4), ipv4(protoUDP), udp(1234, 53), gopacket.Payload(make([]byte, 996)))
	for filter, want := range map[string]int{
		"vlan 20": 2, "vlan 10": 1, "vlan 20 and vlan 10": 1, "not vlan": 0, "vlan 20 and not vlan 10": 1, "vlan and udp dst port 53": 2,
		"udp dst port 53": 2, "ether[12:2] = 0x8100": 1, "ether[14:2] & 0xfff = 20": 2, "ip[8] = 61": 2, "len = 1046": 2, "ether[1045] = 0": 2, "ether[1046] = 0": 0,
	} {
		capture := lab.xdplog(t, fmt.Sprintf("port %d or (%s)", markerPort, filter))
		lab.send(t, one, two, marker())
		if events := capture.untilMarker(t); len(events) != want {
			t.Errorf("%s: events %v, want %d", filter, events, want)
		}
		capture.stop(t)
	}
	lab.wantNoProgram(t)
}

// TestTagsOfVLANDevices: tags that VLAN devices at the other end make are in their order, as on
// the wire.
func TestTagsOfVLANDevices(t *testing.T) {
	lab := newLab(t)
	for _, d := range []struct {
		name, on string
		id       int
		protocol netlink.VlanProtocol
	}{
		{"ten", left(0), 10, netlink.VLAN_PROTOCOL_8021Q}, {"twenty", left(0), 20, netlink.VLAN_PROTOCOL_8021AD}, {"both", "twenty", 10, netlink.VLAN_PROTOCOL_8021Q},
	} {
		err := lab.left.do(func() error {
			lower, err := netlink.LinkByName(d.on)
			if err != nil {
				return err
			}
			attrs := netlink.NewLinkAttrs()
			attrs.Name, attrs.ParentIndex = d.name, lower.Attrs().Index
			if err := netlink.LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: d.id, VlanProtocol: d.protocol}); err != nil {
				return err
			}
			made, err := netlink.LinkByName(d.name)
			if err != nil {
				return err
			}
			return errors.Join(netlink.LinkSetARPOff(made), netlink.LinkSetUp(made))
		})
		if errors.Is(err, unix.EOPNOTSUPP) {
			t.Skip("this kernel lacks VLAN devices (CONFIG_VLAN_8021Q)")
		}
		if err != nil {
			t.Fatalf("make %s: %v", d.name, err)
		}
	}
	send := func(on string) {
		err := lab.left.do(func() error {
			socket, err := packetSocket(on, 0)
			if err != nil {
				return err
			}
			defer unix.Close(socket)
			_, err = unix.Write(socket, frame(ethernet(eth4), ipv4(protoUDP), udp(1234, 53)))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, place := range []string{"xdp", "tc"} {
		capture := lab.xdplog(t, "--place", place, fmt.Sprintf("port 53 or port %d", markerPort))
		for on, want := range map[string]string{left(0): `"pkt_len":42,"ether`, "ten": `"vlan":[10],`, "twenty": `"vlan":[20],`, "both": `"vlan":[20,10],`} {
			send(on)
			lab.send(t, marker())
			events := capture.untilMarker(t)
			if place == "xdp" && !lab.tellsTags(t) {
				lacks(t, "a veth that tells programs of VLAN tags (Linux 6.8)")
				break
			}
			if len(events) != 1 || !strings.Contains(events[0].text, want) {
				t.Errorf("--place %s, on %s: events are %v, want %s", place, on, events, want)
			}
		}
		capture.stop(t)
	}
}

// TestWriteTagBeside compares frames, byte for byte, with what the file holds.
func TestWriteTagBeside(t *testing.T) {
	for _, transport := range []string{"perf", "mmap"} {
		for _, snaplen := range []string{"0", "1", "18", "64", "100"} {
			lab := newLab(t)
			lab.needTags(t)
			lab.tagsBeside(t)
			capture, name := lab.startWrite(t, "--transport", transport, "--all", "-s", snaplen)
			var sent [][]byte
			for _, size := range []int{60, 61, 62, 63, 64, 65, 66, 100, 1500, 1514} {
				sent = append(sent, ofSize(size))
				if size < 1500 {
					sent = append(sent, append(frame(ethernet(dot1q), vlan(10, experimental)), ofSize(size)[14:]...))
					sent = append(sent, append(frame(ethernet(qinq), vlan(20, dot1q), vlan(10, experimental)), ofSize(size)[14:]...))
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
				if got.length != len(want) || !bytes.HasPrefix(want, got.data) || len(got.data) == 0 {
					t.Errorf("%s, -s %s: %d bytes of %d\n%x\nwant of %d\n%x", transport, snaplen, len(got.data), got.length, got.data, len(want), want)
				}
			}
			file.wantSame(t, name)
			lab.wantNoProgram(t)
		}
	}
}

// TestTimeHardwareOfVeth: a veth has no time, so that all events' are the kernel's, which is counted.
func TestTimeHardwareOfVeth(t *testing.T) {
	for _, args := range [][]string{{}, {"--mode", "generic"}, {"--place", "tc"}, {"--transport", "mmap"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			lab := newLab(t)
			p := start(t, lab.right, append([]string{"-i", right(0), "-o", "json", "--time", "hardware"}, args...)...)
			if slices.Contains(args, "tc") && !hasHardwareTimeAtTC(t) {
				p.complains(t, 1, "Linux 5.16")
				return
			}
			capture := p.listens(t)
			lab.udp(t, 0, false, 53, 3, 18)
			for range 3 {
				capture.next(t) // whose age is plausible
			}
			end := capture.stop(t)
			if !strings.Contains(end.stderr, "0 of 3 events bear the device's time, the others the kernel's") {
				t.Errorf("at the end it says\n%s", end.stderr)
			}
			lab.wantNoProgram(t)
		})
	}
}

// hasHardwareTimeAtTC reports whether programs at tc may read the device's time.
func hasHardwareTimeAtTC(t testing.TB) bool {
	coll, err := loader.Load(asm.Config{Place: asm.TCIngress, Clock: asm.HardwareClock})
	if err != nil {
		lacks(t, "hardware times at tc (Linux 5.16)")
		return false
	}
	coll.Close()
	return true
}
