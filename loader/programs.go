package loader

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// A Program is an XDP program on an interface.
type Program struct {
	ID   int // in the kernel
	Mode Mode
	Name string // "" where it may not be read: see [Attach]
	Ours bool   // an xdplog's

	// Owner is the living xdplog that has the interface. It is nil where there
	// is none: a start takes over what is Ours, then.
	Owner *WatchedError
}

// String is the program in some words, as errors speak of it.
func (p Program) String() string {
	name := p.Name
	switch {
	case name == "" && len(missing(unix.CAP_SYS_ADMIN)) > 0:
		name = "its name can't be read without CAP_SYS_ADMIN"
	case name == "":
		name = "without a name"
	}
	return fmt.Sprintf("id %d (%s), %s", p.ID, name, p.Mode)
}

// Programs returns what is attached to an interface, in a namespace as in
// [Options]: none, one, or two where one of them is on the card. It changes
// nothing, and needs no capability for the caller's own namespace. The error
// wraps [ErrNoInterface] where there is no such interface.
func Programs(iface, namespace string) ([]Program, error) {
	var programs []Program
	err := Within(namespace, func() error {
		c, err := dial()
		if err != nil {
			return err
		}
		defer c.close()
		l, err := c.find(iface)
		if err != nil {
			return err
		}
		programs = programsOn(l)
		return nil
	})
	return programs, err
}

// programsOn are those of an interface of the calling thread's network namespace.
func programsOn(l link) []Program {
	var programs []Program
	for mode, id := range l.programs {
		if id == 0 {
			continue
		}
		there := inspect(l.index, id, Mode(mode))
		p := there.program()
		there.close()
		for _, program := range []uint32{0, id} {
			owner, err := ownerOf(claimName(l.index, asm.XDP, program))
			if err == nil && !owner.doubtful && p.Owner == nil {
				p.Owner = owner
			}
		}
		if p.Owner == nil && p.Ours {
			if pid := holder(id); pid != 0 {
				p.Owner = &WatchedError{PID: pid}
			}
		}
		programs = append(programs, p)
	}
	return programs
}

// MissingCapabilities names those that this process does not have in force, of
// CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, which every run needs, and CAP_SYS_ADMIN,
// which only other network namespaces need, and kernels without BTF to take over.
func MissingCapabilities() []string {
	var names []string
	for _, c := range missing(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON, unix.CAP_SYS_ADMIN) {
		names = append(names, c.String())
	}
	return names
}
