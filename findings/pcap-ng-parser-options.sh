#!/usr/bin/env bash
# npm's parser of pcapng takes the options behind an interface's name for a part of it.
#
# Version: pcap-ng-parser 1.0.0, with Node 20.
# An option's length counts its bytes (draft-ietf-opsawg-pcapng, 3.5). Expected: an interface called eth0, and its time resolution as an option of its own.
# Seen: the length is taken eight times, so that the name goes on over all options behind it, and those are not options any more. Zeros are
# taken out of names, so what is printed looks like a name with a little dirt. Who looks for packets of "eth0" finds none, and who looks for
# if_tsresol reads nanoseconds as microseconds. Any file with if_name and if_tsresol is read so, those of Wireshark too.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund pcap-ng-parser@1.0.0 >/dev/null
cat >read.js <<'J'
const { PassThrough } = require('stream')
const Parser = require('pcap-ng-parser')

const block = (type, body) => {
	const around = n => { const b = Buffer.alloc(4); b.writeUInt32LE(n); return b }
	return Buffer.concat([around(type), around(body.length + 12), body, around(body.length + 12)])
}
const section = Buffer.from('4d3c2b1a01000000ffffffffffffffff', 'hex')
const options = '02000400' + Buffer.from('eth0').toString('hex') + '09000100' + '09000000' + '00000000' // if_name, if_tsresol 10^-9, end
const file = new PassThrough()
const parser = new Parser()
parser.on('interface', i => console.log(JSON.stringify(i)))
file.pipe(parser)
file.end(Buffer.concat([block(0x0A0D0D0A, section), block(1, Buffer.from('0100000000000400' + options, 'hex'))]))
J
seen=$(node read.js)
echo "$seen"
[ "$seen" = '{"linkType":1,"snapLen":262144,"name":"eth0\t\u0001\t("}' ]
