#!/usr/bin/env bash
# gopacket finds no UDP in a whole IPv6 packet that has a fragment header.
#
# Version: github.com/gopacket/gopacket v1.7.7, layers.IPv6Fragment.
# A fragment header with offset 0 and no more to come ("atomic fragment") is on a whole packet, to be processed by itself (RFC 6946, 4; RFC 8200,
# 4.5); translators from IPv4 made such. Expected: UDP with its ports behind it, as tcpdump 4.99.3, tshark 4.0.17 and scapy 2.5.0 say,
# and as behind other extension headers. Seen: a layer "Fragment" of the bytes, and no error, as of a packet of which the rest is missing.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"
cat >go.mod <<'M'
module fragment

go 1.26

require github.com/gopacket/gopacket v1.7.7
M
cat >main.go <<'G'
package main

import (
	"encoding/hex"
	"fmt"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

func main() {
	const addresses = "20010db8000000000000000000000001" + "20010db8000000000000000000000002"
	const udp = "9c409c41000c0000" + "68656c6c"
	for _, c := range []struct{ name, packet string }{
		{"options", "6000000000143c40" + addresses + "1100010400000000" + udp},
		{"atomic fragment", "6000000000142c40" + addresses + "1100000000000001" + udp},
	} {
		b, err := hex.DecodeString(c.packet)
		if err != nil {
			panic(err)
		}
		p := gopacket.NewPacket(b, layers.LayerTypeIPv6, gopacket.Default)
		fmt.Print(c.name, ":")
		for _, l := range p.Layers() {
			fmt.Print(" ", l.LayerType())
		}
		fmt.Println(", error", p.ErrorLayer() != nil)
	}
}
G
go mod tidy >/dev/null 2>&1
CGO_ENABLED=0 go run . | tee seen
diff - seen <<'S'
options: IPv6 IPv6Destination UDP Payload, error false
atomic fragment: IPv6 IPv6Fragment Fragment, error false
S
