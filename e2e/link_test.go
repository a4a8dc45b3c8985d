package e2e

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// What the kernel says of an interface, asked over netlink without package
// loader, which is under test.

const (
	attachedNative  = 1 // IFLA_XDP_ATTACHED: XDP_ATTACHED_DRV, if_link.h
	attachedGeneric = 2 // XDP_ATTACHED_SKB
	xdpPass         = 2 // enum xdp_action, bpf.h
)

// A program is what an interface carries; the zero value is no program.
type program struct {
	id   uint32
	mode string // "native", "generic", or a number
}

func (p program) String() string {
	if p == (program{}) {
		return "no program"
	}
	return fmt.Sprintf("%s program %d", p.mode, p.id)
}

// attached returns the program on an interface of the right namespace; none
// where the interface or the namespace is gone.
func (l *lab) attached(t testing.TB, name string) program {
	t.Helper()
	var p program
	err := l.right.do(func() error {
		found, err := netlink.LinkByName(name)
		if _, gone := err.(netlink.LinkNotFoundError); gone {
			return nil
		}
		if err != nil {
			return err
		}
		xdp := found.Attrs().Xdp
		if xdp == nil || !xdp.Attached {
			return nil
		}
		switch xdp.AttachMode {
		case attachedNative:
			p.mode = "native"
		case attachedGeneric:
			p.mode = "generic"
		default:
			p.mode = fmt.Sprint("mode ", xdp.AttachMode)
		}
		p.id = xdp.ProgId
		return nil
	})
	if err != nil && err != errEnded {
		t.Fatalf("ask what %s carries: %v", name, err)
	}
	return p
}

// wantProgram fails the test unless right0 carries a program in this mode.
func (l *lab) wantProgram(t testing.TB, mode string) program {
	t.Helper()
	p := l.attached(t, right(0))
	if p.id == 0 || p.mode != mode {
		t.Fatalf("%s carries %v, want a %s one", right(0), p, mode)
	}
	return p
}

// awaitProgram returns when right0 carries a program.
func (l *lab) awaitProgram(t testing.TB) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < timeout; time.Sleep(time.Millisecond) {
		if l.attached(t, right(0)).id != 0 {
			return
		}
	}
	t.Fatalf("%s carries no program after %v", right(0), timeout)
}

// wantNoProgram fails the test if an interface on the right carries a program.
func (l *lab) wantNoProgram(t testing.TB) {
	t.Helper()
	for i := range l.wires {
		if p := l.attached(t, right(i)); p.id != 0 {
			t.Fatalf("%s still carries %v", right(i), p)
		}
	}
}

// xdpFlags asks the kernel for a mode.
func xdpFlags(mode string) int {
	if mode == "generic" {
		return unix.XDP_FLAGS_SKB_MODE
	}
	return unix.XDP_FLAGS_DRV_MODE
}

// foreign puts a program on right0 that is not xdplog's, in mode "native",
// "generic" or "link" (native, held by a BPF link), and returns a function
// that takes it off.
func (l *lab) foreign(t testing.TB, mode string) (remove func()) {
	t.Helper()
	return l.foreignOn(t, right(0), mode)
}

// foreignOn is foreign on any interface of the right namespace.
func (l *lab) foreignOn(t testing.TB, name, mode string) (remove func()) {
	t.Helper()
	defer setMemlock(t, unix.RLIM_INFINITY)() // before Linux 5.11 a program is counted
	prog, err := loadForeign(0)
	if err != nil {
		t.Fatalf("load the foreign program: %v", err)
	}
	var held link.Link
	l.right.change(t, name, func(at netlink.Link) (err error) {
		if mode == "link" {
			held, err = link.AttachXDP(link.XDPOptions{Program: prog, Interface: at.Attrs().Index, Flags: link.XDPDriverMode})
			return err
		}
		return netlink.LinkSetXdpFdWithFlags(at, prog.FD(), xdpFlags(mode))
	})
	return func() {
		t.Helper()
		defer prog.Close()
		if held != nil {
			held.Close()
			return
		}
		l.right.change(t, name, func(at netlink.Link) error {
			return netlink.LinkSetXdpFdWithFlags(at, -1, xdpFlags(mode))
		})
	}
}

// loadForeign loads a program that is not xdplog's.
func loadForeign(flags uint32) (*ebpf.Program, error) {
	return ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "somebody_else",
		Type: ebpf.XDP,
		Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R0, xdpPass),
			asm.Return(),
		},
		Flags: flags,
	})
}

// takesFrags reports whether the kernel has programs for packets of several
// buffers, and so jumbo frames for native ones (Linux 5.18).
func takesFrags(t testing.TB) bool {
	t.Helper()
	needPrivilege(t)
	prog, err := loadForeign(unix.BPF_F_XDP_HAS_FRAGS)
	if err != nil {
		return false
	}
	prog.Close()
	return true
}

// strip takes whatever right0 carries in a mode off it, over netlink.
func (l *lab) strip(t testing.TB, mode string) {
	t.Helper()
	err := l.right.do(func() error {
		at, err := netlink.LinkByName(right(0))
		if err != nil {
			return err
		}
		return netlink.LinkSetXdpFdWithFlags(at, -1, xdpFlags(mode))
	})
	if err != nil {
		t.Fatalf("take the program off: %v", err)
	}
}

// remove deletes an interface of the right namespace.
func (l *lab) remove(t testing.TB, name string) {
	t.Helper()
	l.right.change(t, name, netlink.LinkDel)
}

// change does something to an interface of the thread's namespace.
func (th *thread) change(t testing.TB, name string, what func(netlink.Link) error) {
	t.Helper()
	err := th.do(func() error {
		found, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return what(found)
	})
	if err != nil {
		t.Fatalf("change %s: %v", name, err)
	}
}

// carrierChanges is how often right0's link has come or gone.
func (l *lab) carrierChanges(t *testing.T) (n uint32) {
	t.Helper()
	const carrierChanges = 35 // IFLA_CARRIER_CHANGES, if_link.h
	err := l.right.do(func() error {
		link, err := netlink.LinkByName(right(0))
		if err != nil {
			return err
		}
		request := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_ACK)
		about := nl.NewIfInfomsg(unix.AF_UNSPEC)
		about.Index = int32(link.Attrs().Index)
		request.AddData(about)
		answers, err := request.Execute(unix.NETLINK_ROUTE, 0)
		if err != nil {
			return err
		}
		attributes, err := nl.ParseRouteAttr(answers[0][unix.SizeofIfInfomsg:])
		for _, a := range attributes {
			if a.Attr.Type == carrierChanges {
				n = binary.NativeEndian.Uint32(a.Value)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
