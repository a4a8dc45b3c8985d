package loader

import (
	"errors"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/xdplog/xdplog/asm"
)

// newTapLab is a lab whose v0 is a tap: with a veth a native program held by a link
// is not let be.
func newTapLab(t *testing.T) *lab {
	t.Helper()
	privileged(t)
	l := &lab{name: newNamespace(t)}
	l.open(t)
	tap := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "v0"}, Mode: netlink.TUNTAP_MODE_TAP}
	if err := l.namespace(t).do(func() error { return netlink.LinkAdd(tap) }); err != nil {
		t.Skipf("this kernel lacks tun devices: %v", err)
	}
	must(t, l.handle.LinkSetUp(l.link(t, "v0")))
	return l
}

func (l *lab) byLink(mode Mode) Options {
	o := l.options(mode)
	o.Method = ByLink
	return o
}

func TestLinkAttachAndClose(t *testing.T) {
	for wanted, got := range map[Mode]Mode{Auto: Native, Native: Native, Generic: Generic} {
		t.Run(wanted.String(), func(t *testing.T) {
			lab := newTapLab(t)
			a, err := Attach(load(t, asm.Config{}), lab.byLink(wanted))
			must(t, err)
			lab.hold(t, a.id, got)
			if a.Method() != ByLink || a.Mode() != got || a.Fallback() != nil {
				t.Errorf("attachment says %s, %s, fallback %v", a.Method(), a.Mode(), a.Fallback())
			}
			_, err = Attach(load(t, asm.Config{}), lab.options(wanted))
			says(t, err, "v0 is already watched by this process")
			_, err = Detach("v0", lab.name)
			says(t, err, "v0 is already watched by this process")
			// What comes before a native one is taken off: see retire.
			must(t, a.held.Update(a.passer.prog))
			lab.hold(t, a.passer.id, got)
			must(t, a.Close())
			lab.bare(t)
		})
	}
}

// TestLinkKilled: a link goes with its process.
func TestLinkKilled(t *testing.T) {
	for _, mode := range []Mode{Native, Generic} {
		lab := newTapLab(t)
		killed := start(t, &namespace{}, nil, "v0", mode.String(), lab.name, "link")
		lab.heldBy(t, killed, mode)
		killed.kill()
		lab.bare(t)
		lab.attach(t, Auto)
	}
}

// TestLinkTakesOver what was left by netlink.
func TestLinkTakesOver(t *testing.T) {
	for _, before := range []Mode{Native, Generic} {
		for _, wanted := range []Mode{Native, Generic} {
			lab := newTapLab(t)
			left := lab.leftBehind(t, before)
			a, err := Attach(load(t, asm.Config{}), lab.byLink(wanted))
			must(t, err)
			lab.hold(t, a.id, wanted)
			if a.TookOver() != int(left) {
				t.Errorf("took over %d, want %d", a.TookOver(), left)
			}
			must(t, a.Close())
			lab.bare(t)
		}
	}
}

// TestLinkBesideStranger: theirs is left, by whatever it is held.
func TestLinkBesideStranger(t *testing.T) {
	for _, held := range []string{"netlink", "link"} {
		lab := newLab(t)
		prog, id := stranger(t)
		if held == "netlink" {
			lab.force(t, prog, Native)
		} else {
			lab.linked(t, prog, Native)
		}
		for _, wanted := range []Mode{Auto, Native, Generic} {
			_, err := Attach(load(t, asm.Config{}), lab.byLink(wanted))
			if !errors.As(err, new(*OccupiedError)) {
				t.Errorf("%v, want an OccupiedError", err)
			}
			lab.hold(t, id, Native)
		}
	}
}

// TestLinkOnVeth: a veth's kernel would not survive the kill of a native program.
func TestLinkOnVeth(t *testing.T) {
	lab := newLab(t)
	_, err := Attach(load(t, asm.Config{}), lab.byLink(Native))
	says(t, err, "attach to v0: native XDP held by a link has stopped kernels, with driver veth")
	lab.bare(t)
	a, err := Attach(load(t, asm.Config{}), lab.byLink(Auto))
	must(t, err)
	lab.hold(t, a.id, Generic)
	says(t, a.Fallback(), "held by a link", "driver veth")
	must(t, a.Close())
	lab.bare(t)
}

// TestLinkMoved: a link goes along with its interface, and is taken off there.
func TestLinkMoved(t *testing.T) {
	lab := newTapLab(t)
	a, err := Attach(load(t, asm.Config{}), lab.byLink(Native))
	must(t, err)
	there := lab.move(t, "v0", newNamespace(t))
	is(t, <-a.Lost(), ErrGone)
	must(t, a.Close())
	there.bare(t)
}

func TestLinkDetachedByOthers(t *testing.T) {
	lab := newTapLab(t)
	a, err := Attach(load(t, asm.Config{}), lab.byLink(Native))
	must(t, err)
	must(t, a.held.Detach()) // of which the kernel tells nobody
	must(t, lab.handle.LinkSetDown(lab.link(t, "v0")))
	is(t, <-a.Lost(), ErrTakenOff)
	must(t, a.Close())
	lab.bare(t)
}

func TestParseMethod(t *testing.T) {
	for _, m := range []Method{ByNetlink, ByLink} {
		if parsed, err := ParseMethod(m.String()); err != nil || parsed != m {
			t.Errorf("%s is parsed as %s, %v", m, parsed, err)
		}
	}
	if _, err := ParseMethod("tape"); err == nil || !strings.Contains(err.Error(), "netlink or link") {
		t.Errorf("tape: %v", err)
	}
}
