package main

import (
	"fmt"
	"os/exec"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A NIC with several queues is had at a tap alone. Its wire is a bridge in a network
// namespace of QEMU's own, which ends with it.
const (
	manyTap   = "tap0" // with so many queues
	manyCount = 4
	oneTap    = "tap1"
)

// mayTap reports whether there may be one: it takes rights that the runner may lack.
func mayTap() bool { return amidTaps(func() error { return nil }) == nil }

// amidTaps runs start in a network namespace that has the taps.
func amidTaps(start func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := makeTaps()
		if err == nil {
			err = start()
		}
		done <- err
	}()
	return <-done
}

func makeTaps() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make a network namespace: %w", err)
	}
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "wire"}}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("make a bridge: %w", err)
	}
	for _, tap := range []*netlink.Tuntap{
		{LinkAttrs: netlink.LinkAttrs{Name: manyTap}, Mode: netlink.TUNTAP_MODE_TAP, Queues: manyCount, Flags: netlink.TUNTAP_MULTI_QUEUE_DEFAULTS},
		{LinkAttrs: netlink.LinkAttrs{Name: oneTap}, Mode: netlink.TUNTAP_MODE_TAP},
	} {
		if err := netlink.LinkAdd(tap); err != nil {
			return fmt.Errorf("make a tap: %w", err)
		}
		for _, queue := range tap.Fds {
			queue.Close() // QEMU opens its own
		}
		if err := netlink.LinkSetMaster(tap, bridge); err != nil {
			return fmt.Errorf("put a tap on the bridge: %w", err)
		}
		if err := netlink.LinkSetUp(tap); err != nil {
			return err
		}
	}
	return netlink.LinkSetUp(bridge)
}

// startAmidTaps starts QEMU where its taps are.
func startAmidTaps(cmd *exec.Cmd) error { return amidTaps(cmd.Start) }
