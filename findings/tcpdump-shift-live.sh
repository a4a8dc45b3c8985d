#!/usr/bin/env bash
# One filter, one packet: tcpdump finds it live, and not in the file that it wrote.
#
# Version: Debian 12's tcpdump 4.99.3-1 with libpcap 1.10.3-1, on Linux 6.18. Needs root, for a network namespace of its own.
# pcap-filter(7) has << and >>, of which the right side may be read from the packet: (1 << udp[8]) = 1. What was expected of a packet that
# has 32 there: one answer. What was seen: live the kernel runs the filter and shifts by 32 modulo 32, so that 1 << 32 is 1, and the packet
# matches. From a file libpcap's own machine runs the same instructions, where it is 0, and the packet doesn't. By a constant of 32 the kernel
# refuses to shift; it can't see what comes from a packet. golang.org/x/net/bpf's machine sides with libpcap.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"

mkdir -p archives/partial root; : >status
apt-get -qq -y -o Dir::State::status="$t/status" -o Dir::Cache::archives="$t/archives" -o APT::Install-Recommends=false -o APT::Sandbox::User=root \
	install --download-only tcpdump=4.99.3-1 libpcap0.8=1.10.3-1 >/dev/null
for deb in archives/*.deb; do dpkg-deb -x "$deb" root; done
libs=$(dirname "$(find root -name 'libpcap.so.0.8')"); linker=$(find root -name 'ld-linux-*.so.2' | head -1)

cat >inside.sh <<'I'
set -euo pipefail
ip link set lo up
tcpdump() { exec "$linker" --library-path "$libs:root/lib/$(basename "$libs")" root/usr/bin/tcpdump -Z root "$@"; }
filter='udp and (1 << udp[8]) = 1'
(tcpdump --immediate-mode -U -i lo -w all.pcap udp) 2>all.err & all=$!
(tcpdump --immediate-mode -U -i lo -w live.pcap "$filter") 2>live.err & live=$!
for log in all.err live.err; do until grep -q listening $log; do sleep 0.1; done; done
for byte in 00 20 01 20; do printf "\\x$byte" >/dev/udp/127.0.0.1/9; done
for i in $(seq 100); do [ "$(stat -c %s all.pcap)" = $((24 + 4*(16+43))) ] && break; sleep 0.1; done
kill -INT $all $live; wait $all $live
count() { (tcpdump -n -t -r "$@") 2>/dev/null | grep -c UDP; }
echo "of 4 packets, live: $(count live.pcap), from the file: $(count all.pcap "$filter")"
I
seen=$(libs=$libs linker=$linker unshare -n bash inside.sh)
echo "$seen"
[ "$seen" = 'of 4 packets, live: 3, from the file: 1' ]
