package filter_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/filtertest"
)

// TestMatcher holds the fast form against the definition, on made-up expressions
// and long lists.
func TestMatcher(t *testing.T) {
	frames := filtertest.Frames(7)
	expressions := filtertest.NewExpressions(7)
	var hosts []string
	for _, frame := range frames {
		if len(frame.Data) > 30 && len(hosts) < 40 {
			b := frame.Data[26:30]
			hosts = append(hosts, strings.Join([]string{itoa(b[0]), itoa(b[1]), itoa(b[2]), itoa(b[3])}, "."))
		}
	}
	list := func(words string) string { return words + " " + strings.Join(hosts, " or "+words+" ") }
	texts := []string{
		list("host"), list("src host"), list("dst host"), list("ip host"), list("arp host"), list("src and dst host"),
		"not (" + list("host") + ")", "net 192.0.2.0/24 or " + list("host"), "tcp and (" + list("host") + ")",
	}
	for range 3000 {
		texts = append(texts, expressions.Next(5))
	}
	for _, text := range texts {
		f, err := filter.Parse(text)
		if err != nil {
			continue
		}
		m := f.Matcher()
		for _, frame := range frames {
			if got, want := m.Match(frame.Data, frame.Length), f.Match(frame.Data, frame.Length); got != want {
				t.Fatalf("%s\n\ton %x (%d of %d bytes): %v, want %v", text, frame.Data, len(frame.Data), frame.Length, got, want)
			}
		}
	}
	if (&filter.Filter{}).Matcher().Match(make([]byte, 60), 60) || new(filter.Matcher).Match(make([]byte, 60), 60) {
		t.Error("an empty filter matches")
	}
}

func itoa(b byte) string { return strconv.Itoa(int(b)) }
