package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// An upper is a way to put an interface above right0.
type upper struct {
	kind string
	link func(netlink.LinkAttrs) netlink.Link
	port bool // right0 becomes its port
}

var uppers = []upper{
	{kind: "bridge", port: true, link: func(a netlink.LinkAttrs) netlink.Link { return &netlink.Bridge{LinkAttrs: a} }},
	{kind: "macvlan", link: func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.Macvlan{LinkAttrs: a, Mode: netlink.MACVLAN_MODE_BRIDGE}
	}},
	{kind: "vlan", link: func(a netlink.LinkAttrs) netlink.Link { return &netlink.Vlan{LinkAttrs: a, VlanId: 10} }},
	{kind: "vxlan", link: func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.Vxlan{LinkAttrs: a, VxlanId: 5, VtepDevIndex: a.ParentIndex, Port: 4789, Learning: true}
	}},
	{kind: "bond", port: true, link: func(a netlink.LinkAttrs) netlink.Link {
		bond := netlink.NewLinkBond(a)
		bond.Mode = netlink.BOND_MODE_ACTIVE_BACKUP
		return bond
	}},
	{kind: "team", port: true, link: func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.GenericLink{LinkAttrs: a, LinkType: "team"}
	}},
}

// above is the name of that interface.
const above = "above0"

// stack puts an interface of a kind above right0, or skips the test.
func (l *lab) stack(t *testing.T, u upper) {
	t.Helper()
	l.make(t, u)
	if u.port {
		l.enslave(t)
	}
}

// make makes one which has right0 below it, unless that has yet to become its port.
func (l *lab) make(t *testing.T, u upper) {
	t.Helper()
	err := l.right.do(func() error {
		lower, err := netlink.LinkByName(right(0))
		if err != nil {
			return err
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name = above
		if !u.port {
			attrs.ParentIndex = lower.Attrs().Index
		}
		if err := netlink.LinkAdd(u.link(attrs)); err != nil {
			return err
		}
		made, err := netlink.LinkByName(above)
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(made)
	})
	if err == unix.EOPNOTSUPP {
		t.Skipf("this kernel lacks %s devices", u.kind)
	}
	if err != nil {
		t.Fatalf("make a %s: %v", u.kind, err)
	}
	t.Cleanup(func() { l.right.change(t, above, netlink.LinkDel) })
}

// enslave makes right0 a port. Bonds and teams take none that is up.
func (l *lab) enslave(t *testing.T) {
	t.Helper()
	l.right.change(t, right(0), func(lower netlink.Link) error {
		master, err := netlink.LinkByName(above)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetDown(lower); err != nil {
			return err
		}
		if err := netlink.LinkSetMaster(lower, master); err != nil {
			return err
		}
		return netlink.LinkSetUp(lower)
	})
}

func eachUpper(t *testing.T, f func(t *testing.T, lab *lab)) {
	for _, u := range uppers {
		t.Run(u.kind, func(t *testing.T) {
			lab := newLab(t)
			lab.stack(t, u)
			f(t, lab)
		})
	}
}

// TestAboveOneAnother has interfaces of one run above one another, in either order.
func TestAboveOneAnother(t *testing.T) {
	eachUpper(t, func(t *testing.T, lab *lab) {
		for _, order := range [][2]string{{right(0), above}, {above, right(0)}} {
			capture := start(t, lab.right, "-i", order[0], "-i", order[1], "-o", "json").listens(t)
			lab.wantOn(t, right(0), true)
			lab.wantOn(t, above, true)
			capture.stop(t)
			lab.wantOn(t, right(0), false)
			lab.wantOn(t, above, false)
		}
	})
}

// wantOn fails the test unless an interface has a program, or has none.
func (l *lab) wantOn(t *testing.T, name string, on bool) {
	t.Helper()
	if p := l.attached(t, name); (p.id != 0) != on {
		t.Errorf("%s carries %v, want one: %v", name, p, on)
	}
}

// TestEnslavedMeanwhile puts the first of two interfaces above the second during
// their run.
func TestEnslavedMeanwhile(t *testing.T) {
	lab := newLab(t)
	lab.make(t, uppers[0])
	capture := start(t, lab.right, "-i", above, "-i", right(0), "-o", "json").listens(t)
	lab.enslave(t)
	capture.stop(t)
	lab.wantOn(t, right(0), false)
	lab.wantOn(t, above, false)
}

// TestBeneathForeign has somebody else's program above right0 when xdplog comes.
func TestBeneathForeign(t *testing.T) {
	needUpperRule(t)
	eachUpper(t, func(t *testing.T, lab *lab) {
		defer lab.foreignOn(t, above, "generic")()
		complain(t, lab.right, 1, []string{"attach to " + right(0), above, "somebody_else", "take that off first"},
			"-i", right(0), "--place", "xdp")
		if end := start(t, lab.right, "check", "-i", right(0)).wait(t); !strings.Contains(strings.Join(end.lines, "\n"), above+", which is above") {
			t.Errorf("check does not foretell it:\n%s", strings.Join(end.lines, "\n"))
		}
		capture := lab.xdplog(t)
		if said := capture.stderr.String(); !strings.Contains(said, "(tc ingress; "+above+", which is above") {
			t.Errorf("it does not say why it is at tc:\n%s", said)
		}
		capture.stop(t)
		lab.wantNoProgram(t)
	})
}

// TestForeignComesAbove has somebody else's program come above xdplog's, which then
// can't be taken off until the other one is gone.
func TestForeignComesAbove(t *testing.T) {
	needUpperRule(t)
	eachUpper(t, func(t *testing.T, lab *lab) {
		capture := lab.xdplog(t)
		remove := lab.foreignOn(t, above, "generic")
		capture.signal(t, unix.SIGINT)
		if !capture.stderr.await("waits to take program") || !strings.Contains(capture.stderr.String(), above) {
			t.Fatalf("it does not say what it waits for:\n%s", &capture.stderr)
		}
		lab.wantOn(t, right(0), true)
		remove()
		if end := capture.wait(t); end.status != 0 {
			t.Errorf("exit status is %d, want 0", end.status)
		}
		lab.wantNoProgram(t)
	})
}

// TestLeftBeneathForeign ends the wait by another signal.
func TestLeftBeneathForeign(t *testing.T) {
	needUpperRule(t)
	lab := newLab(t)
	lab.stack(t, uppers[0])
	capture := lab.xdplog(t)
	remove := lab.foreignOn(t, above, "generic")
	capture.signal(t, unix.SIGINT)
	if !capture.stderr.await("waits to take program") {
		t.Fatalf("it does not wait:\n%s", &capture.stderr)
	}
	for running := true; running; { // the first of them may count as the same one
		capture.cmd.Process.Signal(unix.SIGINT)
		select {
		case <-capture.exited:
			running = false
		case <-capture.stderr.more:
		}
	}
	end := capture.wait(t)
	if end.status != 1 || !strings.Contains(end.stderr, "left in place") {
		t.Errorf("exit status is %d, want 1, and:\n%s", end.status, end.stderr)
	}
	lab.wantOn(t, right(0), true)
	complain(t, lab.right, 1, []string{right(0), above, "somebody_else"}, "detach", "-i", right(0))
	remove()
	if end := start(t, lab.right, "detach", "-i", right(0)).wait(t); end.status != 0 {
		t.Errorf("detach: exit status is %d:\n%s", end.status, end.stderr)
	}
	lab.wantNoProgram(t)
}

// needUpperRule skips the test on kernels that take programs beneath others.
func needUpperRule(t *testing.T) {
	var name unix.Utsname
	var major, minor int
	unix.Uname(&name)
	if fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor); major == 5 && minor < 15 {
		t.Skip("this kernel lacks the rule that keeps programs beneath others in place (Linux 5.15)")
	}
}

// TestLinkEndsBeneathForeign has a link hold the program, of which the kernel asks
// nothing when it ends.
func TestLinkEndsBeneathForeign(t *testing.T) {
	eachUpper(t, func(t *testing.T, lab *lab) {
		capture := lab.xdplog(t, "--attach", "link")
		defer lab.foreignOn(t, above, "generic")()
		capture.stop(t)
		lab.wantNoProgram(t)
	})
}
