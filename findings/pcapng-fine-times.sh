#!/usr/bin/env bash
# pcapng times finer than some resolution are misread, and one tool makes that last.
#
# Versions: Debian 12's tshark and wireshark-common 4.0.17-0+deb12u3, tcpdump 4.99.3-1 with libpcap 1.10.3-1.
# The format (draft-ietf-opsawg-pcapng, if_tsresol) lets a resolution be any 10^-n or 2^-n with n up to 127. What was expected: that
# both readers turn each into nanoseconds, cut or rounded. What was seen, for a packet a quarter or half of a second past a whole one:
#
#   resolution   the file says   tcpdump        tshark
#   10^-9        5.25            5.250000000    5.250000000
#   10^-12       5.25            5.250000000    5.010192327   a wrong fraction from 10^-11 on
#   2^-32        5.25            5.250000000    5.250000000
#   2^-40        5.25            5.015118976    5.015118976   both lose the upper bits of the fraction from 2^-35 on
#   10^-12, and an if_tsoffset of 1700000000
#                1700000005.25   1700000005.25  1700000005.010192327
#
# And editcap, which copies the last file, writes a time in February 1970: 64 bits hold half a year of picoseconds, which is why there was
# an offset, and the copy has none. A reader that is checked against these two tools is wrong where they are.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"

mkdir -p archives/partial root; : >status
apt-get -qq -y -o Dir::State::status="$t/status" -o Dir::Cache::archives="$t/archives" -o APT::Install-Recommends=false -o APT::Sandbox::User=root \
	install --download-only tshark=4.0.17-0+deb12u3 wireshark-common=4.0.17-0+deb12u3 tcpdump=4.99.3-1 libpcap0.8=1.10.3-1 >/dev/null
for deb in archives/*.deb; do dpkg-deb -x "$deb" root; done
libs=$(dirname "$(find root -name 'libwireshark.so.16')"); linker=$(find root -name 'ld-linux-*.so.2' | head -1)
inside() { local tool=$1; shift; "$linker" --library-path "$libs:root/lib/$(basename "$libs")" "root/usr/bin/$tool" "$@" 2>/dev/null; }

# A file of one UDP packet: if_tsresol as a byte, the time in its units, and an offset in seconds, or none.
make() {
	perl -e '
		my ($resolution, $ticks, $offset) = @ARGV;
		sub block { my ($type, $body) = @_; my $n = 12 + length $body; pack("VV", $type, $n) . $body . pack("V", $n) }
		my $packet = pack("H*", "020000000002020000000001080045000020000100004011b6cac0000201c00002029c400035000c000068656c6c");
		my $options = pack("vvCx3", 9, 1, $resolution);
		$options .= pack("vvq<", 14, 8, $offset) if length $offset;
		print block(0x0A0D0D0A, pack("VvvVV", 0x1A2B3C4D, 1, 0, 0xffffffff, 0xffffffff)),
			block(1, pack("vvV", 1, 0, 262144) . $options . pack("V", 0)),
			block(6, pack("VVVVV", 0, $ticks >> 32, $ticks & 0xffffffff, length $packet, length $packet) . $packet . "\0" x (-length($packet) % 4));
	' "$@"
}
failed=0
expect() { # what, want, got
	printf '%-46s %s\n' "$1" "$3"
	[ "$2" = "$3" ] || { echo "  was $2"; failed=1; }
}
by_tcpdump() { inside tcpdump --nano -tt -n -r "$1" | cut -d' ' -f1; }
by_tshark() { inside tshark -r "$1" -T fields -e frame.time_epoch; }

make 9 5250000000 '' >ns.pcapng
make 12 5250000000000 '' >ps.pcapng
make $((0x80 | 32)) $((21 << 30)) '' >b32.pcapng
make $((0x80 | 40)) $((21 << 38)) '' >b40.pcapng
make 12 5250000000000 1700000000 >psoffset.pcapng
expect '10^-9, tcpdump' 5.250000000 "$(by_tcpdump ns.pcapng)"
expect '10^-9, tshark' 5.250000000 "$(by_tshark ns.pcapng)"
expect '10^-12, tcpdump' 5.250000000 "$(by_tcpdump ps.pcapng)"
expect '10^-12, tshark' 5.010192327 "$(by_tshark ps.pcapng)"
expect '2^-32, tcpdump' 5.250000000 "$(by_tcpdump b32.pcapng)"
expect '2^-32, tshark' 5.250000000 "$(by_tshark b32.pcapng)"
expect '2^-40, tcpdump' 5.015118976 "$(by_tcpdump b40.pcapng)"
expect '2^-40, tshark' 5.015118976 "$(by_tshark b40.pcapng)"
expect '10^-12 and an offset, tcpdump' 1700000005.250000000 "$(by_tcpdump psoffset.pcapng)"
expect '10^-12 and an offset, tshark' 1700000005.010192327 "$(by_tshark psoffset.pcapng)"
inside editcap psoffset.pcapng copy.pcapng
expect 'its copy by editcap, tcpdump' 2899550.228913578 "$(by_tcpdump copy.pcapng)"
exit $failed
