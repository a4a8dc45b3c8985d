#!/usr/bin/env bash
# gopacket's pcapgo reads the numbers of packets' options as little-endian, whatever byte order the file has.
#
# Version: github.com/gopacket/gopacket v1.7.7 (pcapgo). In pcapng a section's byte-order magic says how all its numbers are written (section 4.1 of
# draft-ietf-opsawg-pcapng), those of options, too: Wireshark writes its machine's order, so files made on s390x are big-endian. Expected:
# the same packet, received from outside, on queue 3, after one that was lost, from either file, as tshark says it. Seen: times, lengths and
# interfaces are right in both; of the big-endian file the direction is unknown, and the queue and the lost packets are huge numbers.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"
cat >go.mod <<'M'
module order

go 1.24

require github.com/gopacket/gopacket v1.7.7
M
cat >main.go <<'G'
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"

	"github.com/gopacket/gopacket/pcapgo"
)

func file(order binary.AppendByteOrder) []byte {
	block := func(kind uint32, body []byte) []byte {
		n := uint32(len(body) + 12)
		b := order.AppendUint32(order.AppendUint32(nil, kind), n)
		return order.AppendUint32(append(b, body...), n)
	}
	option := func(b []byte, code, length uint16) []byte { return order.AppendUint16(order.AppendUint16(b, code), length) }

	section := order.AppendUint32(nil, 0x1a2b3c4d)
	section = order.AppendUint16(order.AppendUint16(section, 1), 0)
	section = order.AppendUint64(section, 1<<64-1)

	card := order.AppendUint16(order.AppendUint16(nil, 1), 0) // Ethernet
	card = order.AppendUint32(card, 1024)

	const micros = 1700000000 * 1000000
	packet := order.AppendUint32(nil, 0)
	packet = order.AppendUint32(order.AppendUint32(packet, micros>>32), micros&(1<<32-1))
	packet = order.AppendUint32(order.AppendUint32(packet, 16), 16)
	packet = append(packet, make([]byte, 16)...)
	packet = order.AppendUint32(option(packet, 2, 4), 1) // epb_flags: inbound
	packet = order.AppendUint64(option(packet, 4, 8), 1) // epb_dropcount
	packet = order.AppendUint32(option(packet, 6, 4), 3) // epb_queue
	packet = option(packet, 0, 0)

	return append(append(block(0x0A0D0D0A, section), block(1, card)...), block(6, packet)...)
}

func main() {
	for _, f := range []struct {
		name  string
		order binary.AppendByteOrder
	}{{"little", binary.LittleEndian}, {"big", binary.BigEndian}} {
		bytesOf := file(f.order)
		if err := os.WriteFile(f.name+".pcapng", bytesOf, 0o600); err != nil {
			panic(err)
		}
		r, err := pcapgo.NewNgReader(bytes.NewReader(bytesOf), pcapgo.NgReaderOptions{})
		if err != nil {
			panic(err)
		}
		_, info, options, err := r.ReadPacketDataWithOptions()
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s: time %d, length %d, direction %d, lost %d, queue %d\n", f.name, info.Timestamp.Unix(), info.Length, options.Flags.Direction, *options.DropCount, *options.Queue)
	}
}
G
export GOFLAGS=-mod=mod
go mod tidy >/dev/null 2>&1
go run . | tee seen
if command -v tshark >/dev/null; then
	for f in little big; do
		tshark -n -r $f.pcapng -T fields -e frame.drop_count -e frame.packet_flags_direction -e frame.interface_queue 2>/dev/null
	done
fi
diff - seen <<'S'
little: time 1700000000, length 16, direction 1, lost 1, queue 3
big: time 1700000000, length 16, direction 0, lost 72057594037927936, queue 50331648
S
