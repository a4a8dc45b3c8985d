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

// xdpFunction is the BTF of int name(struct xdp_md *ctx).
func xdpFunction(name string) *btf.Func {
	u32 := &btf.Int{Name: "__u32", Size: 4}
	context := &btf.Struct{Name: "xdp_md", Size: 8, Members: []btf.Member{{Name: "data", Type: u32}, {Name: "data_end", Type: u32, Offset: 32}}}
	return &btf.Func{Name: name, Linkage: btf.GlobalFunc, Type: &btf.FuncProto{
		Return: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed},
		Params: []btf.FuncParam{{Name: "ctx", Type: &btf.Pointer{Target: context}}},
	}}
}
