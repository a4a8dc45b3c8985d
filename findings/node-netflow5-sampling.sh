#!/usr/bin/env bash
# npm's collector reads NetFlow 5's sampling of one packet in 100 as of one in 16484.
#
# Version: node-netflowv9 0.2.16, its decoder of version 5, with the machine's node.
# The last two bytes of version 5's header are two bits of mode (1 is every n-th packet, 2 is at random) and 14 of interval, says Cisco's table
# of the format. Expected: sampling_interval 100, of 0x4064, and the mode beside it or left out. Seen: 16484. Who multiplies by it, as one does, counts
# 165 times too much, with nothing in the field to tell it by; an exporter that leaves the mode at 0 is read well.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts node-netflowv9@0.2.16 >/dev/null
cat >read.js <<'J'
const decode = require('node-netflowv9/js/nf5/nf5decode')
for (const sampling of [0x0064, 0x4064, 0x8064]) {
	const m = Buffer.alloc(24 + 48)
	m.writeUInt16BE(5, 0)
	m.writeUInt16BE(1, 2)
	m.writeUInt32BE(1700000000, 8)
	m.writeUInt16BE(sampling, 22)
	m.writeUInt32BE(7, 24 + 16)
	const { header, flows } = decode(m, {})
	console.log(sampling.toString(16), header.sampling_interval, flows[0].in_pkts)
}
J
node read.js | tee seen
diff - seen <<'S'
64 100 7
4064 16484 7
8064 32868 7
S
