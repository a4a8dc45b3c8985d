package loader

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// site is an interface to attach to.
type site struct {
	ns    *namespace
	conn  *conn
	link  link   // as it was when found
	claim *claim // nil: the XDP slot is not claimed
}

// occupy finds an interface and claims its XDP slot for a program, which stays the
// caller's.
func occupy(iface, namespace string, prog *ebpf.Program, id uint32) (_ *site, err error) {
	s, err := approach(iface, namespace)
	if err != nil {
		return nil, err
	}
	err = s.ns.do(func() (err error) {
		s.claim, err = claimLink(s.link.index, asm.XDP, prog, id)
		return err
	})
	if errors.As(err, new(*WatchedError)) {
		err = fmt.Errorf("%s is %w", s.link.name, err)
	}
	if err != nil {
		s.release()
		return nil, err
	}
	return s, nil
}

// approach finds an interface.
func approach(iface, namespace string) (_ *site, err error) {
	s := &site{}
	if s.ns, err = openNamespace(namespace); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	err = s.ns.do(func() (err error) {
		if s.conn, err = dial(); err != nil {
			return err
		}
		s.link, err = s.conn.find(iface)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s *site) release() {
	if s.claim != nil {
		s.claim.release()
	}
	if s.conn != nil {
		s.conn.close()
	}
	s.ns.close()
}

// find returns the interface of a name, or says which there are.
func (c *conn) find(name string) (link, error) {
	const altNameSize = 128 // ALTIFNAMSIZ
	err := error(unix.ENODEV)
	if name != "" && len(name) < altNameSize && !strings.Contains(name, "\x00") {
		var l link
		if l, err = c.linkByName(name); err == nil {
			return l, nil
		}
	}
	// A kernel without alternative names calls a long one an invalid argument.
	if errors.Is(err, unix.ENODEV) || len(name) >= unix.IFNAMSIZ {
		return link{}, explain(errors.Join(ErrNoInterface, err), "no interface %s (%s)", quoted(name), have(c.names()))
	}
	return link{}, fmt.Errorf("look for interface %s: %w", quoted(name), oneLine(err))
}

// rival returns what is attached where a program in the given mode would go,
// or nil. Its error says that the interface is gone, or why it can't be asked.
func (s *site) rival(wanted Mode) (*attached, error) {
	now, err := s.conn.link(s.link.index)
	if err != nil {
		return nil, s.explain(err)
	}
	for mode, id := range now.programs {
		if mode := Mode(mode); id != 0 && mode.excludes(wanted) {
			there := inspect(s.link.index, id, mode)
			return &there, nil
		}
	}
	return nil, nil
}

// abandoned makes sure that a program is xdplog's and nobody's any more. The
// claim has shown that already, unless the interface came here from another
// network namespace: then its owner's claim is there, but it has the program open;
// or unless somebody keeps all from the claim: then its owner has a second one.
func (s *site) abandoned(there *attached) error {
	if !there.ours() || there.prog == nil && s.claim.second { // no one step, and no claim
		return s.occupied(there)
	}
	if owner := s.owner(asm.XDP, there.id); owner != nil {
		return fmt.Errorf("%s is %w", s.link.name, owner)
	}
	if pid := holder(there.id); pid != 0 {
		return fmt.Errorf("%s is %w", s.link.name, &WatchedError{PID: pid})
	}
	return nil
}

// owner is that of a program's own claim, or nil.
func (s *site) owner(at asm.Place, program uint32) (owner *WatchedError) {
	s.ns.do(func() (err error) {
		owner, err = ownerOf(claimName(s.link.index, at, program))
		return err
	})
	if owner != nil && owner.doubtful {
		return nil
	}
	return owner
}

// occupied is the error where a program is attached that is not ours to replace.
func (s *site) occupied(there *attached) error {
	if there.ours() {
		if owner := s.owner(asm.XDP, there.id); owner != nil {
			return fmt.Errorf("%s is %w", s.link.name, owner)
		}
	}
	return &OccupiedError{s.link.name, there.program()}
}

// explain says in one line why netlink refused something about the interface.
func (s *site) explain(err error) error {
	if errors.Is(err, unix.ENODEV) {
		return explain(errors.Join(ErrGone, err), "interface %s is gone", s.link.name)
	}
	return explainAttach(err)
}
