package loader

import (
	"testing"

	"github.com/cilium/ebpf"
	bpflink "github.com/cilium/ebpf/link"
)

// TestPeekName reads what the kernel says to those who may ask.
func TestPeekName(t *testing.T) {
	for _, mode := range []Mode{Native, Generic} {
		for _, held := range []string{"netlink", "link"} {
			t.Run(mode.String()+" by "+held, func(t *testing.T) {
				lab := newLab(t)
				prog, id := stranger(t)
				index := lab.link(t, "v0").Attrs().Index
				if held == "netlink" {
					lab.force(t, prog, mode)
				} else {
					lab.linked(t, prog, mode)
				}
				must(t, lab.namespace(t).do(func() error {
					name, err := peekName(index, id)
					if err != nil || name != "stranger" {
						t.Errorf("the program is %q, %v; want stranger", name, err)
					}
					if name, err := peekName(index, id+1); err == nil {
						t.Errorf("program %d, which is not there, is %q", id+1, name)
					}
					if name, err := peekName(index+1, id); err == nil {
						t.Errorf("program %d on another interface is %q", id, name)
					}
					return nil
				}))
			})
		}
	}
}

// TestTakeOverWithThree is the start after a SIGKILL with the capabilities that
// every start has.
func TestTakeOverWithThree(t *testing.T) {
	for _, before := range []Mode{Native, Generic} {
		for _, wanted := range []Mode{Auto, Native, Generic} {
			t.Run(before.String()+" left, "+wanted.String()+" wanted", func(t *testing.T) {
				lab := newLab(t)
				lab.leftBehind(t, before)
				next := startAs(t, nobody, lab.namespace(t), nil, "v0", wanted.String(), "")
				lab.heldBy(t, next, wanted.order()[0])
				next.in.Close()
				must(t, next.Wait())
				lab.bare(t)
			})
		}
	}
}

// TestStrangerIsLeftInPlaceWithThree: what is somebody else's is known to be that.
func TestStrangerIsLeftInPlaceWithThree(t *testing.T) {
	lab := newLab(t)
	prog, id := stranger(t)
	for _, mode := range []Mode{Native, Generic} {
		lab.force(t, prog, mode)
		for _, wanted := range []Mode{Auto, Native, Generic} {
			next := startAs(t, nobody, lab.namespace(t), nil, "v0", wanted.String(), "")
			saysText(t, next.said, "v0 has another XDP program", "(stranger)")
			lab.hold(t, id, mode)
		}
		must(t, lab.conn.setXDP(lab.link(t, "v0").Attrs().Index, noProgram, mode, prog.FD()))
	}
}

// linked attaches a program to v0 by a link, until the end of the test.
func (l *lab) linked(t *testing.T, prog *ebpf.Program, mode Mode) {
	t.Helper()
	index := l.link(t, "v0").Attrs().Index
	must(t, l.namespace(t).do(func() error {
		held, err := bpflink.AttachXDP(bpflink.XDPOptions{
			Program: prog, Interface: index, Flags: bpflink.XDPAttachFlags(mode.flag()),
		})
		if err == nil {
			t.Cleanup(func() { held.Close() })
		}
		return err
	}))
}
