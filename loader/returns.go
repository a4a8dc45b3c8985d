package loader

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A ReturnsError says that packets of an interface come back to it: a filter at tc
// ingress redirects them to an ifb, as is usual to shape what is received, or a rule of
// nftables does, and that gives them back. Generic XDP then runs again on each, and the second time without
// its Ethernet header, or without its tag. A native program sees each once, and so
// does one at tc ingress. Auto takes no generic program there.
type ReturnsError struct {
	Interface string
	Through   string // the ifb
	By        string // who redirects them: tc or nftables
}

func (e *ReturnsError) Error() string {
	return fmt.Sprintf("%s redirects what %s receives to %s, from where it comes back: generic XDP sees it twice, and misreads it the second time", e.By, e.Interface, e.Through)
}

// Returns returns a [ReturnsError] where packets of an interface come back, in a
// namespace as in [Options]. It changes nothing, and needs no capability for the
// caller's own namespace.
func Returns(iface, namespace string) error {
	s, err := approach(iface, namespace)
	if err != nil {
		return err
	}
	defer s.release()
	if returns := s.returns(); returns != nil {
		return returns
	}
	return nil
}

// returns is why generic mode sees packets twice, or nil: also where filters can't be
// listed.
func (s *site) returns() (found *ReturnsError) {
	s.ns.do(func() error {
		rtnl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer rtnl.Close()
		ifbs, err := ifbs(rtnl)
		if err != nil || len(ifbs) == 0 {
			return err
		}
		device := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: s.link.index}}
		filters, err := rtnl.FilterList(device, netlink.HANDLE_MIN_INGRESS)
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			filters = nil // there is no qdisc
		}
		for _, target := range redirects(filters) {
			if through, ok := ifbs[target]; ok {
				found = &ReturnsError{s.link.name, through, "tc"}
				return nil
			}
		}
		for _, target := range forwards(s.link.name) {
			if through, ok := ifbs[target]; ok {
				found = &ReturnsError{s.link.name, through, "nftables"}
				return nil
			}
		}
		return nil
	})
	return found
}

// ifbs are the names of those that there are, by index.
func ifbs(rtnl *netlink.Handle) (map[int]string, error) {
	links, err := rtnl.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, err
	}
	names := map[int]string{}
	for _, l := range links {
		if l.Type() == "ifb" {
			names[l.Attrs().Index] = l.Attrs().Name
		}
	}
	return names, nil
}

// redirects are the indexes of the interfaces to which filters redirect packets. What
// is mirrored an ifb drops.
func redirects(filters []netlink.Filter) (targets []int) {
	for _, f := range filters {
		var actions []netlink.Action
		switch f := f.(type) {
		case *netlink.U32:
			actions = f.Actions
		case *netlink.MatchAll:
			actions = f.Actions
		case *netlink.Flower:
			actions = f.Actions
		case *netlink.FwFilter:
			actions = f.Actions
		}
		for _, action := range actions {
			if to, ok := action.(*netlink.MirredAction); ok && to.MirredAction == netlink.TCA_EGRESS_REDIR {
				targets = append(targets, to.Ifindex)
			}
		}
	}
	return targets
}
