package e2e

import (
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A chain is programs on right0 behind libxdp's dispatcher of version 2, as bpfman has them, which
// has that dispatcher's code: it is held by a link, every component is in the place of one of its
// functions, a single one too, and for each change a new dispatcher is loaded, gets all
// components, and takes the place of the one before by an update of the link.
type chain struct {
	lab        *lab
	object     string // the dispatcher's
	held       link.Link
	dispatcher *ebpf.Program
	links      []link.Link // of the components to the dispatcher
}

// xdpDispatcherConf is what the dispatcher is told when it is loaded, in .rodata.
type xdpDispatcherConf struct {
	Magic, Version, Enabled, Frags uint8
	GoOn                           [10]uint32 // verdicts after which the next one is asked, as bits
	Priorities, Flags              [10]uint32
}

// load loads a dispatcher of so many components.
func (c *chain) load(t testing.TB, components int) *ebpf.Program {
	t.Helper()
	defer setMemlock(t, unix.RLIM_INFINITY)()
	spec, err := ebpf.LoadCollectionSpec(c.object)
	if err != nil {
		t.Fatal(err)
	}
	conf := xdpDispatcherConf{Magic: 236, Version: 2, Enabled: uint8(components)}
	for i := range conf.GoOn {
		conf.GoOn[i], conf.Priorities[i] = 1<<xdpPass|1<<31, 50
	}
	rodata, err := binary.Append(nil, binary.NativeEndian, conf)
	if err != nil || len(rodata) != int(spec.Maps[".rodata"].ValueSize) {
		t.Fatalf("its configuration has %d bytes, and not %d: %v", spec.Maps[".rodata"].ValueSize, len(rodata), err)
	}
	spec.Maps[".rodata"].Contents[0].Value = rodata
	delete(spec.Programs, "xdp_pass")
	loaded, err := ebpf.NewCollection(spec)
	if err != nil {
		t.Fatalf("load the dispatcher: %v", err)
	}
	defer loaded.Close()
	return loaded.DetachProgram("xdp_dispatcher")
}

// become makes the chain one of these components.
func (c *chain) become(t testing.TB, components ...*ebpf.Program) {
	t.Helper()
	next := c.load(t, len(components))
	var links []link.Link
	for i, component := range components {
		at, err := link.AttachFreplace(next, fmt.Sprintf("prog%d", i), component)
		if err != nil {
			t.Fatalf("put component %d into its place: %v", i, err)
		}
		links = append(links, at)
	}
	if c.held == nil {
		c.lab.right.change(t, right(0), func(to netlink.Link) (err error) {
			c.held, err = link.AttachXDP(link.XDPOptions{Program: next, Interface: to.Attrs().Index})
			return err
		})
	} else if err := c.held.Update(next); err != nil {
		t.Fatalf("put the next dispatcher into its place: %v", err)
	}
	c.leave()
	c.dispatcher, c.links = next, links
}

// leave lets the dispatcher go, which another has replaced.
func (c *chain) leave() {
	for _, at := range c.links {
		at.Close()
	}
	if c.dispatcher != nil {
		c.dispatcher.Close()
	}
	c.links, c.dispatcher = nil, nil
}

// off takes it off.
func (c *chain) off() {
	if c.held != nil {
		c.held.Close()
	}
	c.leave()
	c.held = nil
}

// component loads a program that code does, for the place of one of the dispatcher's functions.
func (c *chain) component(t testing.TB, name string, code bpf.Instructions) *ebpf.Program {
	t.Helper()
	// The kernel compares the types of both functions: it is that of what is replaced.
	spec, err := ebpf.LoadCollectionSpec(c.object)
	if err != nil {
		t.Fatal(err)
	}
	var replaced *btf.Func
	if err := spec.Types.TypeByName("prog0", &replaced); err != nil {
		t.Fatal(err)
	}
	code[0] = btf.WithFuncMetadata(code[0].WithSymbol(name), &btf.Func{Name: name, Linkage: btf.GlobalFunc, Type: replaced.Type}).WithSource(bpf.Comment(name))
	first := c.load(t, 1)
	defer first.Close()
	defer setMemlock(t, unix.RLIM_INFINITY)()
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: name, Type: ebpf.Extension, License: "GPL", AttachTarget: first, AttachTo: "prog0", Instructions: code,
	})
	if err != nil {
		t.Fatalf("load a component: %v", err)
	}
	t.Cleanup(func() { program.Close() })
	return program
}

// TestBesideBpfman: xdplog stands beside a dispatcher as bpfman attaches it, of one component and
// of two, follows when one is added or taken out, and says what all of them decide. What the
// components count is as if nobody were there.
func TestBesideBpfman(t *testing.T) {
	objects, _ := filepath.Glob(filepath.Join(os.Getenv(toolsEnv), "*", "xdp-dispatcher.o"))
	if os.Getenv(toolsEnv) == "" || len(objects) == 0 {
		t.Skip("xdp-tools is not installed in a folder that " + toolsEnv + " names")
	}
	needTracing(t)
	for _, object := range objects {
		t.Run(filepath.Base(filepath.Dir(object)), func(t *testing.T) { besideChain(t, object) })
	}
}

func besideChain(t *testing.T, object string) {
	lab := newLab(t)
	f := &firewall{lab: lab, counts: newMap(t, &ebpf.MapSpec{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: uint32(len(xdpActions))})}
	c := &chain{lab: lab, object: object}
	defer c.off()
	decides := c.component(t, "firewall", append(f.decide("firewall"), bpf.Mov.Reg(bpf.R0, bpf.R6), bpf.Return()))
	drops := c.component(t, "drop_all", bpf.Instructions{bpf.Mov.Imm(bpf.R0, 1), bpf.Return()})
	c.become(t, decides)
	capture := lab.xdplog(t)
	if said := capture.stderr.String(); !strings.Contains(said, "(beside its XDP program id ") || !strings.Contains(said, "(xdp_dispatcher)") {
		t.Errorf("it does not say beside what it stands:\n%s", said)
	}
	sent := map[string]uint64{}
	see := func(who string, passed string) {
		t.Helper()
		for _, decided := range []string{"drop", "pass", "aborted", "tx", "pass"} {
			lab.to(t, decided)
			sent[decided]++
			want := decided
			if want == "pass" {
				want = passed
			}
			e := capture.next(t)
			if got := verdictsOf(t, []event{e}); got[0] != want || e.Port != firewallPorts[decided] {
				t.Errorf("%s: verdict is %q, want %q, of %v", who, got[0], want, e)
			}
		}
	}
	follows := func(what string, components ...*ebpf.Program) {
		t.Helper()
		c.become(t, components...)
		now := lab.attached(t, right(0))
		if !capture.stderr.await(fmt.Sprintf("beside which xdplog goes on: id %d (xdp_dispatcher)", now.id)) {
			t.Fatalf("%s: it does not say that it follows:\n%s", what, capture.stderr.String())
		}
	}
	see("one component", "pass")
	for range 3 {
		follows("a second component", decides, drops)
		see("two components", "drop")
		if l := start(t, lab.right, "-D", "-o", "json").list(t); namesTargets(t) && len(l.Programs) != 3 {
			t.Errorf("-D says of programs %v, want the dispatcher and two components", l.Programs)
		}
		follows("the second goes", decides)
		see("one component again", "pass")
	}
	if got := f.decided(t); !maps.Equal(got, sent) {
		t.Errorf("the component counts %v, want %v", got, sent)
	}
	c.off()
	if !capture.stderr.await("right0 has no XDP program any more") {
		t.Errorf("it does not say that there is none:\n%s", capture.stderr.String())
	}
	if end := capture.stop(t); end.counters.Captured != 7*5 || end.counters.Seen != 7*5 || end.counters.Lost != 0 {
		t.Errorf("counters are %+v, want 35 seen and captured", end.counters)
	}
	lab.wantNoProgram(t)
	wantNoTracing(t)
}
