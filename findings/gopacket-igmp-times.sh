#!/usr/bin/env bash
# gopacket reads an IGMPv3 querier's interval as a tenth of it, and long times as none.
#
# Version: github.com/gopacket/gopacket v1.7.7, layers.IGMP.
# In an IGMPv3 query (RFC 3376) the Max Resp Code counts tenths of a second and the Querier's Query Interval Code whole seconds; from 128 on both
# are 1, three bits of exponent, four of mantissa, for (16 + mantissa) << (exponent + 3). What was expected, and what was seen:
#
#   code   response    seen     interval   seen
#   100    10 s        10 s     100 s      10 s
#   125    12.5 s      12.5 s   125 s      12.5 s     the default interval of RFC 3376
#   0x8a   20.8 s      0 s      208 s      0 s
#   0x9f   49.6 s      0 s      496 s      0 s
#
# Both fields are read as tenths, exponent and mantissa change places, and the shift is one of 8 bits, which leaves nothing.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"
cat >go.mod <<'M'
module times

go 1.26

require github.com/gopacket/gopacket v1.7.7
M
cat >main.go <<'G'
package main

import (
	"fmt"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

func main() {
	for _, code := range []byte{100, 125, 0x8a, 0x9f} {
		query := []byte{0x11, code, 0, 0, 0, 0, 0, 0, 2, code, 0, 0}
		var q layers.IGMP
		if err := q.DecodeFromBytes(query, gopacket.NilDecodeFeedback); err != nil {
			fmt.Println(err)
		}
		fmt.Printf("code %#x: response within %v, a query each %v\n", code, q.MaxResponseTime, q.IntervalTime)
	}
}
G
GOFLAGS=-mod=mod go mod tidy >/dev/null 2>&1
seen=$(GOFLAGS=-mod=mod go run .)
echo "$seen"
[ "$seen" = 'code 0x64: response within 10s, a query each 10s
code 0x7d: response within 12.5s, a query each 12.5s
code 0x8a: response within 0s, a query each 0s
code 0x9f: response within 0s, a query each 0s' ]
