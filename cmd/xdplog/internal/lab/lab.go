// Package lab is two network namespaces, joined by a veth pair: a place to show
// and to try things without touching what this machine is for.
//
// It is nowhere but in this process: the namespaces have no names, and go with
// their descriptors however the process ends. The veth pair and what is attached
// to it go with them.
//
// It imports nothing of xdplog's.
package lab

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
)

// Names of the veth pair's ends, each in a namespace of its own.
const (
	ReceiverName = "demo0"
	SenderName   = "demo1"
)

// A Lab is such a place, until it is closed.
type Lab struct {
	Receiver, Sender *Namespace
	Addresses        []Addresses // IPv4, and IPv6 where the kernel has it
}

// Addresses are those of the two ends; both are for documentation (RFC 5737,
// RFC 3849).
type Addresses struct{ Receiver, Sender netip.Addr }

// New makes a lab. It needs root.
func New() (_ *Lab, err error) {
	l := new(Lab)
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	if l.Receiver, err = newNamespace(); err != nil {
		return nil, err
	}
	if l.Sender, err = newNamespace(); err != nil {
		return nil, err
	}
	veth := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: SenderName},
		PeerName:      ReceiverName,
		PeerNamespace: netlink.NsFd(l.Receiver.fd()),
	}
	if err := l.Sender.links.LinkAdd(veth); err != nil {
		return nil, fmt.Errorf("make a veth pair: %w", err)
	}
	for _, pair := range []struct {
		Addresses
		bits int
	}{
		{Addresses{netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.1")}, 30},
		{Addresses{netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("2001:db8::1")}, 64},
	} {
		err := l.Receiver.address(ReceiverName, pair.Receiver, pair.bits)
		if err == nil {
			err = l.Sender.address(SenderName, pair.Sender, pair.bits)
		}
		if err != nil && pair.Receiver.Is6() {
			continue // a kernel without IPv6, or one where it is switched off
		}
		if err != nil {
			return nil, err
		}
		l.Addresses = append(l.Addresses, pair.Addresses)
	}
	if err := l.Receiver.up(ReceiverName); err != nil {
		return nil, err
	}
	return l, l.Sender.up(SenderName)
}

// Close takes the lab down.
func (l *Lab) Close() {
	for _, ns := range []*Namespace{l.Sender, l.Receiver} {
		if ns != nil {
			ns.close()
		}
	}
}

// WaitUp waits until both ends carry traffic.
func (l *Lab) WaitUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for !l.Receiver.isUp(ReceiverName) || !l.Sender.isUp(SenderName) {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the veth pair does not come up: %w", ctx.Err())
		}
	}
	return nil
}
