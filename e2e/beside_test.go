package e2e

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// needTracing skips a test where no program can stand beside another one, after it has
// seen that xdplog says so.
func needTracing(t *testing.T) {
	t.Helper()
	needPrivilege(t)
	defer setMemlock(t, unix.RLIM_INFINITY)()
	err := features.HaveProgramType(ebpf.Tracing)
	if err == nil {
		return
	}
	lab := newLab(t)
	f := lab.firewall(t, "firewall", "native")
	complain(t, lab.right, 1, []string{right(0), "firewall", "no program can stand beside it"}, "-i", right(0), "--place", "beside")
	capture := lab.xdplog(t)
	if said := capture.stderr.String(); !strings.Contains(said, "(tc ingress; ") || !strings.Contains(said, "no program can stand beside it") {
		t.Errorf("it does not say why it is at tc:\n%s", said)
	}
	capture.stop(t)
	f.off(t)
	t.Skip("this kernel lacks programs of type tracing for us")
}

// A firewall is an XDP program of somebody else's on right0, compiled with BTF. It drops
// what goes to port 53, aborts at 54, sends 55 back, and counts what it decides.
type firewall struct {
	lab     *lab
	mode    string
	program *ebpf.Program
	counts  *ebpf.Map
	held    link.Link
	calls   bool // others, at the end: a tail call
}

var firewallPorts = map[string]uint16{"drop": 53, "aborted": 54, "tx": 55, "pass": 56}

func (l *lab) firewall(t testing.TB, name, mode string) *firewall {
	t.Helper()
	f := &firewall{lab: l, mode: mode}
	f.load(t, name)
	f.attach(t)
	return f
}

// attach puts it on.
func (f *firewall) attach(t testing.TB) {
	t.Helper()
	l, mode := f.lab, f.mode
	err := l.right.do(func() error {
		at, err := netlink.LinkByName(right(0))
		if err != nil {
			return err
		}
		if mode == "link" {
			f.held, err = link.AttachXDP(link.XDPOptions{Program: f.program, Interface: at.Attrs().Index, Flags: link.XDPDriverMode})
			return err
		}
		return netlink.LinkSetXdpFdWithFlags(at, f.program.FD(), xdpFlags(mode))
	})
	if err != nil {
		t.Fatalf("attach the firewall: %v", err)
	}
}

// load makes the program anew, with a name and counts of its own.
func (f *firewall) load(t testing.TB, name string) {
	t.Helper()
	defer setMemlock(t, unix.RLIM_INFINITY)()
	var err error
	if f.counts, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 5}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.counts.Close() })
	port := func(p uint16) int32 { return int32(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, p))) }
	tail := bpf.Instructions{}
	if f.calls {
		others, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { others.Close() })
		tail = bpf.Instructions{bpf.Mov.Reg(bpf.R1, bpf.R7), bpf.LoadMapPtr(bpf.R2, others.FD()), bpf.Mov.Imm(bpf.R3, 0), bpf.FnTailCall.Call()}
	}
	f.program, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: name, Type: ebpf.XDP, License: "GPL",
		Instructions: slices.Concat(bpf.Instructions{
			btf.WithFuncMetadata(bpf.LoadMem(bpf.R2, bpf.R1, 0, bpf.Word).WithSymbol(name), xdpFunction(name)).WithSource(bpf.Comment("fw")),
			bpf.Mov.Reg(bpf.R7, bpf.R1),
			bpf.LoadMem(bpf.R3, bpf.R1, 4, bpf.Word),
			bpf.Mov.Reg(bpf.R4, bpf.R2),
			bpf.Add.Imm(bpf.R4, 38),
			bpf.Mov.Imm(bpf.R6, 2),
			bpf.JGT.Reg(bpf.R4, bpf.R3, "count"),
			bpf.LoadMem(bpf.R5, bpf.R2, 36, bpf.Half),
			bpf.Mov.Imm(bpf.R6, 1),
			bpf.JEq.Imm(bpf.R5, port(firewallPorts["drop"]), "count"),
			bpf.Mov.Imm(bpf.R6, 0),
			bpf.JEq.Imm(bpf.R5, port(firewallPorts["aborted"]), "count"),
			bpf.Mov.Imm(bpf.R6, 3),
			bpf.JEq.Imm(bpf.R5, port(firewallPorts["tx"]), "count"),
			bpf.Mov.Imm(bpf.R6, 2),
			bpf.StoreMem(bpf.RFP, -4, bpf.R6, bpf.Word).WithSymbol("count"),
			bpf.LoadMapPtr(bpf.R1, f.counts.FD()),
			bpf.Mov.Reg(bpf.R2, bpf.RFP),
			bpf.Add.Imm(bpf.R2, -4),
			bpf.FnMapLookupElem.Call(),
			bpf.JEq.Imm(bpf.R0, 0, "out"),
			bpf.Mov.Imm(bpf.R1, 1),
			bpf.AddAtomic.Mem(bpf.R0, bpf.R1, bpf.DWord, 0),
			bpf.Mov.Reg(bpf.R0, bpf.R6).WithSymbol("out"),
		}, tail, bpf.Instructions{
			bpf.Mov.Reg(bpf.R0, bpf.R6),
			bpf.Return(),
		}),
	})
	if err != nil {
		t.Fatalf("load the firewall: %v", err)
	}
	program := f.program
	t.Cleanup(func() { program.Close() })
}

// replace puts a new program in the place of the one before.
func (f *firewall) replace(t testing.TB, name string) {
	t.Helper()
	f.load(t, name)
	if f.held != nil {
		if err := f.held.Update(f.program); err != nil {
			t.Fatal(err)
		}
		return
	}
	f.lab.right.change(t, right(0), func(at netlink.Link) error {
		return netlink.LinkSetXdpFdWithFlags(at, f.program.FD(), xdpFlags(f.mode))
	})
}

// decided is how many packets it has decided on, by verdict.
func (f *firewall) decided(t testing.TB) map[string]uint64 {
	t.Helper()
	all := map[string]uint64{}
	for action, verdict := range []string{"aborted", "drop", "pass", "tx", "redirect"} {
		var n uint64
		if err := f.counts.Lookup(uint32(action), &n); err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			all[verdict] = n
		}
	}
	return all
}

func (f *firewall) off(t testing.TB) {
	t.Helper()
	if f.held != nil {
		f.held.Close()
		return
	}
	f.lab.strip(t, f.mode)
}

// stays fails the test if anything of the firewall was touched.
func (f *firewall) stays(t testing.TB) {
	t.Helper()
	info, err := f.program.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	if now := f.lab.attached(t, right(0)); now.id != uint32(id) {
		t.Errorf("%s carries %v, want still %d", right(0), now, id)
	}
	wantNoTracing(t)
}

// wantNoTracing fails the test if a program of ours that stood beside another is left.
func wantNoTracing(t testing.TB) {
	t.Helper()
	for id := ebpf.ProgramID(0); ; {
		var err error
		if id, err = ebpf.ProgramGetNextID(id); err != nil {
			return
		}
		program, err := ebpf.NewProgramFromID(id)
		if err != nil {
			continue // gone
		}
		info, err := program.Info()
		if err == nil && program.Type() == ebpf.Tracing && strings.HasPrefix(info.Name, asm.ProgramName) {
			t.Errorf("program %d (%s) is left", id, info.Name)
		}
		program.Close()
	}
}

// to sends a packet to the port of each verdict.
func (l *lab) to(t testing.TB, verdicts ...string) {
	t.Helper()
	for _, v := range verdicts {
		l.send(t, frame(ethernet(eth4), ipv4(protoUDP), udp(1234, layers.UDPPort(firewallPorts[v])), gopacket.Payload("from a test")))
	}
}

// verdictsOf are those of some events, in their order.
func verdictsOf(t testing.TB, events []event) (all []string) {
	t.Helper()
	for _, e := range events {
		var fate struct{ Verdict string }
		if err := json.Unmarshal([]byte("{"+e.text+"}"), &fate); err != nil {
			t.Fatal(err)
		}
		all = append(all, fate.Verdict)
	}
	return all
}

// TestBesideAFirewall: where a firewall has the XDP slot, xdplog stands beside it and
// says what it decides of each packet. Nothing of the firewall's is touched.
func TestBesideAFirewall(t *testing.T) {
	needTracing(t)
	for _, mode := range []string{"native", "generic", "link"} {
		eachTransport(t, func(t *testing.T, transport asm.Transport) {
			needTransport(t, transport)
			lab := newLab(t)
			f := lab.firewall(t, "firewall", mode)
			capture := lab.xdplog(t, "--transport", transport.String())
			if said := capture.stderr.String(); !strings.Contains(said, "(beside its XDP program id ") || !strings.Contains(said, "(firewall)") {
				t.Errorf("it does not say beside what it stands:\n%s", said)
			}
			sent := []string{"pass", "drop", "drop", "aborted", "tx", "pass"}
			lab.to(t, sent...)
			lab.send(t, marker())
			events := capture.untilMarker(t)
			if got := verdictsOf(t, events); !slices.Equal(got, sent) {
				t.Errorf("verdicts %q, want %q", got, sent)
			}
			for i, e := range events {
				if e.Source != "198.51.100.7" || e.Port != firewallPorts[sent[i]] || e.Length != 53 || e.Interface != right(0) {
					t.Errorf("event %d is %v", i, e)
				}
			}
			end := capture.stop(t)
			if end.counters.Seen != 7 || end.counters.Captured != 7 {
				t.Errorf("counters are %+v, want 7 seen and captured", end.counters)
			}
			if got, want := f.decided(t), map[string]uint64{"pass": 3, "drop": 2, "aborted": 1, "tx": 1}; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("the firewall counts %v, want %v", got, want)
			}
			f.stays(t)
			f.off(t)
		})
	}
}

// TestVerdict: who is being dropped by my firewall.
func TestVerdict(t *testing.T) {
	needTracing(t)
	lab := newLab(t)
	lab.loopback(t)
	f := lab.firewall(t, "firewall", "native")
	if l := start(t, lab.right, "-D", "-o", "json").list(t); !slices.Equal(l.Places, []string{"beside", "tc"}) {
		t.Errorf("-D says that xdplog could stand at %q", l.Places)
	}
	capture := lab.xdplog(t, "--verdict", "drop,aborted", "--metrics", "0", "udp")
	lab.to(t, "pass", "drop", "tx", "aborted", "drop")
	var got []string
	for range 3 {
		got = append(got, verdictsOf(t, []event{capture.next(t)})...)
	}
	if want := []string{"drop", "aborted", "drop"}; !slices.Equal(got, want) {
		t.Errorf("verdicts %q, want %q", got, want)
	}
	page := lab.get(t, capture.metricsAt(t), "/metrics")
	for _, line := range []string{`xdplog_verdicts_total{interface="right0",verdict="drop"} 2`, `xdplog_verdicts_total{interface="right0",verdict="aborted"} 1`} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("no line %s in\n%s", line, page)
		}
	}
	if end := capture.stop(t); end.counters.Seen != 5 || end.counters.Matched != 3 || len(end.lines) > 0 {
		t.Errorf("counters are %+v, want 5 seen and 3 matched; %d events more", end.counters, len(end.lines))
	}
	f.stays(t)
	f.off(t)

	complain(t, lab.right, 1, []string{right(0), "there is nothing to stand beside"}, "-i", right(0), "--verdict", "drop")
}

// TestWriteBeside: files hold the packets and what was decided of them.
func TestWriteBeside(t *testing.T) {
	needTracing(t)
	lab := newLab(t)
	f := lab.firewall(t, "firewall", "native")
	capture, name := lab.startWrite(t, "--all")
	var sent [][]byte
	for _, size := range []int{14, 60, 61, 62, 63, 64, 65, 100, 576, 1500, 1514} {
		sent = append(sent, ofSize(size))
		lab.send(t, ofSize(size))
	}
	lab.to(t, "drop")
	lab.udp(t, 0, false, 57, 1, 18) // received: all before it are, too
	capture.stop(t)
	file := readRecordingFile(t, name)
	if len(file.packets) != len(sent)+2 || file.cut {
		t.Fatalf("%d packets in the file, want %d; cut: %v", len(file.packets), len(sent)+2, file.cut)
	}
	for i, frame := range sent {
		if got := file.packets[i].data; string(got) != string(frame) {
			t.Errorf("packet %d is %x, want %x", i, got, frame)
		}
	}
	f.stays(t)
	f.off(t)

	again := start(t, lab.right, "-r", name, "-o", "json", "dst", "port", "53")
	if end := again.wait(t); len(end.lines) != 1 {
		t.Errorf("reading it: %q\n%s", end.lines, end.stderr)
	}
}

// TestFollow: the firewall is replaced, taken off, and comes back.
func TestFollow(t *testing.T) {
	needTracing(t)
	for _, mode := range []string{"native", "generic", "link"} {
		t.Run(mode, func(t *testing.T) {
			lab := newLab(t)
			f := lab.firewall(t, "first", mode)
			capture := lab.xdplog(t)
			see := func(who string) {
				t.Helper()
				lab.to(t, "drop", "pass")
				for _, want := range []string{"drop", "pass"} {
					if got := verdictsOf(t, []event{capture.next(t)}); got[0] != want {
						t.Errorf("verdict of %s is %q, want %q", who, got, want)
					}
				}
			}
			see("first")
			f.replace(t, "second")
			if !capture.stderr.await("right0 has another XDP program, beside which xdplog goes on: ") || !capture.stderr.await("(second)") {
				t.Fatalf("it does not say that it follows:\n%s", capture.stderr.String())
			}
			see("second")
			f.off(t)
			if !capture.stderr.await("right0 has no XDP program any more") {
				t.Fatalf("it does not say that there is none:\n%s", capture.stderr.String())
			}
			f = lab.firewall(t, "third", mode)
			if !capture.stderr.await("(third)") {
				t.Fatalf("it does not say that it follows:\n%s", capture.stderr.String())
			}
			see("third")
			if end := capture.stop(t); end.counters.Captured != 6 {
				t.Errorf("counters are %+v, want 6 captured", end.counters)
			}
			f.stays(t)
			f.off(t)
		})
	}
}

// TestKilledBeside: nothing is left of an xdplog that was killed, and the next starts.
func TestKilledBeside(t *testing.T) {
	needTracing(t)
	lab := newLab(t)
	f := lab.firewall(t, "firewall", "native")
	for range 5 {
		lab.xdplog(t).kill(t)
	}
	capture := lab.xdplog(t)
	lab.to(t, "drop")
	if got := verdictsOf(t, []event{capture.next(t)}); got[0] != "drop" {
		t.Errorf("verdict %q", got)
	}
	capture.stop(t)
	f.stays(t)
	f.off(t)
}

// TestSecondBeside: a second xdplog stands beside the first, and sees what that passes.
func TestSecondBeside(t *testing.T) {
	needTracing(t)
	lab := newLab(t)
	first := lab.xdplog(t)
	second := lab.xdplog(t)
	lab.udp(t, 0, false, 53, 1, 18)
	first.want(t, udp4)
	if got := verdictsOf(t, []event{second.next(t)}); got[0] != "pass" {
		t.Errorf("verdict %q", got)
	}
	first.stop(t)
	if !second.stderr.await("right0 has no XDP program any more") {
		t.Fatalf("the second does not say that the first has gone:\n%s", second.stderr.String())
	}
	second.stop(t)
	lab.wantNoProgram(t)
	wantNoTracing(t)
}

// TestBesideWithoutBTF: beside a program without BTF there is no place, and the first
// line says why.
func TestBesideWithoutBTF(t *testing.T) {
	needTracing(t)
	lab := newLab(t)
	remove := lab.foreign(t, "native")
	capture := lab.xdplog(t)
	if said := capture.stderr.String(); !strings.Contains(said, "(tc ingress; ") || !strings.Contains(said, "loaded without BTF") {
		t.Errorf("it does not say why:\n%s", said)
	}
	lab.udp(t, 0, false, 53, 1, 18)
	if e := capture.next(t); e.Port != 53 {
		t.Errorf("event is %v", e)
	}
	capture.stop(t)
	complain(t, lab.right, 1, []string{"loaded without BTF"}, "-i", right(0), "--place", "beside")
	remove()
}

// TestBesideWithoutRights: with the three capabilities that a run needs nobody opens
// another's program: tc is the place, and the reason is said.
func TestBesideWithoutRights(t *testing.T) {
	needTracing(t)
	lab := newLab(t)
	f := lab.firewall(t, "firewall", "native")
	cmd := command("-i", right(0), "-o", "json")
	admit(t, nil)
	cmd.SysProcAttr = nobody(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON)
	capture := launch(t, lab.right, cmd).read().listens(t)
	if said := capture.stderr.String(); !strings.Contains(said, "(tc ingress; ") || !strings.Contains(said, "CAP_SYS_ADMIN") {
		t.Errorf("it does not say what it lacks:\n%s", said)
	}
	lab.to(t, "pass")
	if e := capture.next(t); e.Port != firewallPorts["pass"] {
		t.Errorf("event is %v", e)
	}
	capture.stop(t)
	f.stays(t)
	f.off(t)
}

// TestBesideTailCalls: beside a firewall that makes tail calls one xdplog stands, and the next
// goes to tc: from Linux 7.0 the kernel is not safe with two.
func TestBesideTailCalls(t *testing.T) {
	needTracing(t)
	lab := newLab(t)
	f := &firewall{lab: lab, mode: "native", calls: true}
	f.load(t, "caller")
	f.attach(t)
	first := lab.xdplog(t)
	lab.to(t, "drop")
	if got := verdictsOf(t, []event{first.next(t)}); got[0] != "drop" {
		t.Errorf("verdict %q", got)
	}
	second := lab.xdplog(t)
	if said := second.stderr.String(); !namesTargets(t) {
		lacks(t, "the target in what it says of links, as Linux 5.10 does, and minds no two tracing programs")
	} else if !strings.Contains(said, "(tc ingress; ") || !strings.Contains(said, "two are not safe") {
		t.Errorf("it does not say why it is at tc:\n%s", said)
	}
	second.stop(t)
	first.stop(t)
	f.stays(t)
	f.off(t)
}

// TestBesideOnlyComponent: where another program is in the place of the main function, as the only
// component of libxdp's dispatcher is, xdplog stands at that one.
func TestBesideOnlyComponent(t *testing.T) {
	needTracing(t)
	lab := newLab(t)
	f := lab.firewall(t, "dispatcher", "native")
	component := dropAll(t, f.program)
	at, err := link.AttachFreplace(f.program, "dispatcher", component)
	if err != nil {
		t.Fatalf("put a component in the place of the dispatcher's main function: %v", err)
	}
	defer at.Close()
	capture := lab.xdplog(t)
	if !namesTargets(t) {
		if said := capture.stderr.String(); !strings.Contains(said, "(tc ingress; ") || !strings.Contains(said, "busy") {
			t.Errorf("it does not say why it is at tc:\n%s", said)
		}
		capture.stop(t)
		f.off(t)
		t.Skip("this kernel lacks the target in what it says of links, as Linux 5.10 does")
	}
	if said := capture.stderr.String(); !strings.Contains(said, "(dispatcher)") || !strings.Contains(said, "(beside ") {
		t.Errorf("it does not say beside what it stands:\n%s", said)
	}
	lab.to(t, "pass") // which the component drops
	if got := verdictsOf(t, []event{capture.next(t)}); got[0] != "drop" {
		t.Errorf("verdict %q, want drop", got)
	}
	capture.stop(t)
	f.stays(t)
	f.off(t)
}

// namesTargets reports whether the kernel says of tracing links, of which there is one, to which
// program they lead.
func namesTargets(t testing.TB) bool {
	t.Helper()
	links := new(link.Iterator)
	defer links.Close()
	for links.Next() {
		if info, err := links.Link.Info(); err == nil && info.Tracing() != nil && info.Tracing().TargetObjectId != 0 {
			return true
		}
	}
	return false
}

// dropAll is a program for the place of another one's main function.
func dropAll(t testing.TB, target *ebpf.Program) *ebpf.Program {
	t.Helper()
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "drop_all", Type: ebpf.Extension, License: "GPL", AttachTarget: target, AttachTo: "dispatcher",
		Instructions: bpf.Instructions{
			btf.WithFuncMetadata(bpf.Mov.Imm(bpf.R0, 1).WithSymbol("drop_all"), xdpFunction("drop_all")).WithSource(bpf.Comment("drop")),
			bpf.Return(),
		},
	})
	if err != nil {
		t.Fatalf("load a component: %v", err)
	}
	t.Cleanup(func() { program.Close() })
	return program
}

// xdpFunction is the BTF of int name(struct xdp_md *ctx).
func xdpFunction(name string) *btf.Func {
	u32 := &btf.Int{Name: "__u32", Size: 4}
	context := &btf.Struct{Name: "xdp_md", Size: 8, Members: []btf.Member{{Name: "data", Type: u32}, {Name: "data_end", Type: u32, Offset: 32}}}
	return &btf.Func{Name: name, Linkage: btf.GlobalFunc, Type: &btf.FuncProto{
		Return: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed},
		Params: []btf.FuncParam{{Name: "ctx", Type: &btf.Pointer{Target: context}}},
	}}
}
