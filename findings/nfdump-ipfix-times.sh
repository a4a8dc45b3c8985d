#!/usr/bin/env bash
# nfcapd takes flows whose times are in seconds, microseconds or nanoseconds, and keeps no times of them.
#
# Version: Debian 12's nfdump 1.7.1-2+deb12u1.
# IPFIX has a pair of elements for each unit: flowStartSeconds and flowEndSeconds (150, 151), milliseconds (152, 153), micro- and nanoseconds (154 to
# 157, in the format of NTP: RFC 7011, 6.1.9). Expected: the same flow by each, or a word in the log. Seen: its times by milliseconds alone; by the
# others first and last are 0, unknown. The flow is counted as good, and nothing says what it lacks.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"

mkdir -p archives/partial root; : >status
apt-get -qq -y -o Dir::State::status="$t/status" -o Dir::Cache::archives="$t/archives" -o APT::Install-Recommends=false -o APT::Sandbox::User=root \
	install --download-only nfdump=1.7.1-2+deb12u1 >/dev/null
for deb in archives/*.deb; do dpkg-deb -x "$deb" root; done
linker=$(find root -name 'ld-linux-*.so.2' | head -1)
path=$(find root -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
collector=root/usr/bin/nfcapd; reader=root/usr/bin/nfdump

# A template and one record of it, in two messages, with the times from 22:13:20.25 to 22:13:21.5 in the unit given.
cat >send.pl <<'P'
use IO::Socket::INET;
my ($port, $unit) = @ARGV;
sub ntp { pack 'NN', $_[0] + 2208988800, $_[1] * 2**32 }
my $fine = ntp(1700000000, 0.25) . ntp(1700000001, 0.5);
my ($first, $size, $times) = @{{
	seconds => [150, 4, pack('NN', 1700000000, 1700000001)],
	milliseconds => [152, 8, pack('Q>Q>', 1700000000250, 1700000001500)],
	microseconds => [154, 8, $fine],
	nanoseconds => [156, 8, $fine],
}->{$unit}};
my @elements = ([8, 4], [12, 4], [7, 2], [11, 2], [4, 1], [1, 8], [2, 8], [$first, $size], [$first + 1, $size]);
my $socket = IO::Socket::INET->new(Proto => 'udp', PeerAddr => "127.0.0.1:$port") or die;
sub message {
	my ($id, $body) = @_;
	$socket->send(pack('nnNNNnn', 10, 20 + length $body, 1700000009, 0, 1, $id, 4 + length $body) . $body);
	select undef, undef, undef, 0.3;
}
message(2, pack('nn', 256, scalar @elements) . join('', map { pack 'nn', @$_ } @elements));
message(256, pack('C4C4nnCQ>Q>', 192, 0, 2, 1, 198, 51, 100, 2, 40000, 443, 6, 1000, 10) . $times);
P
run() {
	mkdir "flows-$1"
	"$linker" --library-path "$path" "$collector" -w "$t/flows-$1" -p 19995 -b 127.0.0.1 -t 3600 >"log-$1" 2>&1 & local pid=$!
	until ss -Hlnu 'sport = 19995' | grep -q 19995; do sleep 0.1; done
	perl send.pl 19995 "$1"
	kill -INT $pid; wait $pid || true
	echo "$1:" $(TZ=UTC "$linker" --library-path "$path" "$reader" -R "flows-$1" -o raw | grep -E '^ *(first|last) ') $(grep -o 'Flows: .*' "log-$1")
}
export -f run; export t linker path collector reader
unshare -n bash -c 'ip link set lo up; for unit in seconds milliseconds microseconds nanoseconds; do run $unit; done' | tee seen
diff - seen <<'S'
seconds: first = 0 [<unknown>.000] last = 0 [<unknown>.000] Flows: 1, Packets: 10, Bytes: 1000, Sequence Errors: 0, Bad Packets: 0
milliseconds: first = 1700000000250 [2023-11-14 22:13:20.250] last = 1700000001500 [2023-11-14 22:13:21.500] Flows: 1, Packets: 10, Bytes: 1000, Sequence Errors: 0, Bad Packets: 0
microseconds: first = 0 [<unknown>.000] last = 0 [<unknown>.000] Flows: 1, Packets: 10, Bytes: 1000, Sequence Errors: 0, Bad Packets: 0
nanoseconds: first = 0 [<unknown>.000] last = 0 [<unknown>.000] Flows: 1, Packets: 10, Bytes: 1000, Sequence Errors: 0, Bad Packets: 0
S
