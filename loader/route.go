package loader

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// DefaultInterface returns the name of the interface of the default route,
// IPv4's or else IPv6's, in a namespace as in [Options]. Without one, the error
// wraps [ErrNoDefaultRoute].
func DefaultInterface(namespace string) (string, error) {
	var name string
	err := Within(namespace, func() (err error) {
		name, err = defaultInterface()
		return err
	})
	return name, err
}

func defaultInterface() (string, error) {
	routes, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return "", fmt.Errorf("open a netlink socket: %w", err)
	}
	defer routes.Close()
	c, err := dial()
	if err != nil {
		return "", err
	}
	defer c.close()

	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		list, err := routes.RouteList(nil, family)
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return "", fmt.Errorf("list the routes: %w", err)
		}
		if index := defaultIndex(list); index != 0 {
			l, err := c.link(index)
			if err != nil {
				return "", fmt.Errorf("look for the default route's interface: %w", err)
			}
			return l.name, nil
		}
	}
	return "", fmt.Errorf("%w (%s)", ErrNoDefaultRoute, have(c.names()))
}

// defaultIndex is the interface of the default route with the lowest metric,
// or 0; of several next hops the first.
func defaultIndex(routes []netlink.Route) int {
	index, metric := 0, 0
	for _, route := range routes {
		via := route.LinkIndex
		if via == 0 && len(route.MultiPath) > 0 {
			via = route.MultiPath[0].LinkIndex
		}
		if !isDefault(route) || route.Type != unix.RTN_UNICAST || via == 0 {
			continue
		}
		if index == 0 || route.Priority < metric {
			index, metric = via, route.Priority
		}
	}
	return index
}

func isDefault(route netlink.Route) bool {
	if route.Dst == nil {
		return true
	}
	ones, _ := route.Dst.Mask.Size()
	return ones == 0 && route.Dst.IP.IsUnspecified()
}

// UpInterfaces returns the names of the interfaces that are up and whose packets a
// program can read, in the order of their index, in a namespace as in [Options].
func UpInterfaces(namespace string) (names []string, err error) {
	err = Within(namespace, func() error {
		c, err := dial()
		if err != nil {
			return err
		}
		defer c.close()
		links, err := c.links()
		if err != nil {
			return fmt.Errorf("list the interfaces: %w", err)
		}
		for _, l := range links {
			if l.up && l.ethernet() {
				names = append(names, l.name)
			}
		}
		return nil
	})
	return names, err
}
