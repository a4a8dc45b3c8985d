package e2e

import (
	"maps"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
)

// TestBesideTailCalls: beside a firewall that makes tail calls one xdplog stands, and the next
// goes to tc: from Linux 7.0 the kernel is not safe with two.
func TestBesideTailCalls(t *testing.T) {
	needTracing(t)
	lab := newLab(t)
	f := &firewall{lab: lab, mode: "native", calls: new(ebpf.ProgramSpec)}
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

// TestBesideTailCalled: the verdict is that of the program that was called last.
func TestBesideTailCalled(t *testing.T) {
	needTracing(t)
	lab := newLab(t)
	for action, verdict := range xdpActions[:3] {
		f := &firewall{lab: lab, mode: "native", calls: alwaysXDP(int32(action))}
		f.load(t, "caller")
		f.attach(t)
		capture := lab.xdplog(t)
		sent := []string{"pass", "drop", "aborted"}
		lab.to(t, sent...)
		for i := range sent {
			if got := verdictsOf(t, []event{capture.next(t)}); got[0] != verdict {
				t.Errorf("packet %d: verdict is %q, want %q", i, got[0], verdict)
			}
		}
		capture.stop(t)
		// It counts before it calls.
		if got, want := f.decided(t), map[string]uint64{"pass": 1, "drop": 1, "aborted": 1}; !maps.Equal(got, want) {
			t.Errorf("the firewall counts %v, want %v", got, want)
		}
		f.stays(t)
		f.off(t)
	}
}

// alwaysXDP is a program that says the same of every packet.
func alwaysXDP(action int32) *ebpf.ProgramSpec {
	return &ebpf.ProgramSpec{
		Name: "called", Type: ebpf.XDP, License: "GPL",
		Instructions: bpf.Instructions{
			btf.WithFuncMetadata(bpf.Mov.Imm(bpf.R0, action).WithSymbol("called"), xdpFunction("called")).WithSource(bpf.Comment("called")),
			bpf.Return(),
		},
	}
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
