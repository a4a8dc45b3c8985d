#!/usr/bin/env bash
# A compiler of pcap filters in pure Go takes common words and makes other programs of them.
#
# Version: github.com/packetcap/go-pcap v0.0.0-20240528124601-8c87ecf5dbc5, run in golang.org/x/net/bpf v0.25.0, on one UDP packet from
# 192.0.2.1:40000 to 192.0.2.2:53. Expected: the verdicts of tcpdump, in the second column. Seen, without any error, but for "ip":
#
#   udp port 53                 match    match
#   icmp                        none     match
#   portrange 60-70             none     match
#   not (udp and port 53)       none     match
#   ip                          match    the program jumps past its end, and the machine refuses it
#
# So a tool that filters by it captures too much, quietly; a library to compare a filter compiler with it is not.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"
cat >go.mod <<'M'
module verdicts

go 1.24

require (
	github.com/packetcap/go-pcap v0.0.0-20240528124601-8c87ecf5dbc5
	golang.org/x/net v0.25.0
)
M
cat >main.go <<'G'
package main

import (
	"encoding/hex"
	"fmt"

	"github.com/packetcap/go-pcap/filter"
	"golang.org/x/net/bpf"
)

func main() {
	packet, _ := hex.DecodeString("020000000002020000000001080045000020000100004011b6cac0000201c00002029c400035000c000068656c6c")
	for _, text := range []string{"udp port 53", "icmp", "portrange 60-70", "not (udp and port 53)", "ip"} {
		fmt.Printf("%s: %s\n", text, verdict(text, packet))
	}
}

func verdict(text string, packet []byte) string {
	program, err := filter.NewExpression(text).Compile().Compile()
	if err != nil {
		return "error"
	}
	machine, err := bpf.NewVM(program)
	if err != nil {
		return "refused by the machine"
	}
	if n, err := machine.Run(packet); err != nil || n == 0 {
		return "none"
	}
	return "match"
}
G
GOFLAGS=-mod=mod go mod tidy >/dev/null 2>&1
seen=$(GOFLAGS=-mod=mod go run .)
echo "$seen"
[ "$seen" = 'udp port 53: match
icmp: match
portrange 60-70: match
not (udp and port 53): match
ip: refused by the machine' ]
