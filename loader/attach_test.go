package loader

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

func TestAttachAndClose(t *testing.T) {
	for wanted, got := range map[Mode]Mode{Auto: Native, Native: Native, Generic: Generic} {
		t.Run(wanted.String(), func(t *testing.T) {
			lab := newLab(t)
			a := lab.attach(t, wanted)
			lab.hold(t, a.id, got)
			if a.Mode() != got || a.Fallback() != nil || a.TookOver() != 0 || a.Interface() != "v0" || a.Index() != lab.link(t, "v0").Attrs().Index {
				t.Errorf("attachment says %s %d, %s, fallback %v, took over %d", a.Interface(), a.Index(), a.Mode(), a.Fallback(), a.TookOver())
			}

			must(t, a.Close())
			lab.bare(t)
			if err, open := <-a.Lost(); open {
				t.Errorf("Lost says %v after Close", err)
			}
			must(t, a.Close())
		})
	}
}

func TestAttachAfterCollectionIsClosed(t *testing.T) {
	lab := newLab(t)
	coll := load(t, asm.Config{})
	a, err := Attach(coll, lab.options(Auto))
	must(t, err)
	coll.Close()
	must(t, a.Close())
	lab.bare(t)
}

func TestOffloadRefused(t *testing.T) {
	lab := newLab(t)
	_, err := Attach(load(t, asm.Config{}), lab.options(Offload))
	says(t, err, "attach to v0: no card can run the program: it has no place for events")
	lab.bare(t)
}

func TestJumbo(t *testing.T) {
	lab := newLab(t)
	for _, name := range []string{"v0", "v1"} {
		must(t, lab.handle.LinkSetMTU(lab.link(t, name), 9000))
	}

	plain := load(t, asm.Config{NoFrags: true})
	_, err := Attach(plain, lab.options(Native))
	says(t, err, "attach to v0: native XDP refused by driver: ", "MTU is too large")

	a, err := Attach(plain, lab.options(Auto))
	must(t, err)
	lab.hold(t, a.id, Generic)
	says(t, a.Fallback(), "native XDP refused by driver: ", "MTU is too large")
	must(t, a.Close())

	if !takesFrags() {
		t.Skip("this kernel lacks native XDP for packets of several buffers, as jumbo frames are (Linux 5.18)")
	}
	a = lab.attach(t, Native)
	lab.hold(t, a.id, Native)
	must(t, a.Close())
	lab.bare(t)
}

func TestStrangerIsLeftInPlace(t *testing.T) {
	for _, there := range []Mode{Native, Generic} {
		for _, wanted := range []Mode{Auto, Native, Generic} {
			t.Run(fmt.Sprintf("%s there, %s wanted", there, wanted), func(t *testing.T) {
				lab := newLab(t)
				prog, id := stranger(t)
				lab.force(t, prog, there)

				_, err := Attach(load(t, asm.Config{}), lab.options(wanted))
				says(t, err, fmt.Sprintf("v0 has another XDP program, id %d (stranger), %s", id, there))
				_, err = Detach("v0", lab.name)
				says(t, err, fmt.Sprintf("id %d (stranger), %s", id, there))
				lab.hold(t, id, there)
			})
		}
	}
}

func TestTakeOver(t *testing.T) {
	for _, before := range []Mode{Native, Generic} {
		for _, wanted := range []Mode{Auto, Native, Generic} {
			t.Run(fmt.Sprintf("%s left, %s wanted", before, wanted), func(t *testing.T) {
				lab := newLab(t)
				left := lab.leftBehind(t, before)

				a := lab.attach(t, wanted)
				if a.TookOver() != int(left) {
					t.Errorf("took over %d, want %d", a.TookOver(), left)
				}
				lab.hold(t, a.id, wanted.order()[0])
				must(t, a.Close())
				lab.bare(t)
			})
		}
	}
}

// leftBehind kills an xdplog and returns the id of the program that it left on v0.
func (l *lab) leftBehind(t *testing.T, mode Mode) uint32 {
	t.Helper()
	killed := start(t, &namespace{}, nil, "v0", mode.String(), l.name)
	fields := strings.Fields(killed.said)
	if len(fields) != 3 {
		t.Fatal(killed.said)
	}
	id, err := strconv.ParseUint(fields[1], 10, 32)
	must(t, err)
	killed.kill()
	l.hold(t, uint32(id), mode)
	return uint32(id)
}

func TestDetach(t *testing.T) {
	lab := newLab(t)
	_, err := Detach("v0", lab.name)
	says(t, err, "v0 has no XDP program")

	left := lab.leftBehind(t, Generic)
	removed, err := Detach("v0", lab.name)
	must(t, err)
	if len(removed) != 1 || removed[0] != (Removed{ID: int(left), Mode: Generic}) {
		t.Errorf("removed %+v, want program %d, generic", removed, left)
	}
	lab.bare(t)
}

func TestLivingOwner(t *testing.T) {
	lab := newLab(t)
	owner := start(t, &namespace{}, nil, "v0", "auto", lab.name)
	want := fmt.Sprintf("v0 is already watched by xdplog, process %d", owner.Process.Pid)

	_, err := Attach(load(t, asm.Config{}), lab.options(Auto))
	says(t, err, want)
	_, err = Detach("v0", lab.name)
	says(t, err, want)

	owner.in.Close()
	must(t, owner.Wait())
	lab.bare(t)
}

// The owner's claim stays in the namespace that the interface was moved from.
func TestLivingOwnerElsewhere(t *testing.T) {
	lab := newLab(t)
	owner := start(t, &namespace{}, nil, "v0", "native", lab.name)
	there := lab.move(t, "v0", newNamespace(t))
	_, err := Attach(load(t, asm.Config{}), there.options(Auto))
	says(t, err, fmt.Sprintf("v0 is already watched by xdplog, process %d", owner.Process.Pid))
}

func TestClaimOfSilentProcess(t *testing.T) {
	lab := newLab(t)
	owner := start(t, &namespace{}, nil, "v0", "auto", lab.name)
	must(t, owner.Process.Signal(unix.SIGSTOP))
	// It answers for as long as the kernel does for it, and then not; each is an
	// error without waiting.
	for range 5000 {
		began := time.Now()
		_, err := occupy("v0", lab.name, nil, 0)
		if err == nil || time.Since(began) > time.Second {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		if !strings.Contains(err.Error(), strconv.Itoa(owner.Process.Pid)) {
			t.Log(err)
			return
		}
	}
}

func TestSimultaneousStarts(t *testing.T) {
	lab := newLab(t)
	colls := []*ebpf.Collection{load(t, asm.Config{}), load(t, asm.Config{})}
	for range 100 {
		var attached [2]*Attachment
		var errs [2]error
		var group sync.WaitGroup
		for i := range 2 {
			group.Go(func() { attached[i], errs[i] = Attach(colls[i], lab.options(Generic)) })
		}
		group.Wait()
		for i, a := range attached {
			other := attached[1-i]
			switch {
			case (a == nil) == (other == nil):
				t.Fatalf("want exactly one: %v, %v", errs[0], errs[1])
			case a == nil && !strings.Contains(errs[i].Error(), "already watched by this process"):
				t.Fatal(errs[i])
			case a != nil:
				lab.hold(t, a.id, Generic)
				must(t, a.Close())
			}
		}
	}
	lab.bare(t)
}

// A run leaves nothing: descriptors and goroutines are as many as before, also
// where attaching failed.
func TestNothingLeaks(t *testing.T) {
	lab := newLab(t)
	coll := load(t, asm.Config{})
	run := func() {
		a, err := Attach(coll, lab.options(Generic))
		must(t, err)
		_, err = Attach(coll, lab.options(Generic))
		if err == nil {
			t.Fatal("attached twice")
		}
		must(t, a.Close())
		if _, err = Attach(coll, Options{Interface: "none", Namespace: lab.name}); err == nil {
			t.Fatal("attached to nothing")
		}
		if _, err = Attach(coll, lab.options(Offload)); err == nil {
			t.Fatal("offloaded to a veth")
		}
	}
	run()
	fds, goroutines := descriptors(t), runtime.NumGoroutine()
	for range 100 {
		run()
	}
	if now := descriptors(t); now != fds {
		t.Errorf("%d descriptors, before %d", now, fds)
	}
	// One that has said that it is done may not have ended yet; a leak would
	// be one per run.
	if now := runtime.NumGoroutine(); now > goroutines+10 {
		t.Errorf("%d goroutines, before %d", now, goroutines)
	}
	lab.bare(t)
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(open)
}

func TestCloseFromManyGoroutines(t *testing.T) {
	lab := newLab(t)
	a := lab.attach(t, Auto)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	lab.bare(t)
}

// What comes between the look and the attachment is left in place, too.
func TestStrangerInTheMeantime(t *testing.T) {
	lab := newLab(t)
	prog, id := stranger(t)
	site, err := occupy("v0", lab.name, nil, 0)
	must(t, err)
	defer site.release()
	a := &Attachment{site: site, prog: load(t, asm.Config{}).Programs[asm.ProgramName]}

	for _, mode := range []Mode{Native, Generic} {
		lab.force(t, prog, Native)
		var none *attached
		says(t, a.final(a.set(mode, &none), mode, none), fmt.Sprintf("v0 has another XDP program, id %d (stranger), native", id))
		lab.hold(t, id, Native)
	}

	before := &attached{id: 1, mode: Native, prog: load(t, asm.Config{}).Programs[asm.ProgramName]}
	for _, mode := range []Mode{Native, Generic} {
		old := before
		says(t, a.final(a.set(mode, &old), mode, old), fmt.Sprintf("v0 has another XDP program, id %d (stranger), native", id))
		lab.hold(t, id, Native)
	}
}

// Close looks whether the program is off, and for the mode in which it is on.
func TestCloseInUnexpectedMode(t *testing.T) {
	lab := newLab(t)
	a := lab.attach(t, Generic)
	a.mode = Native
	must(t, a.Close())
	lab.bare(t)
}
