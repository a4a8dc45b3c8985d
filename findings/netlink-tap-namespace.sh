#!/usr/bin/env bash
# A handle of a network namespace makes a tap in another one: that of the calling thread.
#
# Version: github.com/vishvananda/netlink v1.3.1. NewHandleAt gives a handle whose calls work in the namespace given, from whichever
# thread. Expected: LinkAdd of a Tuntap by it makes the tap there, as it makes a bridge there. Seen: the bridge is there, and the tap is
# in the caller's namespace: it is made by opening /dev/net/tun, which knows of no handle. A second one of that name then fails with EBUSY.
#
# It needs root and /dev/net/tun; all is done in two network namespaces that end with it.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"
cat >go.mod <<'M'
module elsewhere

go 1.24

require (
	github.com/vishvananda/netlink v1.3.1
	github.com/vishvananda/netns v0.0.5
)
M
cat >main.go <<'G'
package main

import (
	"fmt"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

func main() {
	runtime.LockOSThread()
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	there, err := netns.New() // and this thread is in it
	must(err)
	_, err = netns.New() // and now in another one
	must(err)
	handle, err := netlink.NewHandleAt(there)
	must(err)
	must(handle.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "bridge0"}}))
	must(handle.LinkAdd(&netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tap0"}, Mode: netlink.TUNTAP_MODE_TAP}))
	for _, name := range []string{"bridge0", "tap0"} {
		_, inHandles := handle.LinkByName(name)
		_, inCallers := netlink.LinkByName(name)
		fmt.Printf("%s: in the handle's namespace %t, in the caller's %t\n", name, inHandles == nil, inCallers == nil)
	}
}
G
go mod tidy >/dev/null 2>&1
CGO_ENABLED=0 go run . | tee seen
diff - seen <<'S'
bridge0: in the handle's namespace true, in the caller's false
tap0: in the handle's namespace false, in the caller's true
S
