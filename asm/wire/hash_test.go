package wire

import "testing"

func TestHashString(t *testing.T) {
	for _, test := range []struct {
		hash Hash
		want string
	}{
		{Hash{}, ""},
		{Hash{Value: 0x1f2e3d4c}, "0x1f2e3d4c"},
		{Hash{Value: 7, Over: HashTransport}, "0x00000007 (l4)"},
		{Hash{Over: HashIPv4}, "0x00000000 (ipv4)"},
		{Hash{0xffffffff, HashIPv4 | HashTransport | HashUDP}, "0xffffffff (ipv4 udp)"},
		{Hash{1, HashIPv6 | HashExtensions | HashTransport | HashTCP}, "0x00000001 (ipv6 extensions tcp)"},
		{Hash{1, HashIPv6 | HashICMP<<1}, "0x00000001 (ipv6 other)"},
		{Hash{1, 1<<9 - 1}, "0x00000001 (ipv4 ipv6 extensions tcp udp sctp ipsec icmp)"},
	} {
		if got := test.hash.String(); got != test.want || test.hash.Known() != (got != "") {
			t.Errorf("%#v: %q, known %v, want %q", test.hash, got, test.hash.Known(), test.want)
		}
	}
	room := make([]byte, 0, 100)
	if n := testing.AllocsPerRun(100, func() { Hash{1, 1<<9 - 1}.AppendTo(room) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
