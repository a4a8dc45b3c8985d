package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A Namespace is a network namespace without a name.
type Namespace struct {
	file  *os.File // keeps it alive
	links *netlink.Handle
}

func newNamespace() (*Namespace, error) {
	ns := new(Namespace)
	err := onThread(
		func() error { return unix.Unshare(unix.CLONE_NEWNET) },
		func() (err error) {
			ns.file, err = os.Open(ownNamespace)
			return err
		})
	if errors.Is(err, unix.EPERM) {
		return nil, errors.New("needs root: making a network namespace takes CAP_SYS_ADMIN")
	}
	if err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	ns.links, err = netlink.NewHandleAt(netns.NsHandle(ns.fd()), unix.NETLINK_ROUTE)
	if err != nil {
		ns.file.Close()
		return nil, fmt.Errorf("open netlink in a network namespace: %w", err)
	}
	return ns, nil
}

func (n *Namespace) fd() int { return int(n.file.Fd()) }

// Path stands for the namespace as long as it is open, in this process.
func (n *Namespace) Path() string { return fmt.Sprintf("/proc/self/fd/%d", n.fd()) }

func (n *Namespace) close() {
	n.links.Close()
	n.file.Close()
}

// Do runs f inside the namespace. Sockets that f makes stay there.
func (n *Namespace) Do(f func() error) error {
	return onThread(func() error { return unix.Setns(n.fd(), unix.CLONE_NEWNET) }, f)
}

// ownNamespace is that of the calling thread.
const ownNamespace = "/proc/thread-self/ns/net"

// onThread runs enter, which changes the network namespace of its thread, and
// then f on that thread, and changes back. A thread that can't is not reused.
func onThread(enter, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- func() error {
			before, err := os.Open(ownNamespace)
			if err != nil {
				return err
			}
			defer before.Close()
			if err := enter(); err != nil {
				return err
			}
			defer func() {
				if unix.Setns(int(before.Fd()), unix.CLONE_NEWNET) == nil {
					runtime.UnlockOSThread()
				}
			}()
			return f()
		}()
	}()
	return <-done
}

// address gives an interface an address. IPv6 skips the search for duplicates:
// it takes a second, and there is nobody else.
func (n *Namespace) address(name string, address netip.Addr, bits int) error {
	link, err := n.links.LinkByName(name)
	if err == nil {
		flags := 0
		if address.Is6() {
			flags = unix.IFA_F_NODAD
		}
		err = n.links.AddrAdd(link, &netlink.Addr{
			IPNet: &net.IPNet{IP: address.AsSlice(), Mask: net.CIDRMask(bits, address.BitLen())},
			Flags: flags,
		})
	}
	if err != nil {
		return fmt.Errorf("give %s the address %s: %w", name, address, err)
	}
	return nil
}

func (n *Namespace) up(name string) error {
	link, err := n.links.LinkByName(name)
	if err == nil {
		err = n.links.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}

func (n *Namespace) isUp(name string) bool {
	link, err := n.links.LinkByName(name)
	return err == nil && link.Attrs().OperState == netlink.OperUp
}
