#!/usr/bin/env bash
# goflow2 numbers an enterprise's element one way in flows and another in options.
#
# Version: github.com/netsampler/goflow2/v2 v2.2.6, its decoder of IPFIX.
# The highest bit of an element's number in a template says that an enterprise follows; it is not part of the number (RFC 7011, 3.2), in templates
# and options templates alike. Expected: that element 5 of enterprise 32473 is 5 in both. Seen: 5 in a flow's data, 32773 in an option's, where
# the bit stays. Who looks for an exporter's own counters in options, by the numbers of its documents, finds none, and no error is returned.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"
cat >go.mod <<'M'
module options

go 1.24

require github.com/netsampler/goflow2/v2 v2.2.6
M
cat >main.go <<'G'
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/netsampler/goflow2/v2/decoders/netflow"
)

func be(v ...any) (b []byte) {
	for _, x := range v {
		b, _ = binary.Append(b, binary.BigEndian, x)
	}
	return b
}

func set(id uint16, body []byte) []byte { return append(be(id, uint16(4+len(body))), body...) }

func main() {
	const pen = 32473 // for examples, RFC 5612
	field := be(uint16(0x8000|5), uint16(4), uint32(pen))
	var b []byte
	b = append(b, set(2, append(be(uint16(256), uint16(2), uint16(8), uint16(4)), field...))...)
	b = append(b, set(3, append(be(uint16(257), uint16(2), uint16(1), uint16(149), uint16(4)), field...))...)
	b = append(b, set(256, be(uint32(0xc0000201), uint32(77)))...)
	b = append(b, set(257, be(uint32(1), uint32(77)))...)
	b = append(be(uint16(10), uint16(16+len(b)), uint32(1700000000), uint32(0), uint32(1)), b...)
	var v9 netflow.NFv9Packet
	var p netflow.IPFIXPacket
	if err := netflow.DecodeMessageVersion(bytes.NewBuffer(b), netflow.CreateTemplateSystem(), &v9, &p); err != nil {
		fmt.Println(err)
	}
	for _, s := range p.FlowSets {
		switch s := s.(type) {
		case netflow.DataFlowSet:
			show("a flow's", s.Records[0].Values)
		case netflow.OptionsDataFlowSet:
			show("an option's", s.Records[0].OptionsValues)
		}
	}
}

func show(name string, values []netflow.DataField) {
	for _, v := range values {
		if v.PenProvided {
			fmt.Printf("%s element: %d of enterprise %d = %x\n", name, v.Type, v.Pen, v.Value)
		}
	}
}
G
GOFLAGS=-mod=mod go mod tidy >/dev/null 2>&1
seen=$(GOFLAGS=-mod=mod go run .)
echo "$seen"
[ "$seen" = "a flow's element: 5 of enterprise 32473 = 0000004d
an option's element: 32773 of enterprise 32473 = 0000004d" ]
