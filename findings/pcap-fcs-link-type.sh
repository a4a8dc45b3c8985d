#!/usr/bin/env bash
# Two Python libraries don't know Ethernet in a pcap file that says how long its frames' check sequences are.
#
# Versions: Debian 12's python3-scapy 2.5.0+dfsg-2 and python3-dpkt 1.9.8-1, with the machine's python3.
# The last word of a pcap file's header has the link type in its lower 16 bits alone; above it are a bit F and 4 bits for the length of the frames' check
# sequence, in units of 16 bits (draft-ietf-opsawg-pcap, 4). Expected of 0x24000001: Ethernet with 4 bytes of it, as tcpdump and tshark say, or a refusal.
# Seen: scapy takes it for link type 603979777, which it doesn't know, warns and gives all as Raw; dpkt hands that number out as the data link.
# With no length said, the same frames are Ethernet to both.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"
apt-get -qq -o APT::Sandbox::User=root download python3-scapy=2.5.0+dfsg-2 python3-dpkt=1.9.8-1
for deb in *.deb; do dpkg-deb -x "$deb" root; done
cat >read.py <<'P'
import struct, zlib
import dpkt
import scapy.layers.l2
from scapy.utils import rdpcap

frame = bytes.fromhex("020000000002020000000001080045000020000100004011b6cac0000201c00002029c400035000c000068656c6c") + bytes(14)
frame += struct.pack("<I", zlib.crc32(frame))
for link in 1, 0x24000001:
    with open("frames.pcap", "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, link) + struct.pack("<IIII", 1700000000, 0, len(frame), len(frame)) + frame)
    with open("frames.pcap", "rb") as f:
        print(hex(link), rdpcap("frames.pcap")[0].name, dpkt.pcap.Reader(f).datalink())
P
PYTHONPATH=root/usr/lib/python3/dist-packages python3 read.py 2>/dev/null | tee seen
diff - seen <<'S'
0x1 Ethernet 1
0x24000001 Raw 603979777
S
