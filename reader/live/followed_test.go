package live

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/rlimit"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/loader"
	"github.com/xdplog/xdplog/reader"
)

// TestFollowed: who embeds xdplog is told when the program changes beside which it stands,
// and gets what both have decided.
func TestFollowed(t *testing.T) {
	lab := newLab(t)
	lab.firewall(t, "first", 1)
	type change struct {
		iface string
		to    *loader.Program
	}
	changes := make(chan change, 8)
	opts := lab.on(asm.Config{Place: asm.Beside})
	opts.Followed = func(iface string, p *loader.Program) { changes <- change{iface, p} }
	c, err := Open(opts)
	if errors.Is(err, loader.ErrNoTracing) || errors.Is(err, loader.ErrNoBTF) {
		lab.firewall(t, "", -1)
		t.Skipf("this kernel lacks programs beside others for us: %v", err)
	}
	must(t, err)
	defer c.Close()
	next := func() change {
		t.Helper()
		select {
		case to := <-changes:
			return to
		case <-time.After(10 * time.Second):
			t.Fatal("nothing is said")
		}
		panic("unreachable")
	}

	lab.send(t, 1)
	lab.firewall(t, "second", 2)
	if to := next(); to.iface != "v0" || to.to == nil || to.to.Name != "second" {
		t.Errorf("it is told of %+v, want the second", to)
	}
	lab.send(t, 1)
	lab.firewall(t, "", -1)
	if to := next(); to.iface != "v0" || to.to != nil {
		t.Errorf("it is told of %+v, want none", to)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var events []reader.Event
	for event, err := range c.All(ctx) {
		must(t, err)
		events = append(events, event)
	}
	slices.SortFunc(events, func(a, b reader.Event) int { return a.Time.Compare(b.Time) }) // two CPUs may have had one each
	if len(events) != 2 || events[0].Verdict != wire.Drop || events[1].Verdict != wire.Pass {
		t.Errorf("events are %v, want one dropped and one passed", events)
	}
	must(t, c.Close())
	lab.bare(t)
}

// firewall puts a program of somebody else's on v0 that decides the same of every packet, in
// the place of the one before, or with a verdict below 0 none.
func (l *lab) firewall(t testing.TB, name string, verdict int32) {
	t.Helper()
	fd := -1
	if verdict >= 0 {
		rlimit.RemoveMemlock() // needed before 5.11 only, where the load then says so
		context := &btf.Struct{Name: "xdp_md", Size: 4, Members: []btf.Member{{Name: "data", Type: &btf.Int{Name: "__u32", Size: 4}}}}
		function := &btf.Func{Name: name, Linkage: btf.GlobalFunc, Type: &btf.FuncProto{
			Return: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed},
			Params: []btf.FuncParam{{Name: "ctx", Type: &btf.Pointer{Target: context}}},
		}}
		program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
			Name: name, Type: ebpf.XDP, License: "GPL",
			Instructions: bpf.Instructions{
				btf.WithFuncMetadata(bpf.Mov.Imm(bpf.R0, verdict).WithSymbol(name), function).WithSource(bpf.Comment(name)),
				bpf.Return(),
			},
		})
		must(t, err)
		defer program.Close()
		fd = program.FD()
	}
	must(t, loader.Within(l.name, func() error {
		at, err := netlink.LinkByName("v0")
		if err != nil {
			return err
		}
		return netlink.LinkSetXdpFdWithFlags(at, fd, unix.XDP_FLAGS_DRV_MODE)
	}))
}
