#!/usr/bin/env bash
# A program of 32 bits that deletes a rule or a route as it was listed deletes another one.
#
# Version: github.com/vishvananda/netlink v1.3.1. Preferences of rules, metrics of routes and lifetimes of addresses are unsigned numbers of 32 bits in
# the kernel, and an int here. Expected: what was listed can be given back. Seen on 386: those of 2^31 and more are negative, and what is
# negative is left out of a request. RuleDel of the rule with preference 4000000000 takes the one with 100 that is otherwise alike, so does
# RouteDel with metrics, and AddrReplace of a deprecated address (preferred for 0 s, valid for ever) makes it preferred again. On amd64 each is right.
#
# It needs root, iproute2, and a kernel for amd64 that runs programs for 386; all is done in network namespaces that end with it.
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
	"os/exec"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func ip(args string) string {
	said, err := exec.Command("ip", strings.Fields(args)...).Output()
	must(err)
	return strings.Join(strings.Fields(string(said)), " ")
}

func main() {
	runtime.LockOSThread()
	_, err := netns.New() // and this thread is in it, and what it runs
	must(err)
	ip("link add d0 type veth peer name d1")
	ip("link set d1 up")
	ip("link set d0 up")
	d0, err := netlink.LinkByName("d0")
	must(err)

	ip("rule add pref 100 table 7")
	ip("rule add pref 4000000000 table 7")
	rules, err := netlink.RuleListFiltered(netlink.FAMILY_V4, &netlink.Rule{Table: 7}, netlink.RT_FILTER_TABLE)
	must(err)
	must(netlink.RuleDel(&rules[1]))
	fmt.Println("of the rules", rules[0].Priority, rules[1].Priority, "without the second:", ip("rule list table 7"))

	ip("-6 route add 2001:db8:1::/48 dev d0 metric 100")
	ip("-6 route add 2001:db8:1::/48 dev d0 metric 4000000000")
	all, err := netlink.RouteList(d0, netlink.FAMILY_V6)
	must(err)
	var routes []netlink.Route
	for _, r := range all {
		if strings.HasPrefix(r.Dst.String(), "2001:db8:1:") {
			routes = append(routes, r)
		}
	}
	must(netlink.RouteDel(&routes[1]))
	fmt.Println("of the routes", routes[0].Priority, routes[1].Priority, "without the second:", ip("-6 route list 2001:db8:1::/48"))

	ip("-6 addr add 2001:db8::1/64 dev d0 preferred_lft 0 nodad")
	addresses, err := netlink.AddrList(d0, netlink.FAMILY_V6)
	must(err)
	for _, a := range addresses {
		if a.IP.IsGlobalUnicast() {
			must(netlink.AddrReplace(d0, &a))
			fmt.Println("the address", a.PreferedLft, a.ValidLft, "put back is deprecated:", strings.Contains(ip("-6 addr list dev d0 scope global"), "deprecated"))
		}
	}
}
G
go mod tidy >/dev/null 2>&1
for arch in amd64 386; do
	echo "$arch:"
	CGO_ENABLED=0 GOARCH=$arch go run .
done | tee seen
diff - seen <<'S'
amd64:
of the rules 100 4000000000 without the second: 100: from all lookup 7
of the routes 100 4000000000 without the second: 2001:db8:1::/48 dev d0 metric 100 pref medium
the address 0 4294967295 put back is deprecated: true
386:
of the rules 100 -294967296 without the second: 4000000000: from all lookup 7
of the routes 100 -294967296 without the second: 2001:db8:1::/48 dev d0 metric 4000000000 pref medium
the address 0 -1 put back is deprecated: false
S
