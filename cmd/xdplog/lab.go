package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Names of the veth pair's ends, each in a namespace of its own.
const (
	receiverName = "demo0"
	senderName   = "demo1"
)

// A lab is two network namespaces, joined by a veth pair. It is nowhere but in
// this process: the namespaces have no names, and go with their descriptors,
// however the process ends. The veth pair and what is attached to it go with
// them.
type lab struct {
	receiver, sender *namespace
	addresses        []addresses // IPv4, and IPv6 where the kernel has it
}

// addresses are those of the two ends; both are for documentation (RFC 5737,
// RFC 3849).
type addresses struct{ receiver, sender netip.Addr }

func newLab() (_ *lab, err error) {
	l := new(lab)
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if l.receiver, err = newNamespace(); err != nil {
		return nil, err
	}
	if l.sender, err = newNamespace(); err != nil {
		return nil, err
	}
	veth := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: senderName},
		PeerName:      receiverName,
		PeerNamespace: netlink.NsFd(l.receiver.fd()),
	}
	if err := l.sender.links.LinkAdd(veth); err != nil {
		return nil, fmt.Errorf("make a veth pair: %w", err)
	}
	for _, pair := range []struct {
		addresses
		bits int
	}{
		{addresses{netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.1")}, 30},
		{addresses{netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("2001:db8::1")}, 64},
	} {
		err := l.receiver.address(receiverName, pair.receiver, pair.bits)
		if err == nil {
			err = l.sender.address(senderName, pair.sender, pair.bits)
		}
		if err != nil && pair.receiver.Is6() {
			continue // a kernel without IPv6, or one where it is switched off
		}
		if err != nil {
			return nil, err
		}
		l.addresses = append(l.addresses, pair.addresses)
	}
	if err := l.receiver.up(receiverName); err != nil {
		return nil, err
	}
	return l, l.sender.up(senderName)
}

func (l *lab) close() {
	for _, ns := range []*namespace{l.sender, l.receiver} {
		if ns != nil {
			ns.close()
		}
	}
}

// waitUp waits until both ends carry traffic.
func (l *lab) waitUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for !l.receiver.isUp(receiverName) || !l.sender.isUp(senderName) {
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("the veth pair does not come up: %w", err)
		}
	}
	return nil
}

// A namespace is a network namespace without a name.
type namespace struct {
	file  *os.File // keeps it alive
	links *netlink.Handle
}

func newNamespace() (*namespace, error) {
	ns := new(namespace)
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

func (n *namespace) fd() int { return int(n.file.Fd()) }

// path stands for the namespace as long as it is open, in this process.
func (n *namespace) path() string { return fmt.Sprintf("/proc/self/fd/%d", n.fd()) }

func (n *namespace) close() {
	n.links.Close()
	n.file.Close()
}

// do runs f inside the namespace. Sockets that f makes stay there.
func (n *namespace) do(f func() error) error {
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
func (n *namespace) address(name string, address netip.Addr, bits int) error {
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

func (n *namespace) up(name string) error {
	link, err := n.links.LinkByName(name)
	if err == nil {
		err = n.links.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}

func (n *namespace) isUp(name string) bool {
	link, err := n.links.LinkByName(name)
	return err == nil && link.Attrs().OperState == netlink.OperUp
}
