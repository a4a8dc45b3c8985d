package loader

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// Removed is a program that [Detach] took off.
type Removed struct {
	ID    int       // of the program, in the kernel
	Place asm.Place // where it was
	Mode  Mode      // of the XDP slot
}

// Detach takes off what killed xdplogs left on an interface, in a namespace as
// in [Options]: in the XDP slot, and at tc the filters, for links end with their
// process. It returns what it took off, also beside an error. Where there is
// nothing that wraps [ErrNoProgram], where there is another's program in the XDP
// slot, and nothing of ours at tc, it is an [OccupiedError], and where the xdplog is
// alive a [WatchedError]. It needs CAP_NET_ADMIN, and of the XDP slot CAP_SYS_ADMIN.
func Detach(iface, namespace string) ([]Removed, error) {
	var all []Removed
	for _, at := range []asm.Place{asm.TCIngress, asm.TCEgress} {
		removed, err := detachFilter(iface, namespace, at)
		if err != nil {
			return all, err
		}
		if removed.ID != 0 {
			all = append(all, removed)
		}
	}
	removed, err := detachXDP(iface, namespace)
	if len(all) > 0 && (errors.Is(err, ErrNoProgram) || errors.As(err, new(*OccupiedError))) {
		return all, nil
	}
	if err == nil {
		all = append(all, removed)
	}
	return all, err
}

// detachFilter takes off what is at tc. Its result is zero where nothing is.
func detachFilter(iface, namespace string, at asm.Place) (Removed, error) {
	s, err := approach(iface, namespace)
	if err != nil {
		return Removed{}, err
	}
	defer s.release()
	passer := newPasser()
	defer passer.close()
	f, err := s.openFilters(at, passer.program())
	if err != nil {
		return Removed{}, err
	}
	defer f.close()
	id, err := f.removeOrphans()
	if err != nil {
		return Removed{}, fmt.Errorf("take the filters of xdplog off %v of %s: %w", at, s.link.name, s.explain(err))
	}
	if f.made {
		f.removeQdisc()
	}
	return Removed{ID: id, Place: at}, nil
}

func detachXDP(iface, namespace string) (Removed, error) {
	passer := newPasser()
	defer passer.close()
	s, err := occupy(iface, namespace, passer.program(), passer.number())
	if err != nil {
		return Removed{}, err
	}
	defer s.release()

	var found *attached
	for mode, id := range s.link.programs {
		if id == 0 {
			continue
		}
		there := inspect(s.link.index, id, Mode(mode))
		defer there.close()
		if found == nil || there.ours() {
			found = &there
		}
	}
	if found == nil {
		return Removed{}, fmt.Errorf("%s has %w: there is nothing to take off", s.link.name, ErrNoProgram)
	}
	if err := s.abandoned(found); err != nil {
		return Removed{}, err
	}
	inherited := s.inherit(found)
	err = s.takeOff(found.id, found.mode, found.fd(), passer)
	if errors.Is(err, unix.ENODEV) {
		err = s.explain(err)
	}
	if err != nil {
		return Removed{}, err
	}
	s.putBack(inherited)
	return Removed{ID: int(found.id), Mode: found.mode}, nil
}
