package loader

import (
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	bpflink "github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

var tcPlaces = []asm.Place{asm.TCIngress, asm.TCEgress}

func TestTCAttachAndClose(t *testing.T) {
	for _, at := range tcPlaces {
		t.Run(at.String(), func(t *testing.T) {
			lab := newLab(t)
			a := lab.stand(t, at)
			if on := lab.atTC(t, at); len(on) != 1 || on[0] != int(a.id) {
				t.Errorf("programs %v, want %d", on, a.id)
			}
			if a.Place() != at || a.Interface() != "v0" || a.TookOver() != 0 || a.Fallback() != nil {
				t.Errorf("attachment says %v of %s, took over %d, fallback %v", a.Place(), a.Interface(), a.TookOver(), a.Fallback())
			}
			must(t, a.Close())
			lab.bareTC(t)
			must(t, a.Close())
			if err, open := <-a.Lost(); open {
				t.Errorf("Lost says %v after Close", err)
			}
		})
	}
}

// TestTCBesideXDP: all places of an interface can be had at once.
func TestTCBesideXDP(t *testing.T) {
	lab := newLab(t)
	coll := load(t, asm.Config{Places: []asm.Place{asm.XDP, asm.TCIngress, asm.TCEgress}})
	for slot, at := range []asm.Place{asm.XDP, asm.TCIngress, asm.TCEgress} {
		a, err := Attach(coll, Options{Interface: "v0", Namespace: lab.name, Place: at, Slot: uint8(slot)})
		must(t, err)
		defer func() {
			must(t, a.Close())
			if at == asm.XDP { // the last one
				lab.bareTC(t)
				lab.bare(t)
			}
		}()
	}
}

// TestTCWrongProgram: a program stands where it was made to stand.
func TestTCWrongProgram(t *testing.T) {
	lab := newLab(t)
	_, err := Attach(load(t, asm.Config{}), Options{Interface: "v0", Namespace: lab.name, Place: asm.TCEgress})
	says(t, err, "program xdplog is for XDP, not for SchedCLS")
	_, err = Attach(load(t, asm.Config{Place: asm.TCEgress}), Options{Interface: "v0", Namespace: lab.name})
	says(t, err, "program xdplog is for SchedCLS, not for XDP")
	_, err = Attach(load(t, asm.Config{Place: asm.TCEgress}), Options{Interface: "v0", Namespace: lab.name, Place: 200})
	says(t, err, "place 200")
	lab.bareTC(t)
}

func TestTCLost(t *testing.T) {
	lab := newLab(t)
	a := lab.stand(t, asm.TCEgress)
	must(t, lab.handle.LinkDel(lab.link(t, "v1")))
	err := lost(t, a)
	says(t, err, "interface v0 is gone (deleted)")
	is(t, err, ErrGone)
	must(t, a.Close())
}

// TestFilters is of kernels before tcx, which all kernels still can.
func TestFilters(t *testing.T) {
	for _, at := range tcPlaces {
		t.Run(at.String(), func(t *testing.T) {
			lab := newLab(t)
			f := lab.filter(t, at)
			if on := lab.atTC(t, at); len(on) != 1 || on[0] != f.id {
				t.Errorf("programs %v, want %d", on, f.id)
			}
			must(t, f.check())
			_, err := f.site.addFilter(load(t, asm.Config{Place: at}).Programs[asm.ProgramName], at)
			says(t, err, at.String()+" of v0 is already watched by this process")
			must(t, f.leave())
			lab.bareTC(t)
		})
	}
}

// TestFiltersEndInAnyOrder: the last one to go takes the qdisc along.
func TestFiltersEndInAnyOrder(t *testing.T) {
	for _, order := range [][2]int{{0, 1}, {1, 0}} {
		lab := newLab(t)
		filters := []*filter{lab.filter(t, asm.TCIngress), lab.filter(t, asm.TCEgress)}
		for _, i := range order {
			must(t, filters[i].leave())
		}
		lab.bareTC(t)
	}
}

// TestFilterAfterKill: the next start knows a filter by its name, takes it off, and
// knows that the qdisc was made for it.
func TestFilterAfterKill(t *testing.T) {
	lab := newLab(t)
	killed := lab.filter(t, asm.TCEgress)
	killed.close()
	next := lab.filter(t, asm.TCEgress)
	if on := lab.atTC(t, asm.TCEgress); next.took != killed.id || len(on) != 1 || on[0] != next.id {
		t.Errorf("took over %d of programs, of which there are %v: want %d, and %d", next.took, on, killed.id, next.id)
	}
	must(t, next.leave())
	lab.bareTC(t)

	killed = lab.filter(t, asm.TCIngress)
	killed.close()
	removed, err := Detach("v0", lab.name)
	must(t, err)
	if want := (Removed{ID: killed.id, Place: asm.TCIngress}); len(removed) != 1 || removed[0] != want {
		t.Errorf("detach removed %+v, want %+v", removed, want)
	}
	lab.bareTC(t)
	_, err = Detach("v0", lab.name)
	is(t, err, ErrNoProgram)
}

// TestFilterAfterKillAtBoth: who comes at one place takes off what was left at the
// other, and the qdisc with the last.
func TestFilterAfterKillAtBoth(t *testing.T) {
	for _, at := range tcPlaces {
		lab := newLab(t)
		for _, place := range tcPlaces {
			lab.filter(t, place).close() // as if killed
		}
		next := lab.filter(t, at)
		if on := lab.atTC(t, opposite(at)); len(on) != 1 {
			t.Errorf("programs %v are at the other place, want the one that was left", on)
		}
		next.site.sweep(opposite(at))
		if on := lab.atTC(t, opposite(at)); len(on) > 0 {
			t.Errorf("programs %v are left at the other place", on)
		}
		living := lab.filter(t, opposite(at))
		next.site.sweep(opposite(at))
		if on := lab.atTC(t, opposite(at)); len(on) != 1 || on[0] != living.id {
			t.Errorf("programs %v are at the other place, want that of the living one, %d", on, living.id)
		}
		must(t, living.leave())
		must(t, next.leave())
		lab.bareTC(t)
	}
}

// TestFilterBesideOthers: theirs, and a qdisc that they use, are left alone.
func TestFilterBesideOthers(t *testing.T) {
	lab := newLab(t)
	f := lab.filter(t, asm.TCIngress) // makes the qdisc
	theirs, id := tcStranger(t)
	other := &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: lab.link(t, "v0").Attrs().Index, Parent: netlink.HANDLE_MIN_EGRESS, Priority: 1, Protocol: unix.ETH_P_ALL,
		},
		Fd: theirs.FD(), Name: "stranger", DirectAction: true,
	}
	must(t, lab.handle.FilterAdd(other))
	must(t, f.leave())
	if in, out := lab.atTC(t, asm.TCIngress), lab.atTC(t, asm.TCEgress); len(in) != 0 || len(out) != 1 || out[0] != id {
		t.Errorf("programs %v and %v are left, want none and %d", in, out, id)
	}

	f = lab.filter(t, asm.TCEgress) // finds it
	must(t, f.leave())
	if out := lab.atTC(t, asm.TCEgress); len(out) != 1 || out[0] != id {
		t.Errorf("programs %v are left, want %d", out, id)
	}
}

// TestFilterFromOutside: what others do to our filter is noticed.
func TestFilterFromOutside(t *testing.T) {
	lab := newLab(t)
	f := lab.filter(t, asm.TCIngress)
	theirs, id := tcStranger(t)
	must(t, lab.handle.FilterReplace(&netlink.BpfFilter{
		FilterAttrs: f.attributes(f.handle), Fd: theirs.FD(), Name: "stranger", DirectAction: true,
	}))
	for _, err := range []error{f.check(), f.leave()} {
		is(t, err, ErrReplaced)
		says(t, err, fmt.Sprintf("the program at tc ingress of v0 was replaced from outside by id %d (stranger)", id))
	}
	if on := lab.atTC(t, asm.TCIngress); len(on) != 1 || on[0] != id {
		t.Errorf("programs %v are left, want %d", on, id)
	}

	f = lab.filter(t, asm.TCEgress)
	must(t, lab.handle.QdiscDel(&netlink.GenericQdisc{QdiscType: "clsact", QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: lab.link(t, "v0").Attrs().Index, Handle: clsactHandle, Parent: netlink.HANDLE_CLSACT,
	}}))
	is(t, f.check(), ErrTakenOff)
	must(t, f.leave())
	lab.bareTC(t)
}

// TestTCTakenOffFromOutside: the kernel tells of filters, and of links nothing.
func TestTCTakenOffFromOutside(t *testing.T) {
	lab := newLab(t)
	a := lab.stand(t, asm.TCEgress)
	if l, ok := a.stand.(*tcxLink); ok {
		must(t, l.Detach())
		is(t, l.check(), ErrTakenOff)
	} else {
		must(t, lab.handle.QdiscDel(&netlink.GenericQdisc{QdiscType: "clsact", QdiscAttrs: netlink.QdiscAttrs{
			LinkIndex: a.Index(), Handle: clsactHandle, Parent: netlink.HANDLE_CLSACT,
		}}))
		is(t, lost(t, a), ErrTakenOff)
	}
	must(t, a.Close())
}

// TestOldQdisc: ingress is beside the older ingress qdisc, and egress is not.
func TestOldQdisc(t *testing.T) {
	lab := newLab(t)
	must(t, lab.handle.QdiscAdd(&netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: lab.link(t, "v0").Attrs().Index, Handle: clsactHandle, Parent: netlink.HANDLE_INGRESS,
	}}))
	f := lab.filter(t, asm.TCIngress)
	must(t, f.check())
	f.site.sweep(asm.TCEgress) // where such a qdisc would show what is at ingress
	must(t, f.check())
	must(t, f.leave())
	_, err := f.site.addFilter(load(t, asm.Config{Place: asm.TCEgress}).Programs[asm.ProgramName], asm.TCEgress)
	says(t, err, "older qdisc ingress", "tc qdisc del dev v0 ingress")
	if list, err := lab.handle.QdiscList(lab.link(t, "v0")); err != nil || len(list) == 0 || !hasQdisc(list, "ingress") {
		t.Errorf("qdiscs %v, %v: ingress is not left alone", list, err)
	}
}

func hasQdisc(list []netlink.Qdisc, kind string) bool {
	for _, q := range list {
		if q.Type() == kind {
			return true
		}
	}
	return false
}

// stand attaches to v0 as a user would.
func (l *lab) stand(t testing.TB, at asm.Place) *Attachment {
	t.Helper()
	a, err := Attach(load(t, asm.Config{Place: at}), Options{Interface: "v0", Namespace: l.name, Place: at})
	must(t, err)
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// filter attaches to v0 as on kernels without tcx.
func (l *lab) filter(t testing.TB, at asm.Place) *filter {
	t.Helper()
	s, err := approach("v0", l.name)
	must(t, err)
	t.Cleanup(s.release)
	f, err := s.addFilter(load(t, asm.Config{Place: at}).Programs[asm.ProgramName], at)
	must(t, err)
	return f
}

// atTC is the ids of the programs at a place of v0, linked or filters.
func (l *lab) atTC(t testing.TB, at asm.Place) (ids []int) {
	t.Helper()
	index := l.link(t, "v0").Attrs().Index
	attach := map[asm.Place]ebpf.AttachType{asm.TCIngress: ebpf.AttachTCXIngress, asm.TCEgress: ebpf.AttachTCXEgress}[at]
	must(t, l.namespace(t).do(func() error {
		linked, err := bpflink.QueryPrograms(bpflink.QueryOptions{Target: index, Attach: attach})
		if err == nil {
			for _, p := range linked.Programs {
				ids = append(ids, int(p.ID))
			}
		}
		return nil // a kernel without tcx
	}))
	filters, _ := l.handle.FilterList(l.link(t, "v0"), parentOf(at))
	for _, f := range filters {
		ids = append(ids, f.(*netlink.BpfFilter).Id)
	}
	return ids
}

// bareTC fails the test unless nothing is left at tc, not even the qdisc.
func (l *lab) bareTC(t testing.TB) {
	t.Helper()
	for _, at := range tcPlaces {
		if ids := l.atTC(t, at); len(ids) > 0 {
			t.Errorf("programs %v are left at %v", ids, at)
		}
	}
	list, err := l.handle.QdiscList(l.link(t, "v0"))
	must(t, err)
	if hasQdisc(list, "clsact") {
		t.Error("a qdisc is left")
	}
}

// tcStranger loads a program for tc that is not xdplog's, and returns it with its id.
func tcStranger(t testing.TB) (*ebpf.Program, int) {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "stranger", Type: ebpf.SchedCLS, License: "MIT",
		Instructions: bpf.Instructions{bpf.Mov.Imm(bpf.R0, 0), bpf.Return()},
	})
	must(t, err)
	t.Cleanup(func() { prog.Close() })
	info, err := prog.Info()
	must(t, err)
	id, _ := info.ID()
	return prog, int(id)
}
