package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// TestKilled kills xdplog, which leaves its program behind, and starts it
// again: that takes the program over, or its place.
func TestKilled(t *testing.T) {
	for _, modes := range [][2]string{
		{"native", "native"}, {"native", "auto"}, {"native", "generic"},
		{"generic", "generic"}, {"generic", "auto"}, {"generic", "native"},
	} {
		before, after := modes[0], modes[1]
		t.Run(before+" then "+after, func(t *testing.T) {
			lab := newLab(t)
			lab.xdplog(t, "--mode", before).kill(t)
			left := lab.wantProgram(t, before)

			capture := lab.xdplog(t, "--mode", after)
			now := lab.attached(t, right(0))
			if now.id == left.id || now.id == 0 {
				t.Errorf("%s carries %v, want a new program", right(0), now)
			}
			if after != "auto" && now.mode != after {
				t.Errorf("%s carries %v, want a %s one", right(0), now, after)
			}
			if said := capture.stderr.String(); !strings.Contains(said, fmt.Sprint(left.id)) {
				t.Errorf("it does not say that it took over program %d:\n%s", left.id, said)
			}
			lab.udp(t, 0, false, 53, 1, 18)
			capture.want(t, udp4)
			capture.stop(t)
			lab.wantNoProgram(t)
		})
	}
}

// TestSecond starts xdplog beside a living one, in every pair of modes.
func TestSecond(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		capture := lab.xdplog(t, "--mode", mode)
		first := lab.wantProgram(t, mode)
		pid := fmt.Sprint(capture.cmd.Process.Pid)
		for _, second := range []string{"auto", "native", "generic"} {
			complain(t, lab.right, 1, []string{right(0), pid}, "-i", right(0), "--mode", second)
		}
		complain(t, lab.right, 1, []string{right(0), pid}, "detach", "-i", right(0))
		if now := lab.wantProgram(t, mode); now != first {
			t.Errorf("%s carries %v, want still %v", right(0), now, first)
		}
		lab.udp(t, 0, false, 53, 1, 18)
		capture.want(t, udp4)
		capture.stop(t)
		lab.wantNoProgram(t)
	})
}

// TestSameInterfaceTwice is one process in its own way.
func TestSameInterfaceTwice(t *testing.T) {
	lab := newLab(t)
	p := start(t, lab.right, "-i", right(0), "-i", right(0))
	if p.stderr.await(listening) { // once is as good
		p.stop(t)
	} else {
		p.complains(t, 2, right(0))
	}
	lab.wantNoProgram(t)
}

// TestForeign finds somebody else's program on the interface, and leaves it.
func TestForeign(t *testing.T) {
	for _, held := range []string{"native", "generic", "link"} {
		t.Run(held, func(t *testing.T) {
			lab := newLab(t)
			remove := lab.foreign(t, held)
			defer remove()
			theirs := lab.attached(t, right(0))
			words := []string{right(0), fmt.Sprint(theirs.id), "somebody_else", theirs.mode}
			for _, mode := range []string{"auto", "native", "generic"} {
				complain(t, lab.right, 1, words, "-i", right(0), "--mode", mode)
				if now := lab.attached(t, right(0)); now != theirs {
					t.Fatalf("%s carries %v, want still %v", right(0), now, theirs)
				}
			}
			complain(t, lab.right, 1, []string{right(0), "somebody_else"}, "detach", "-i", right(0))
			if now := lab.attached(t, right(0)); now != theirs {
				t.Fatalf("%s carries %v, want still %v", right(0), now, theirs)
			}
		})
	}
}

// TestForeignSecond attaches to two interfaces, of which the second is taken:
// nothing must stay on the first.
func TestForeignSecond(t *testing.T) {
	lab := newLabWith(t, labOptions{pairs: 2})
	remove := lab.foreign(t, "native")
	complain(t, lab.right, 1, []string{right(0), "somebody_else"}, "-i", right(1), "-i", right(0), "--place", "xdp")
	remove()
	lab.wantNoProgram(t)
}

// TestReplaced puts a foreign program in our program's place: it ends, and
// leaves that program there.
func TestReplaced(t *testing.T) {
	lab := newLab(t)
	capture := lab.xdplog(t)
	remove := lab.foreign(t, "native")
	theirs := lab.wantProgram(t, "native")
	end := capture.wait(t)
	if end.status != 1 || !strings.Contains(end.stderr, right(0)) {
		t.Errorf("exit status is %d, want 1 and %s on stderr:\n%s", end.status, right(0), end.stderr)
	}
	if now := lab.attached(t, right(0)); now != theirs {
		t.Errorf("%s carries %v, want still %v", right(0), now, theirs)
	}
	remove()
	lab.wantNoProgram(t)
}

// TestRemoved takes our program off from outside, as ip link set xdp off does.
func TestRemoved(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		capture := lab.xdplog(t, "--mode", mode)
		lab.wantProgram(t, mode)
		lab.strip(t, mode)
		end := capture.wait(t)
		if end.status != 1 || !strings.Contains(end.stderr, right(0)) {
			t.Errorf("exit status is %d, want 1 and %s on stderr:\n%s", end.status, right(0), end.stderr)
		}
		lab.wantNoProgram(t)
	})
}

// TestAtOnce starts several at the same moment: one of them gets the interface.
func TestAtOnce(t *testing.T) {
	lab := newLab(t)
	for range 5 {
		var all []*process
		for range 4 {
			all = append(all, start(t, lab.right, "-i", right(0), "-o", "json", "--place", "xdp"))
		}
		var winner *process
		for _, p := range all {
			switch {
			case !p.stderr.await(listening):
				p.complains(t, 1, right(0))
			case winner != nil:
				t.Fatal("two have it")
			default:
				winner = p
			}
		}
		if winner == nil {
			t.Fatal("none has it")
		}
		lab.udp(t, 0, false, 53, 1, 18)
		winner.want(t, udp4)
		winner.stop(t)
		lab.wantNoProgram(t)
	}
}

// TestNeighbours run beside each other, on two interfaces of one namespace and
// on one of the same name in another.
func TestNeighbours(t *testing.T) {
	lab, other := newLabWith(t, labOptions{pairs: 2}), newLab(t)
	captures := []*process{
		lab.xdplog(t),
		start(t, lab.right, "-i", right(1), "-o", "json").listens(t),
		other.xdplog(t),
	}
	sends := []func(){
		func() { lab.udp(t, 0, false, 53, 1, 18) },
		func() { lab.udp(t, 1, false, 53, 1, 18) },
		func() { other.udp(t, 0, false, 53, 1, 18) },
	}
	for i, capture := range captures {
		for _, send := range sends[i:] { // those that are still there see their own
			send()
		}
		for _, living := range captures[i:] {
			living.next(t)
		}
		if end := capture.stop(t); end.counters.Seen != uint64(i+1) {
			t.Errorf("capture %d: counters are %+v, want %d seen", i, end.counters, i+1)
		}
	}
	lab.wantNoProgram(t)
	other.wantNoProgram(t)
}

// TestRenamed finds its program again where the interface has another name.
func TestRenamed(t *testing.T) {
	lab := newLab(t)
	capture := lab.xdplog(t)
	rename := func(from, to string) {
		lab.right.change(t, from, func(at netlink.Link) error {
			if err := netlink.LinkSetDown(at); err != nil { // before Linux 6.2 only then
				return err
			}
			return errors.Join(netlink.LinkSetName(at, to), netlink.LinkSetUp(at))
		})
		if err := lab.warmUpAs(0, to); err != nil {
			t.Fatal(err)
		}
	}
	rename(right(0), "renamed0")
	lab.send(t, marker())
	if e := capture.next(t); !e.isMarker() || e.Interface != right(0) {
		t.Errorf("event is %v, want one on %s, as it was called", e, right(0))
	}
	capture.stop(t)
	rename("renamed0", right(0))
	lab.wantNoProgram(t)
}

func TestDetach(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		lab.xdplog(t, "--mode", mode).kill(t)
		left := lab.wantProgram(t, mode)

		end := start(t, lab.right, "detach", "-i", right(0)).wait(t)
		lab.wantNoProgram(t)
		said := strings.Join(end.lines, "\n") + end.stderr
		if end.status != 0 || !strings.Contains(said, fmt.Sprint(left.id)) || !strings.Contains(said, mode) {
			t.Errorf("exit status is %d, want 0, and it says %q", end.status, said)
		}
		complain(t, lab.right, 1, []string{right(0)}, "detach", "-i", right(0)) // nothing there
	})
}
