#!/usr/bin/env bash
# gopacket reads version 3 of VRRP as version 2: other addresses, a hundred times the interval, and no error.
#
# Version: github.com/gopacket/gopacket v1.7.7, which decodes IP protocol 112 as layers.VRRPv2.
# Version 3 (RFC 5798), of keepalived and of all routers with IPv6, has 12 bits of centiseconds where version 2 has authentication and seconds, and
# addresses of 16 bytes in IPv6. Expected: an error, as the type is for version 2, or the right values. Seen, of an advertisement each second, from
# fe80::1 for fe80::5 and 2001:db8::9: Version 3, an interval of 100 (seconds, says the field's documentation), and as addresses the first 8 bytes
# of fe80::5, 254.128.0.0 and 0.0.0.0.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"
cat >go.mod <<'M'
module advertisement

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
	header, _ := hex.DecodeString("60000000" + "0028" + "70ff" + "fe800000000000000000000000000001" + "ff020000000000000000000000000012")
	body, _ := hex.DecodeString("31" + "05" + "64" + "02" + "0064" + "0000" + "fe800000000000000000000000000005" + "20010db8000000000000000000000009")
	packet := gopacket.NewPacket(append(header, body...), layers.LayerTypeIPv6, gopacket.Default)
	if failed := packet.ErrorLayer(); failed != nil {
		fmt.Println(failed.Error())
		return
	}
	v := packet.Layer(layers.LayerTypeVRRP).(*layers.VRRPv2)
	fmt.Println("version", v.Version, "interval", v.AdverInt, "addresses", v.IPAddress)
}
G
GOFLAGS=-mod=mod go mod tidy >/dev/null 2>&1
seen=$(GOFLAGS=-mod=mod go run .)
echo "$seen"
[ "$seen" = 'version 3 interval 100 addresses [254.128.0.0 0.0.0.0]' ]
