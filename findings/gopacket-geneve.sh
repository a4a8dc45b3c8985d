#!/usr/bin/env bash
# gopacket loses its way behind more than 247 bytes of Geneve options.
#
# Version: github.com/gopacket/gopacket v1.7.7, layers.Geneve.
# Options take up to 252 bytes (RFC 8926, 3.4: six bits, in units of 4), behind a header of 8. The bytes of both are added up in 8 bits. Of an
# Ethernet frame behind options of no content, what was expected and what was seen as the payload's length and first byte, the frame's being 60 and 0xfe:
#
#   options   expected   seen
#   0         60, 0xfe   60, 0xfe
#   244       60, 0xfe   60, 0xfe
#   248       60, 0xfe   316, 0x3e     256 bytes too early: the Geneve header itself
#   252       60, 0xfe   220, 0x00     in the middle of the options: the header was read as one more option
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"
cat >go.mod <<'M'
module geneve

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
	for _, options := range []int{0, 244, 248, 252} {
		packet := []byte{byte(options / 4), 0, 0x65, 0x58, 0x12, 0x34, 0x56, 0}
		packet = append(packet, make([]byte, options)...) // of 4 bytes each: class 0, type 0, no data
		frame := make([]byte, 60)
		frame[0] = 0xfe
		var g layers.Geneve
		if err := g.DecodeFromBytes(append(packet, frame...), gopacket.NilDecodeFeedback); err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Printf("%d bytes of options: payload of %d bytes, the first is %#x\n", g.OptionsLength, len(g.Payload), g.Payload[0])
	}
}
G
GOFLAGS=-mod=mod go mod tidy >/dev/null 2>&1
seen=$(GOFLAGS=-mod=mod go run .)
echo "$seen"
[ "$seen" = '0 bytes of options: payload of 60 bytes, the first is 0xfe
244 bytes of options: payload of 60 bytes, the first is 0xfe
248 bytes of options: payload of 316 bytes, the first is 0x3e
252 bytes of options: payload of 220 bytes, the first is 0x0' ]
