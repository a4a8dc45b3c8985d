package filter

import (
	"strings"
	"testing"
)

// overlay is a frame in VXLAN 42 between 192.0.2.1 and 192.0.2.2: UDP from 198.51.100.1:1000 to
// 198.51.100.2:53.
var overlay = []byte{
	2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0,
	0x45, 0, 0, 78, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
	0xc3, 0x50, 4789 >> 8, 4789 & 0xff, 0, 58, 0, 0,
	8, 0, 0, 0, 0, 0, 42, 0,
	2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xa, 8, 0,
	0x45, 0, 0, 28, 0, 0, 0, 0, 63, 17, 0, 0, 198, 51, 100, 1, 198, 51, 100, 2,
	1000 >> 8, 1000 & 0xff, 0, 53, 0, 8, 0, 0,
}

// bare is the same in GRE, without the inner Ethernet header.
var bare = append(append(append([]byte{}, overlay[:23]...), 47, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0, 0, 8, 0), overlay[64:]...)

func TestMatchInner(t *testing.T) {
	for _, test := range []struct {
		filter        string
		overlay, bare bool
		outer         bool // what the frame itself is, in VXLAN
	}{
		{"host 198.51.100.1", true, true, false},
		{"host 192.0.2.1", false, false, true},
		{"udp port 53", true, true, false},
		{"udp port 4789", false, false, true},
		{"vxlan", true, false, true},
		{"vxlan 42", true, false, true},
		{"vxlan 43", false, false, false},
		{"vxlan 42 and host 198.51.100.1", true, false, false},
		{"geneve", false, false, false},
		{"not geneve", true, true, true},
		{"ether src 02:00:00:00:00:0a", true, false, false},
		{"not ether src 02:00:00:00:00:01", true, false, false}, // a header that is not there ends it
		{"ether proto 0x0800", true, true, true},
		{"not ether proto 0x8100", true, true, true},
		{"ip[8] == 63", true, true, false},
		{"udp[0:2] == 1000", true, true, false},
		{"ether[12:2] == 0x0800", true, false, true},
		{"len == 92", true, false, true}, // of the whole
	} {
		f, err := Options{Inner: true}.Parse(test.filter)
		if err != nil {
			t.Fatal(err)
		}
		m := f.Matcher()
		if got := f.MatchInner(overlay, len(overlay)); got != test.overlay || got != m.MatchInner(overlay, len(overlay)) {
			t.Errorf("%s in VXLAN: %v", test.filter, got)
		}
		if got := f.MatchInner(bare, len(bare)); got != test.bare || got != m.MatchInner(bare, len(bare)) {
			t.Errorf("%s in GRE: %v", test.filter, got)
		}
		plain, err := Parse(test.filter)
		if err != nil {
			t.Fatal(err)
		}
		if got := plain.Match(overlay, len(overlay)); got != test.outer {
			t.Errorf("%s of the frame: %v", test.filter, got)
		}
		again, err := Options{Inner: true}.Parse(f.String())
		if err != nil || again.String() != f.String() {
			t.Errorf("%s is written as %s: %v", test.filter, f, err)
		}
	}
}

func TestAsksTunnel(t *testing.T) {
	for text, want := range map[string]bool{"tcp and not (port 80 or vxlan 7)": true, "geneve": true, "udp": false, "udp port 4789": false} {
		f, err := Options{Inner: true}.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if AsksTunnel(f.Root) != want {
			t.Errorf("%s: %v", text, !want)
		}
	}
	if err := (&Filter{Root: InTunnel{Kind: GTPU + 1, Any: true}}).Check(); err == nil {
		t.Error("an unknown tunnel is taken")
	}
}

// What is advised else would be about the packet inside, and find nothing.
func TestTunnelsWithoutWords(t *testing.T) {
	for _, text := range []string{"gre", "vxlan 7 or ipip", "sit", "gtp", "not gtp-u"} {
		_, err := Options{Inner: true}.Parse(text)
		if err == nil || !strings.Contains(err.Error(), "what a packet travels in is asked by vxlan and geneve alone") {
			t.Errorf("%s: %v", text, err)
		}
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), "write ") {
			t.Errorf("%s of the frame: %v", text, err)
		}
	}
}
