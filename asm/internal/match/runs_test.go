package match

import (
	"reflect"
	"testing"

	"github.com/xdplog/xdplog/asm/filter"
)

func TestRuns(t *testing.T) {
	for _, test := range []struct {
		text string
		want []int // lengths
	}{
		{"host 192.0.2.1 or 192.0.2.2 or net 10", []int{3}},
		{"host 192.0.2.1 or src 192.0.2.2", []int{1, 1}},
		{"host 192.0.2.1 or 2001:db8::1 or 2001:db8::2", []int{1, 2}},
		{"host 192.0.2.1 or arp host 192.0.2.1", []int{1, 1}},
		{"port 80 or 443 or portrange 1-5 or tcp port 80 or ip or ip6", []int{3, 1, 1, 1}},
		{"not host 192.0.2.1 and not 192.0.2.2 and tcp and not 192.0.2.1", nil},
		{"not host 192.0.2.1 and not 192.0.2.2 and not port 1 and udp", []int{2, 1, 1}},
		{"len = 1 or len = 2 or (tcp and ip) or (udp and ip)", []int{1, 1, 1, 1}},
		{"ether host 2:0:0:0:0:1 or 2:0:0:0:0:2", []int{2}},
	} {
		f, err := filter.Parse(test.text)
		if err != nil {
			if test.want != nil {
				t.Error(err)
			}
			continue
		}
		var terms []filter.Node
		switch root := f.Root.(type) {
		case filter.Or:
			terms = root
		case filter.And:
			terms = root
		}
		var got []int
		for _, run := range runs(terms) {
			got = append(got, len(run))
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: runs of %v, want %v", test.text, got, test.want)
		}
	}
	if got := runs(nil); got != nil {
		t.Errorf("no terms have runs %v", got)
	}
}
