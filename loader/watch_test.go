package loader

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestReplacedFromOutside(t *testing.T) {
	lab := newLab(t)
	a := lab.attach(t, Auto)
	prog, id := stranger(t)
	lab.force(t, prog, Native)

	lost := lost(t, a)
	says(t, lost, fmt.Sprintf("the program on v0 was replaced from outside by id %d (stranger), native", id))
	err := a.Close()
	says(t, err, "left alone")
	is(t, err, ErrReplaced)
	is(t, lost, ErrReplaced)
	lab.hold(t, id, Native)
}

func TestTakenOffFromOutside(t *testing.T) {
	lab := newLab(t)
	a := lab.attach(t, Generic)
	lab.force(t, nil, Generic)
	err := lost(t, a)
	says(t, err, "the program on v0 was taken off from outside")
	is(t, err, ErrTakenOff)
	must(t, a.Close())
}

// lost is what Lost says, which must be soon.
func lost(t *testing.T, a *Attachment) error {
	t.Helper()
	select {
	case err := <-a.Lost():
		return err
	case <-time.After(5 * time.Second):
		t.Fatal("nothing lost")
		return nil
	}
}

func TestInterfaceDeleted(t *testing.T) {
	lab := newLab(t)
	a := lab.attach(t, Auto)
	must(t, lab.handle.LinkDel(lab.link(t, "v1")))
	err := lost(t, a)
	says(t, err, "interface v0 is gone (deleted)")
	is(t, err, ErrGone)
	must(t, a.Close())
}

func TestInterfaceRenamed(t *testing.T) {
	lab := newLab(t)
	a := lab.attach(t, Auto)
	v0 := lab.link(t, "v0")
	must(t, lab.handle.LinkSetDown(v0))
	must(t, lab.handle.LinkSetName(v0, "renamed"))
	must(t, lab.handle.LinkSetUp(v0))
	err := lab.handle.LinkSetName(v0, "v0")
	if errors.Is(err, unix.EBUSY) {
		t.Log("this kernel lacks new names for interfaces that are up (Linux 6.2)")
		must(t, lab.handle.LinkSetDown(v0))
		err = lab.handle.LinkSetName(v0, "v0")
	}
	must(t, err)
	must(t, a.Close())
	if err := <-a.Lost(); err != nil {
		t.Error(err)
	}
	lab.bare(t)
}

func TestInterfaceMoved(t *testing.T) {
	for _, lookFirst := range []bool{true, false} {
		lab := newLab(t)
		a := lab.attach(t, Auto)
		there := lab.move(t, "v0", newNamespace(t))
		if lookFirst {
			says(t, lost(t, a), "interface v0 is gone (moved to another network namespace)")
		}
		must(t, a.Close())
		there.bare(t)
	}
}

// move moves an interface to a namespace, and returns the lab that is there.
func (l *lab) move(t *testing.T, name, namespace string) *lab {
	t.Helper()
	to := &lab{name: namespace}
	to.open(t)
	must(t, l.handle.LinkSetNsFd(l.link(t, name), int(to.namespace(t).file.Fd())))
	must(t, to.handle.LinkSetUp(to.link(t, name)))
	return to
}
