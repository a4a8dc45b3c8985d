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
// in [Options]. It is an error if there is nothing, or another's program, or if
// the xdplog is alive. It needs CAP_NET_ADMIN and CAP_SYS_ADMIN.
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
		return Removed{}, fmt.Errorf("%s has no XDP program: there is nothing to take off", s.link.name)
	}
	if err := s.abandoned(found); err != nil {
		return Removed{}, err
	}
	passer := newPasser()
	defer passer.close()
	err = s.takeOff(found.id, found.mode, found.prog, passer)
	if errors.Is(err, unix.ENODEV) {
		err = s.explain(err)
	}
	if err != nil {
		return Removed{}, err
	}
	return Removed{int(found.id), found.mode}, nil
}
