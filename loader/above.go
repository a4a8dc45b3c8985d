package loader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// An UpperError says that an interface directly above one has an XDP program: a
// bridge, bond or team of which it is a port, a VLAN, macvlan or vxlan on it. The
// kernel then lets no program onto the lower one, and none off (dev_xdp_attach of
// Linux, since 5.15).
type UpperError struct {
	Interface string
	Upper     string // "" where it can't be seen, for it is in another network namespace
	Program   Program
}

func (e *UpperError) Error() string {
	if e.Upper == "" {
		return fmt.Sprintf("an interface above %s, in another network namespace, has an XDP program: the kernel lets none onto %s or off it meanwhile", e.Interface, e.Interface)
	}
	owner := ""
	if e.Program.Owner != nil {
		owner = ", of an xdplog"
		if pid := e.Program.Owner.PID; pid != 0 {
			owner = fmt.Sprintf(", of xdplog, process %d", pid)
		}
	}
	return fmt.Sprintf("%s, which is above %s, has an XDP program, %s%s: the kernel lets none onto %s or off it meanwhile",
		e.Upper, e.Interface, e.Program, owner, e.Interface)
}

// Upper returns an [UpperError] where an interface above one, in a namespace as in
// [Options], has a program, and the kernel minds that: before Linux 5.15 none. It changes nothing, and needs no capability for the
// caller's own namespace.
func Upper(iface, namespace string) error {
	s, err := approach(iface, namespace)
	if err != nil {
		return err
	}
	defer s.release()
	if upper := s.upper(); upper != nil && mindsUpper() {
		return upper
	}
	return nil
}

// mindsUpper reports whether the kernel is of a version that forbids programs beneath
// others. To try it would take an attachment.
func mindsUpper() bool { return sinceLinux(5, 15) }

// sinceLinux reports whether the kernel is of a version, or a later one.
func sinceLinux(atLeast, atLeastMinor int) bool {
	var name unix.Utsname
	var major, minor int
	if unix.Uname(&name) != nil {
		return true
	}
	if _, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor); err != nil {
		return true
	}
	return major > atLeast || major == atLeast && minor >= atLeastMinor
}

// upper is an interface directly above the site's that has a program, or nil.
func (s *site) upper() *UpperError {
	links, err := s.conn.links()
	if err != nil {
		return nil
	}
	at := slices.IndexFunc(links, func(l link) bool { return l.index == s.link.index })
	if at < 0 {
		return nil
	}
	for _, above := range links {
		if !above.isAbove(&links[at]) {
			continue
		}
		var programs []Program
		s.ns.do(func() error { programs = programsOn(above); return nil })
		if len(programs) > 0 {
			return &UpperError{Interface: s.link.name, Upper: above.name, Program: programs[0]}
		}
	}
	return nil
}

// saysUpper reports whether the kernel refuses because of an interface above.
func saysUpper(err error) bool {
	return errors.Is(err, unix.EEXIST) && strings.Contains(err.Error(), "upper device")
}

// isAbove reports whether the kernel has l as directly above lower.
func (l *link) isAbove(lower *link) bool {
	return lower.master == l.index || l.lower == lower.index
}

// parseLower finds what an interface is made on, of IFLA_LINK and IFLA_LINKINFO.
// Of a pair IFLA_LINK is the other end, and of a tunnel what its packets leave by,
// neither of which is below it; a vxlan says it in a way of its own.
func parseLower(on uint32, elsewhere bool, info []byte) (lower int, err error) {
	var kind string
	err = attributes(info, func(attribute uint16, value []byte) error {
		switch attribute {
		case nl.IFLA_INFO_KIND:
			kind = nl.BytesToString(value)
		case nl.IFLA_INFO_DATA:
			if kind != "vxlan" {
				return nil
			}
			return attributes(value, func(attribute uint16, value []byte) error {
				if attribute == nl.IFLA_VXLAN_LINK && len(value) >= 4 {
					on = binary.NativeEndian.Uint32(value)
				}
				return nil
			})
		}
		return nil
	})
	switch {
	case elsewhere: // in another network namespace
		return 0, err
	case slices.Contains([]string{"veth", "netkit", "gretap", "ip6gretap", "erspan", "ip6erspan"}, kind):
		return 0, err
	}
	return int(on), err
}

// LowerFirst is the order in which to attach to interfaces, as their numbers: each
// after those that it is above, else as they are. The kernel takes no other, see
// [UpperError]. Where interfaces can't be asked it is 0, 1, 2 and so on.
func LowerFirst(interfaces []string, namespace string) []int {
	order := make([]int, 0, len(interfaces))
	numbers := map[int][]int{} // by index: one may be given by two names
	var links []link
	err := Within(namespace, func() error {
		c, err := dial()
		if err != nil {
			return err
		}
		defer c.close()
		for number, name := range interfaces {
			if l, err := c.find(name); err == nil {
				numbers[l.index] = append(numbers[l.index], number)
			} else {
				order = append(order, number) // Attach will say
			}
		}
		links, err = c.links()
		return err
	})
	if err != nil {
		order = order[:0]
		for number := range interfaces {
			order = append(order, number)
		}
		return order
	}

	seen := map[int]bool{}
	var visit func(l link)
	visit = func(l link) {
		if seen[l.index] {
			return
		}
		seen[l.index] = true
		for _, lower := range links {
			if l.isAbove(&lower) {
				visit(lower)
			}
		}
		order = append(order, numbers[l.index]...)
	}
	for number := range interfaces {
		for _, l := range links {
			if slices.Contains(numbers[l.index], number) {
				visit(l)
			}
		}
	}
	for number := range interfaces { // one that went meanwhile
		if !slices.Contains(order, number) {
			order = append(order, number)
		}
	}
	return order
}

// CloseAll closes attachments, the last one first, and what an [UpperError] forbids
// once the others are closed: in whichever order they were made, and whatever was
// put above what since. It returns the error of each, or nil. Of those that are an
// UpperError still, because of programs that are not among these, the program is
// there until a later Close can take it off.
func CloseAll[A io.Closer](attachments []A) []error {
	errs := make([]error, len(attachments))
	var open []int
	for i := range attachments {
		open = append(open, len(attachments)-1-i)
	}
	for {
		var blocked []int
		for _, i := range open {
			if errs[i] = attachments[i].Close(); errors.As(errs[i], new(*UpperError)) {
				blocked = append(blocked, i)
			}
		}
		if len(blocked) == 0 || len(blocked) == len(open) {
			return errs
		}
		open = blocked
	}
}
