#!/usr/bin/env bash
# Copying a pcapng file with packets' verdicts makes a file that the same tools call damaged.
#
# Version: Debian 12's tshark and wireshark-common 4.0.17-0+deb12u3.
# A packet block may say what became of the packet: epb_verdict, option 7, here of type 1 (Linux eBPF at tc) and value 2
# (draft-ietf-opsawg-pcapng). tshark shows it. Expected: that editcap, mergecap, reordercap and tshark -w keep the option, or drop it. Seen: each
# writes its 9 bytes under number 6, which is epb_queue and has 4, and reads its own copy no more: "packet block queue option length 9 is not 4".
# The copy of a packet without a verdict is right, so it is found only when a file that passed one of them is opened the next time.
# 4.4.19, of Debian 13, copies it as it is.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"

mkdir -p archives/partial root; : >status
apt-get -qq -y -o Dir::State::status="$t/status" -o Dir::Cache::archives="$t/archives" -o APT::Install-Recommends=false -o APT::Sandbox::User=root \
	install --download-only tshark=4.0.17-0+deb12u3 wireshark-common=4.0.17-0+deb12u3 >/dev/null
for deb in archives/*.deb; do dpkg-deb -x "$deb" root; done
libs=$(dirname "$(find root -name 'libwireshark.so.16')"); linker=$(find root -name 'ld-linux-*.so.2' | head -1)
inside() { local tool=$1; shift; "$linker" --library-path "$libs:root/lib/$(basename "$libs")" "root/usr/bin/$tool" "$@" 2>&1; }

perl -e '
	sub block { my ($type, $body) = @_; my $n = 12 + length $body; pack("VV", $type, $n) . $body . pack("V", $n) }
	my $packet = pack("H*", "020000000002020000000001080045000020000100004011b6cac0000201c00002029c400035000c000068656c6c");
	print block(0x0A0D0D0A, pack("VvvVV", 0x1A2B3C4D, 1, 0, 0xffffffff, 0xffffffff)),
		block(1, pack("vvV", 1, 0, 262144)),
		block(6, pack("VVVVV", 0, 396000, 1, length $packet, length $packet) . $packet . "\0" x (-length($packet) % 4)
			. pack("vvCVVx3", 7, 9, 1, 2, 0) . pack("V", 0));
' >whole.pcapng

verdict() { { inside tshark -r "$1" -V || true; } | grep -o -i -E 'verdict: .*|option length 9 is not 4'; }
seen="whole: $(verdict whole.pcapng)"
inside editcap whole.pcapng editcap.pcapng >/dev/null
inside mergecap -w mergecap.pcapng whole.pcapng >/dev/null
inside reordercap whole.pcapng reordercap.pcapng >/dev/null
inside tshark -r whole.pcapng -w tshark.pcapng >/dev/null
for tool in editcap mergecap reordercap tshark; do seen+=$'\n'"$tool: $(verdict $tool.pcapng)"; done
echo "$seen"
[ "$seen" = 'whole: Verdict: eBPF_TC (1)
editcap: option length 9 is not 4
mergecap: option length 9 is not 4
reordercap: option length 9 is not 4
tshark: option length 9 is not 4' ]
