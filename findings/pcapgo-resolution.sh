#!/usr/bin/env bash
# gopacket's pcapgo misreads pcapng times of resolutions that are powers of two, and of whole seconds.
#
# Version: github.com/gopacket/gopacket v1.7.7 (pcapgo). A unit of time in pcapng is 10^-n or 2^-n seconds (if_tsresol); without the option it is
# a microsecond. Expected: the file's time to the nanosecond, as tcpdump and tshark say it. Seen, of a packet half a second past a whole one:
#
#   10^-9      1700000000.5    1700000000.500000000
#   2^-10      1700000000.5    1700000000.499999744
#   2^-32      1700000000.5    1700000000.536870912
#   10^0       1700000000      1700.000000000, as if the option were not there
#
# Ticks and nanoseconds are divided by each other as whole numbers before they are multiplied.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"
cat >go.mod <<'M'
module times

go 1.24

require github.com/gopacket/gopacket v1.7.7
M
cat >main.go <<'G'
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/gopacket/gopacket/pcapgo"
)

var order = binary.LittleEndian

func block(kind uint32, body []byte) []byte {
	n := uint32(len(body) + 12)
	b := order.AppendUint32(order.AppendUint32(nil, kind), n)
	return order.AppendUint32(append(b, body...), n)
}

func file(resolution byte, ticks uint64) []byte {
	section := []byte{0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255}
	iface := []byte{1, 0, 0, 0, 0, 0, 4, 0, 9, 0, 1, 0, resolution, 0, 0, 0, 0, 0, 0, 0}
	packet := make([]byte, 8, 64)
	order.PutUint32(packet[4:], uint32(ticks>>32))
	packet = order.AppendUint32(packet, uint32(ticks))
	packet = order.AppendUint32(order.AppendUint32(packet, 16), 16)
	packet = append(packet, make([]byte, 16)...)
	return append(append(block(0x0A0D0D0A, section), block(1, iface)...), block(6, packet)...)
}

func main() {
	const second = 1700000000
	for _, f := range []struct {
		name       string
		resolution byte
		ticks      uint64
	}{
		{"10^-9", 9, second*1e9 + 5e8}, {"2^-10", 0x80 | 10, second<<10 + 1<<9},
		{"2^-32", 0x80 | 32, second<<32 + 1<<31}, {"10^0", 0, second},
	} {
		r, err := pcapgo.NewNgReader(bytes.NewReader(file(f.resolution, f.ticks)), pcapgo.NgReaderOptions{})
		if err != nil {
			fmt.Println(f.name, err)
			continue
		}
		_, info, err := r.ReadPacketData()
		fmt.Printf("%s %d.%09d %v\n", f.name, info.Timestamp.Unix(), info.Timestamp.Nanosecond(), err)
	}
}
G
GOFLAGS=-mod=mod go mod tidy >/dev/null 2>&1
seen=$(GOFLAGS=-mod=mod go run .)
echo "$seen"
[ "$seen" = '10^-9 1700000000.500000000 <nil>
2^-10 1700000000.499999744 <nil>
2^-32 1700000000.536870912 <nil>
10^0 1700.000000000 <nil>' ]
