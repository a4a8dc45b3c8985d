#!/usr/bin/env bash
# scapy reads the second section of a pcapng file with the interfaces of the first.
#
# Version: Debian 12's python3-scapy 2.5.0+dfsg-2, with the machine's python3.
# A file may have several sections, so that files can be put together by cat, and an interface's number counts from 0 in each of them
# (draft-ietf-opsawg-pcapng, 4.1 and 4.2). Expected, of a file in microseconds and one in nanoseconds behind it: 1700000000.25 and 1700000000.75, as
# tcpdump and tshark say. Seen: the second packet is taken in microseconds, and is of the year 55840; its file alone is read well.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"
apt-get -qq -o APT::Sandbox::User=root download python3-scapy=2.5.0+dfsg-2
dpkg-deb -x python3-scapy_*.deb root
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
first = section + interface(6) + at(0, 1700000000_250000)
second = section + interface(9) + at(0, 1700000000_750000000)

from scapy.utils import rdpcap
for name, content in [("first", first), ("second", second), ("both", first + second)]:
    with open(name, "wb") as f:
        f.write(content)
    print(name, *[packet.time for packet in rdpcap(name)])
P
PYTHONPATH=root/usr/lib/python3/dist-packages python3 read.py 2>/dev/null | tee seen
diff - seen <<'S'
first 1700000000.25
second 1700000000.75
both 1700000000.25 1700000000750
S
