#!/usr/bin/env bash
# npm's pcap finds ports where there are none: behind an authentication header, and in later fragments.
#
# Version: pcap 3.1.0, its decoder alone, with the machine's node.
# An authentication header counts its length in units of 4 bytes, less 2 (RFC 4302, 2.2), unlike the other headers of IPv6, and only a datagram's
# first fragment has the header of UDP (RFC 791, 3.2). What was expected, and what was seen, of datagrams from port 40000 to 53:
#
#   UDP behind destination options                  40000, 53     40000, 53
#   UDP behind AH with 12 bytes of check value      40000, 53     26986, 27500     8 for each 4 of its length: 16 bytes too late, "ijkl"
#   the second fragment, at byte 1480               no ports      24930, 25444     its data, "abcd"
#
# And of IPv6 there is no event "udp", as there is of IPv4: the emitter isn't handed on.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts pcap@3.1.0 >/dev/null
cat >read.js <<'J'
const { EventEmitter } = require('events')
const IPv4 = require('pcap/decode/ipv4'), IPv6 = require('pcap/decode/ipv6')

const hex = s => Buffer.from(s.replace(/ /g, ''), 'hex')
const text = Buffer.from('abcdefghijklmnopqrstuvwxyz')
const udp = Buffer.concat([hex('9c40 0035 0022 0000'), text])
const ipv6 = (next, body) => {
	const h = hex('60000000 0000 0040 20010db8000000000000000000000001 20010db8000000000000000000000002')
	h.writeUInt16BE(body.length, 4)
	h[6] = next
	return Buffer.concat([h, body])
}
const ipv4 = (flags, body) => Buffer.concat([hex('4500 0000 0001' + flags + '4011 0000 c0000201 c0000202'), body])
const show = (name, Type, packet) => {
	const events = new EventEmitter()
	let n = 0
	events.on('udp', () => n++)
	if (Type === IPv4) packet.writeUInt16BE(packet.length, 2)
	let layer = new Type(events).decode(packet, 0)
	while (layer && layer.sport === undefined) layer = layer.payload
	console.log(`${name}: ${layer ? `${layer.sport}, ${layer.dport}` : 'no ports'}, events ${n}`)
}
show('whole', IPv4, ipv4('0000', udp))
show('second fragment', IPv4, ipv4('00b9', text))
show('options', IPv6, ipv6(60, Buffer.concat([hex('11 00 01 04 00000000'), udp])))
show('AH', IPv6, ipv6(51, Buffer.concat([hex('11 04 0000 00000001 00000001' + '00'.repeat(12)), udp])))
J
node read.js | tee seen
diff - seen <<'S'
whole: 40000, 53, events 1
second fragment: 24930, 25444, events 1
options: 40000, 53, events 0
AH: 26986, 27500, events 0
S
