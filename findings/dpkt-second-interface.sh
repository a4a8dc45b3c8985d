#!/usr/bin/env bash
# dpkt reads the times of all of a pcapng file's interfaces as the first one's.
#
# Version: Debian 12's python3-dpkt 1.9.8-1, with the machine's python3.
# A resolution of times is an interface's own (if_tsresol, draft-ietf-opsawg-pcapng, 4.2). Of two packets half a second apart, the second on an
# interface in nanoseconds and the first on one in microseconds, expected: 1700000000.25 and 1700000000.75, as tcpdump and tshark say. Seen: the
# second is a thousand times as late, in the year 55840. mergecap makes such a file of pcap files of both kinds.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"
apt-get -qq -o APT::Sandbox::User=root download python3-dpkt=1.9.8-1
dpkg-deb -x python3-dpkt_*.deb root
cat >read.py <<'P'
import struct

def block(kind, body):
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)

def interface(resolution):
    return block(1, struct.pack("<HHI", 1, 0, 0) + struct.pack("<HHBxxx", 9, 1, resolution) + struct.pack("<HH", 0, 0))

def at(interface, ticks):
    return block(6, struct.pack("<IIIII", interface, ticks >> 32, ticks & 0xffffffff, len(packet), len(packet)) + packet + bytes(-len(packet) % 4))

packet = bytes.fromhex("020000000002020000000001080045000020000100004011b6cac0000201c00002029c400035000c000068656c6c")
section = block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 1, 0, -1))
with open("interfaces.pcapng", "wb") as f:
    f.write(section + interface(6) + interface(9) + at(0, 1700000000_250000) + at(1, 1700000000_750000000))

import dpkt
with open("interfaces.pcapng", "rb") as f:
    for time, data in dpkt.pcapng.Reader(f):
        print(f"{time:.2f}", data == packet)
P
PYTHONPATH=root/usr/lib/python3/dist-packages python3 read.py | tee seen
diff - seen <<'S'
1700000000.25 True
1700000000750.00 True
S
