package filter_test

import (
	"slices"
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm/filter"
)

// TestFollowing: what a shell offers may stand there.
func TestFollowing(t *testing.T) {
	for _, test := range []struct {
		text     string
		has, not []string
	}{
		{"", []string{"tcp", "host", "not", "vlan", "len", "ip6"}, []string{"and", "or", "http", "gre", "mask", "gateway", "tcp-syn"}},
		{"tcp", []string{"and", "or", "port", "dst", "portrange"}, []string{"tcp", "host", "net", "http"}},
		{"tcp port", []string{"http", "https", "ssh"}, []string{"tcp", "and", "gre", "ntp", "tcp-ack"}},
		{"port 80 or", []string{"tcp", "https", "host"}, []string{"and", "gre"}},
		{"proto", []string{"gre", "ospf"}, []string{"tcp", "http"}},
		{"src", []string{"host", "net", "port", "or", "and"}, []string{"tcp", "http"}},
		{"net 10.0.0.0", []string{"mask", "and", "or"}, []string{"port"}},
		{"host", nil, []string{"tcp", "http", "and"}},
		{"tcp[13] &", []string{"tcp-syn", "tcpflags", "len"}, []string{"tcp", "http"}},
		{"tcp tcp", nil, []string{"and", "or", "tcp"}},
	} {
		got := filter.Following(test.text)
		for _, word := range test.has {
			if !slices.Contains(got, word) {
				t.Errorf("%q: %s is not among %q", test.text, word, got)
			}
		}
		for _, word := range test.not {
			if slices.Contains(got, word) {
				t.Errorf("%q: %s may not follow", test.text, word)
			}
		}
		if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("%q: %q", test.text, got)
		}
	}
	start := time.Now()
	filter.Following("tcp port 80 or")
	t.Logf("it takes %v", time.Since(start))
}
