#!/usr/bin/env bash
# scapy reads pcapng files without their time offset, and says nothing.
#
# Version: Debian 12's python3-scapy 2.5.0+dfsg-2, with the machine's python3.
# An interface's if_tsoffset (draft-ietf-opsawg-pcapng) is a number of seconds to add to each of its time stamps. Expected: that a reader
# adds it, as tcpdump, tshark and dpkt do, or refuses the file. Seen: rdpcap gives 5.25 for a packet of 1700000005.25.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"
apt-get -qq -o APT::Sandbox::User=root download python3-scapy=2.5.0+dfsg-2
dpkg-deb -x python3-scapy_*.deb root
cat >read.py <<'P'
import struct
from scapy.utils import rdpcap

def block(kind, body):
    return struct.pack('<II', kind, len(body) + 12) + body + struct.pack('<I', len(body) + 12)

packet = bytes.fromhex('020000000002020000000001080045000020000100004011b6cac0000201c00002029c400035000c000068656c6c')
options = struct.pack('<HHBxxx', 9, 1, 9) + struct.pack('<HHq', 14, 8, 1700000000) + struct.pack('<HH', 0, 0)
ticks = 5_250_000_000
body = struct.pack('<IIIII', 0, ticks >> 32, ticks & 0xffffffff, len(packet), len(packet)) + packet + bytes(-len(packet) % 4)
with open('offset.pcapng', 'wb') as f:
    f.write(block(0x0A0D0D0A, struct.pack('<IHHq', 0x1A2B3C4D, 1, 0, -1)))
    f.write(block(1, struct.pack('<HHI', 1, 0, 262144) + options))
    f.write(block(6, body))
print(rdpcap('offset.pcapng')[0].time)
P
seen=$(PYTHONPATH=root/usr/lib/python3/dist-packages /usr/bin/python3 read.py)
echo "written 1700000005.25, read $seen"
[ "$seen" = 5.25 ]
