package loader

import (
	"errors"
	"fmt"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/xdplog/xdplog/asm"
)

// bridged puts a bridge br0 above v0.
func (l *lab) bridged(t *testing.T) {
	t.Helper()
	if err := l.handle.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}); err != nil {
		t.Skipf("this kernel lacks bridges: %v", err)
	}
	must(t, l.handle.LinkSetMaster(l.link(t, "v0"), l.link(t, "br0")))
	must(t, l.handle.LinkSetUp(l.link(t, "br0")))
}

func TestLowerFirst(t *testing.T) {
	lab := newLab(t)
	lab.bridged(t)
	for _, test := range []struct {
		interfaces []string
		want       []int
	}{
		{nil, []int{}},
		{[]string{"v0", "br0"}, []int{0, 1}},
		{[]string{"br0", "v0"}, []int{1, 0}},
		{[]string{"br0", "v1", "v0"}, []int{2, 0, 1}}, // the ends of a pair are not above each other
		{[]string{"br0", "v0", "br0"}, []int{1, 0, 2}},
		{[]string{"br0", "nosuch0", "v0"}, []int{1, 2, 0}},
	} {
		if got := LowerFirst(test.interfaces, lab.name); fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%q: %v, want %v", test.interfaces, got, test.want)
		}
	}
	if got := LowerFirst([]string{"b", "a"}, "no such namespace"); fmt.Sprint(got) != "[0 1]" {
		t.Errorf("where none can be asked: %v, want them as they are", got)
	}
}

// TestUpper is what an embedder meets: errors with names, and a Close that is
// called again.
func TestUpper(t *testing.T) {
	lab := newLab(t)
	lab.bridged(t)
	must(t, Upper("v0", lab.name))

	lower := lab.attach(t, Native)
	coll := load(t, asm.Config{})
	above, err := Attach(coll, Options{Interface: "br0", Namespace: lab.name, Mode: Generic})
	must(t, err)
	var upper *UpperError
	for _, err := range []error{Upper("v0", lab.name), lower.Close(), lower.Close()} {
		if !errors.As(err, &upper) {
			t.Skipf("this kernel lets it: %v", err) // Linux 5.15 forbids it first
		}
		if upper.Interface != "v0" || upper.Upper != "br0" || upper.Program.ID != int(above.id) || upper.Program.Owner == nil {
			t.Errorf("%+v", upper)
		}
	}
	lab.hold(t, lower.id, Native)
	select {
	case err := <-lower.Lost():
		t.Errorf("what is still there is lost: %v", err)
	default:
	}
	// The upper one is the first here, and its turn comes after the other's.
	for i, err := range CloseAll([]*Attachment{above, lower}) {
		if err != nil {
			t.Errorf("attachment %d: %v", i, err)
		}
	}
	lab.bare(t)
	must(t, lower.Close())
	if _, open := <-lower.Lost(); open {
		t.Error("Lost is not closed")
	}
}
