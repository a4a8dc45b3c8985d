#!/usr/bin/env bash
# nfcapd writes what a biflow says of its answers over what it says of its questions.
#
# Version: Debian 12's nfdump 1.7.1-2+deb12u1 (1.7.5, of Debian 13, does the same).
# In a biflow (RFC 5103) an element of enterprise 29305 has the value of the other direction: reverse tcpControlBits are the flags of the
# answers. Expected: that a collector shows both, or leaves the reverse ones out. Seen: reverse octets and packets become nfdump's "out" counters, and
# all others that were tried replace the forward value: of a record whose question has the flag S at 22:13:20 on interface 7, and its answer A and R at
# 22:13:25 on interface 9, there are A, R, 22:13:25 and interface 9; the question's are gone. Without the reverse elements all is right.
# The times are then not those of the first packet, flags tell of a reset that the source never sent, and no counter or log line says so.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"

mkdir -p archives/partial root; : >status
apt-get -qq -y -o Dir::State::status="$t/status" -o Dir::Cache::archives="$t/archives" -o APT::Install-Recommends=false -o APT::Sandbox::User=root \
	install --download-only nfdump=1.7.1-2+deb12u1 >/dev/null
for deb in archives/*.deb; do dpkg-deb -x "$deb" root; done
linker=$(find root -name 'ld-linux-*.so.2' | head -1)
path=$(find root -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
collector=root/usr/bin/nfcapd; reader=root/usr/bin/nfdump

# A template and one record of it, in two messages: with the reverse elements, or without.
cat >send.pl <<'P'
use IO::Socket::INET;
my ($port, $both) = @ARGV;
my @forward = ([8, 4], [12, 4], [7, 2], [11, 2], [4, 1], [6, 2], [10, 4], [152, 8], [153, 8]);
my @reverse = ([6, 2], [10, 4], [152, 8], [153, 8]);
my $template = join '', map({ pack 'nn', @$_ } @forward), $both ? map({ pack 'nnN', $_->[0] | 0x8000, $_->[1], 29305 } @reverse) : ();
my $data = pack('C4C4nnCnNQ>Q>', 192, 0, 2, 1, 198, 51, 100, 2, 40000, 443, 6, 0x02, 7, 1700000000000, 1700000001000);
$data .= pack('nNQ>Q>', 0x14, 9, 1700000005000, 1700000006000) if $both;
my $socket = IO::Socket::INET->new(Proto => 'udp', PeerAddr => "127.0.0.1:$port") or die;
sub set { my ($id, $body) = @_; pack('nn', $id, 4 + length $body) . $body }
sub message { my $sets = shift; $socket->send(pack('nnNNN', 10, 16 + length $sets, 1700000009, 0, 1) . $sets); select undef, undef, undef, 0.3 }
message(set(2, pack('nn', 256, @forward + ($both ? @reverse : ())) . $template));
message(set(256, $data));
P
run() {
	mkdir "flows$1"
	"$linker" --library-path "$path" "$collector" -w "$t/flows$1" -p 19995 -b 127.0.0.1 -t 3600 >"log$1" 2>&1 & local pid=$!
	until ss -Hlnu 'sport = 19995' | grep -q 19995; do sleep 0.1; done
	perl send.pl 19995 "$1"
	kill -INT $pid; wait $pid || true
	TZ=UTC "$linker" --library-path "$path" "$reader" -R "flows$1" -o raw | grep -E '^ *(first|tcp flags|input) ' | tr -s ' ' | paste -sd';'
}
export -f run; export t linker path collector reader
seen=$(unshare -n bash -c 'ip link set lo up; run 0; run 1')
echo "$seen"
[ "$seen" = ' first = 1700000000000 [2023-11-14 22:13:20.000]; tcp flags = 0x02 ......S.; input = 7
 first = 1700000005000 [2023-11-14 22:13:25.000]; tcp flags = 0x14 ...A.R..; input = 9' ]
