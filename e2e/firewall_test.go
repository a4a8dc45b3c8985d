package e2e

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A firewall is an XDP program of somebody else's on right0, compiled with BTF. It drops
// what goes to port 53, aborts at 54, sends 55 back, has right1 send 57, and counts what it
// decides.
type firewall struct {
	lab     *lab
	mode    string
	program *ebpf.Program
	counts  *ebpf.Map // by verdict and CPU
	held    link.Link
	calls   *ebpf.ProgramSpec // what it calls at its end (a tail call); nil: nothing
	frags   bool              // it takes packets of several buffers
}

var firewallPorts = map[string]uint16{"drop": 53, "aborted": 54, "tx": 55, "pass": 56, "redirect": 57}

// xdpActions are the verdicts, as the kernel numbers them (enum xdp_action).
var xdpActions = []string{"aborted", "drop", "pass", "tx", "redirect"}

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
	f.counts = newMap(t, &ebpf.MapSpec{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: uint32(len(xdpActions))})
	out := newMap(t, &ebpf.MapSpec{Type: ebpf.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if len(f.lab.wires) > 1 {
		f.lab.right.change(t, right(1), func(to netlink.Link) error { return out.Put(uint32(0), uint32(to.Attrs().Index)) })
	}
	spec := &ebpf.ProgramSpec{
		Name: name, Type: ebpf.XDP, License: "GPL",
		Instructions: slices.Concat(f.decide(name), f.callAnother(t), bpf.Instructions{
			bpf.Mov.Reg(bpf.R0, bpf.R6),
			bpf.JNE.Imm(bpf.R0, 4, "return"),
			bpf.LoadMapPtr(bpf.R1, out.FD()),
			bpf.Mov.Imm(bpf.R2, 0),
			bpf.Mov.Imm(bpf.R3, 0),
			bpf.FnRedirectMap.Call(),
			bpf.Return().WithSymbol("return"),
		}),
	}
	if f.frags {
		spec.Flags = unix.BPF_F_XDP_HAS_FRAGS
	}
	program, err := ebpf.NewProgram(spec)
	if err != nil {
		t.Fatalf("load the firewall: %v", err)
	}
	t.Cleanup(func() { program.Close() })
	f.program = program
}

// newMap makes a map that is closed with the test.
func newMap(t testing.TB, spec *ebpf.MapSpec) *ebpf.Map {
	t.Helper()
	m, err := ebpf.NewMap(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// decide leaves the verdict in R6, counted, and the context in R7.
func (f *firewall) decide(name string) bpf.Instructions {
	insns := bpf.Instructions{
		btf.WithFuncMetadata(bpf.Mov.Reg(bpf.R7, bpf.R1).WithSymbol(name), xdpFunction(name)).WithSource(bpf.Comment("fw")),
		bpf.LoadMem(bpf.R2, bpf.R7, 0, bpf.Word), // xdp_md.data
		bpf.LoadMem(bpf.R3, bpf.R7, 4, bpf.Word), // xdp_md.data_end
		bpf.Mov.Imm(bpf.R6, xdpPass),
		bpf.Mov.Reg(bpf.R4, bpf.R2),
		bpf.Add.Imm(bpf.R4, 38),
		bpf.JGT.Reg(bpf.R4, bpf.R3, "count"),
		bpf.LoadMem(bpf.R5, bpf.R2, 36, bpf.Half), // the destination port behind Ethernet and IPv4
	}
	for action, verdict := range xdpActions {
		port := int32(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, firewallPorts[verdict])))
		insns = append(insns, bpf.Mov.Imm(bpf.R6, int32(action)), bpf.JEq.Imm(bpf.R5, port, "count"))
	}
	return append(insns,
		bpf.Mov.Imm(bpf.R6, xdpPass),
		bpf.StoreMem(bpf.RFP, -4, bpf.R6, bpf.Word).WithSymbol("count"),
		bpf.LoadMapPtr(bpf.R1, f.counts.FD()),
		bpf.Mov.Reg(bpf.R2, bpf.RFP),
		bpf.Add.Imm(bpf.R2, -4),
		bpf.FnMapLookupElem.Call(),
		bpf.JEq.Imm(bpf.R0, 0, "counted"),
		bpf.LoadMem(bpf.R1, bpf.R0, 0, bpf.DWord),
		bpf.Add.Imm(bpf.R1, 1),
		bpf.StoreMem(bpf.R0, 0, bpf.R1, bpf.DWord),
		bpf.Mov.Reg(bpf.R1, bpf.R7).WithSymbol("counted"),
	)
}

// callAnother goes on with the program that it calls, if there is one: the array may be empty.
func (f *firewall) callAnother(t testing.TB) bpf.Instructions {
	t.Helper()
	if f.calls == nil {
		return nil
	}
	others := newMap(t, &ebpf.MapSpec{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if f.calls.Instructions != nil {
		callee, err := ebpf.NewProgram(f.calls)
		if err != nil {
			t.Fatalf("load what the firewall calls: %v", err)
		}
		t.Cleanup(func() { callee.Close() })
		if err := others.Put(uint32(0), callee); err != nil {
			t.Fatal(err)
		}
	}
	return bpf.Instructions{
		bpf.Mov.Reg(bpf.R1, bpf.R7),
		bpf.LoadMapPtr(bpf.R2, others.FD()),
		bpf.Mov.Imm(bpf.R3, 0),
		bpf.FnTailCall.Call(),
	}
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
	return decidedIn(t, f.counts)
}

// decidedIn is what the counts of a firewall say.
func decidedIn(t testing.TB, counts *ebpf.Map) map[string]uint64 {
	t.Helper()
	all := map[string]uint64{}
	for action, verdict := range xdpActions {
		var cpus []uint64
		if err := counts.Lookup(uint32(action), &cpus); err != nil {
			t.Fatal(err)
		}
		for _, n := range cpus {
			if n > 0 {
				all[verdict] += n
			}
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

// xdpFunction is the BTF of int name(struct xdp_md *ctx).
func xdpFunction(name string) *btf.Func {
	u32 := &btf.Int{Name: "__u32", Size: 4}
	context := &btf.Struct{Name: "xdp_md", Size: 8, Members: []btf.Member{{Name: "data", Type: u32}, {Name: "data_end", Type: u32, Offset: 32}}}
	return &btf.Func{Name: name, Linkage: btf.GlobalFunc, Type: &btf.FuncProto{
		Return: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed},
		Params: []btf.FuncParam{{Name: "ctx", Type: &btf.Pointer{Target: context}}},
	}}
}
