package asm

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/match"
)

// tables are rows of long lists: %host, %port and so on stand for the value of
// that kind that is the row's.
var tables = []string{
	"%host and port %port", "src %host and dst port %port", "dst %host and src port %port", "port %port and src %host",
	"src %host and dst %host", "%host and %host", "ip %host and port %port", "ip src %host and dst %host", "ip src %host and ip dst %host",
	"arp src %host and arp dst %host", "arp %host and port %port", "arp %host and ip %host",
	"tcp and src %host and src port %port and dst %host and dst port %port",
	"%host and tcp port %port", "udp and %host and port %port", "tcp src port %port and udp dst port %port", "port %port and %host and %host",
	"src port %port and dst port %port", "port %port and port %port", "sctp port %port and port %port",
	"%net and port %port", "port %port and src %net", "src %net and dst %host", "src %net and dst %net",
	"%6host and port %port", "src %6host and dst %6host", "tcp and src %6host and src port %port and dst %6host and dst port %port",
	"src %6net and tcp dst port %port", "%host and %6host", "vlan 10 and %host and port %port", "proto 44 and %6host and %6host",
	"%host and portrange %range", "src and dst %host and port %port", "%host and len > 60", "ether %mac and port %port",
}

// kindOf is the kind of value that a placeholder stands for.
var kindOf = map[string]string{"%host": "host", "%net": "net", "%6host": "ip6 host", "%6net": "ip6 net", "%port": "port", "%range": "portrange", "%mac": "ether host"}

// TestFilterTables compares verdicts on long lists of rows, which are looked up,
// on lists that are one too short, and on what is like a table and is none.
func TestFilterTables(t *testing.T) {
	for _, form := range tables {
		for _, n := range []int{match.LookupFrom - 1, match.LookupFrom, 60} {
			for _, negated := range []bool{false, true} {
				if testing.Short() && (n != match.LookupFrom || negated) {
					continue // emulated machines take long to load them
				}
				t.Run(fmt.Sprintf("%s,%d,not=%v", form, n, negated), func(t *testing.T) { testTable(t, form, n, negated) })
			}
		}
	}
}

func testTable(t *testing.T, form string, n int, negated bool) {
	separator, not := " or ", ""
	if negated {
		separator, not = " and ", "not "
	}
	f := parseFilter(t, list(n, separator, func(i int) string { return not + "(" + row(form, i) + ")" })+separator+not+"igmp")
	frames := newFrameMaker(uint64(n))
	for _, noFrags := range []bool{false, true} {
		c, err := newCompiled(Config{Filter: f, NoFrags: noFrags})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.close)
		fast := f.Matcher()
		for range 500 {
			frame := slices.Clone(frames.next())
			i := frames.IntN(n + 1)
			for _, k := range kinds {
				for placeholder, name := range kindOf {
					if name == k.name && strings.Contains(form, placeholder) {
						at := frames.IntN(2)
						k.place(frame, i, at)
						if frames.IntN(3) > 0 {
							k.place(frame, i+frames.IntN(2), 1-at)
						}
					}
				}
			}
			if err := c.check(frame, math.MaxInt); err != nil {
				t.Fatal(err)
			}
			if got, want := fast.Match(frame, len(frame)), f.Match(frame, len(frame)); got != want {
				t.Fatalf("%s: the fast form says %v, the evaluator %v\n%x", f, got, want, frame)
			}
		}
	}
}

// row is the i-th row of a form. Of two values of a kind the second is the next.
func row(form string, i int) string {
	for _, k := range kinds {
		for placeholder, name := range kindOf {
			if name == k.name {
				form = strings.Replace(form, placeholder, k.primitive+" "+k.text(i), 1)
				form = strings.Replace(form, placeholder, k.primitive+" "+k.text(i+1), 1)
			}
		}
	}
	// port %port has become port port N.
	for _, word := range []string{"port", "portrange"} {
		form = strings.ReplaceAll(form, word+" "+word+" ", word+" ")
	}
	return form
}

// TestFilterTableSize: a longer table is no longer program, and hundreds of
// rows are not too many.
func TestFilterTableSize(t *testing.T) {
	for _, form := range []string{
		"%host and port %port", "src %host and dst %host", "%net and port %port", "%6host and port %port",
		"tcp and src %host and src port %port and dst %host and dst port %port",
	} {
		size := func(n int) int {
			f, err := filter.Parse(list(n, " or ", func(i int) string { return "(" + row(form, i) + ")" }))
			if err != nil {
				t.Fatal(err)
			}
			spec, err := Program(Config{Filter: f})
			if err != nil {
				t.Fatalf("%s by the %d: %v", form, n, err)
			}
			return len(spec.Programs[ProgramName].Instructions)
		}
		if few, many := size(match.LookupFrom), size(5000); few != many {
			t.Errorf("%s: %d instructions for %d rows, %d for 5000", form, few, match.LookupFrom, many)
		}
	}
}
