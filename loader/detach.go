package loader

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Removed is the program that [Detach] took off.
type Removed struct {
	ID   int // of the program, in the kernel
	Mode Mode
}

// Detach takes off what a killed xdplog left on an interface, in a namespace as
// in [Options]. Where there is nothing its error wraps [ErrNoProgram], where there
// is another's program it is an [OccupiedError], and where the xdplog is alive
// a [WatchedError]. It needs CAP_NET_ADMIN and CAP_SYS_ADMIN.
func Detach(iface, namespace string) (Removed, error) {
	s, err := occupy(iface, namespace)
	if err != nil {
		return Removed{}, err
	}
	defer s.release()

	var found *attached
	for mode, id := range s.link.programs {
		if id == 0 {
			continue
		}
		there := inspect(id, Mode(mode))
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
	passer := newPasser()
	defer passer.close()
	err = s.takeOff(found.id, found.mode, found.prog, passer)
	if errors.Is(err, unix.ENODEV) {
		err = s.explain(err)
	}
	if err != nil {
		return Removed{}, err
	}
	s.putBack(inherited)
	return Removed{int(found.id), found.mode}, nil
}
