package asm

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm/filter"
)

// TestFilterLarge loads filters as long as people may write them, and runs them.
func TestFilterLarge(t *testing.T) {
	deep := func(n int, from string, wrap func(i int, inner string) string) string {
		for i := range n {
			from = wrap(i, from)
		}
		return from
	}
	filters := map[string]string{
		"sums to the left":  deep(200, "ip[1]", func(i int, inner string) string { return fmt.Sprintf("%s + ip[%d]", inner, i%20) }) + " > 3",
		"sums to the right": deep(40, "ip[1]", func(i int, inner string) string { return fmt.Sprintf("(ip[%d] ^ (%s))", i%20, inner) }) + " > 3",
		"loads in loads":    deep(40, "ip[1]", func(_ int, inner string) string { return fmt.Sprintf("udp[(%s) & 7]", inner) }) + " < 77",
		"balanced sums":     deep(5, "ip[9]", func(i int, inner string) string { return "(" + inner + " - " + inner + ")" }) + " = 0",
		"sums of loads": deep(20, "ip[1]", func(i int, inner string) string {
			return fmt.Sprintf("(len + (icmp6[(%s) & 3] - tcp[len - %d]))", inner, i+20)
		}) + " > 3",
	}
	for _, term := range []string{
		"ether[%d] = 7", "ip[%d:2] & 31 = 7", "tcp[%d] > 7", "udp[ip[%d] & 7] = 9", "len - tcp[%d] > 7",
		"icmp6[%d + len] = 3", "(port %d and len > 50)", "src and dst port %d", "vlan %d", "src and dst net 10.%d.0.0/16",
		"(ip6 and host 2001:db8::%d)", "(ip and dst host 192.0.2.%d)",
	} {
		or := func(i int) string { return fmt.Sprintf(term, i%99) }
		and := func(i int) string { return "not " + or(i) }
		mixed := func(i int) string { return fmt.Sprintf("(%s and %s)", or(i), and(i+1)) }
		filters["or "+term] = list(200, " or ", or)
		filters["and "+term] = list(200, " and ", and)
		filters["mixed "+term] = list(100, " or ", mixed)
	}
	frames := newFrameMaker(1)
	count, variants := 500, []bool{false, true}
	if testing.Short() { // emulated machines take long to load them
		count, variants = 50, variants[:1]
	}
	for name, expression := range filters {
		t.Run(name, func(t *testing.T) {
			for _, noFrags := range variants {
				c := loadFilter(t, expression, noFrags)
				for range count {
					if err := c.check(frames.next(), math.MaxInt); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

// TestFilterCost holds what the verifier makes of everyday filters to a small
// part of the million instructions that it looks at.
func TestFilterCost(t *testing.T) {
	for name, expression := range filterListings {
		loadFilter(t, expression, false) // skips here
		if n := looksAt(t, Config{Filter: parseFilter(t, expression)}); n > 50_000 {
			t.Errorf("%s, %s: the verifier looks at %d instructions", name, expression, n)
		}
	}
}

// TestStartCost holds the same of the programs that most runs begin with. Each is looked
// at with the packet where it lies and with a copy of its beginning, once, and not once
// a way to get there.
func TestStartCost(t *testing.T) {
	newMachine(t, Config{NoFrags: !takesFrags()}) // skips here
	for _, c := range []struct {
		cfg  Config
		most int
	}{
		{Config{}, 8_000}, // Linux 6.1; later ones half of that
		{Config{Transport: Mmap}, 5_000},
		{Config{All: true}, 8_000},
		{Config{Place: TCIngress}, 20_000},
	} {
		if n := looksAt(t, c.cfg); n > c.most {
			t.Errorf("%v at %v: the verifier looks at %d instructions, want at most %d", c.cfg.Transport, c.cfg.Place, n, c.most)
		}
	}
}

// looksAt is at how many instructions the verifier looks.
func looksAt(t *testing.T, cfg Config) (processed int) {
	t.Helper()
	cfg.NoFrags, cfg.CPUs = !takesFrags(), ebpf.MustPossibleCPU()
	spec, err := Program(cfg)
	if err != nil {
		t.Fatal(err)
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats}})
	if err != nil {
		t.Fatal(err)
	}
	defer coll.Close()
	_, stats, ok := strings.Cut(coll.Programs[ProgramName].VerifierLog, "processed ")
	if _, err := fmt.Sscanf(stats, "%d", &processed); !ok || err != nil {
		t.Fatalf("the verifier says %q", stats)
	}
	t.Logf("%6d instructions: %v, %v", processed, cfg.Place, cfg.Filter)
	return processed
}

func TestFilterTooLarge(t *testing.T) {
	expression := list(2000, " or ", func(i int) string { return fmt.Sprintf("udp[ip[%d] & 7] = 9", i%20) })
	_, err := Program(Config{Filter: parseFilter(t, expression)})
	const want = "assemble program: filter is too large: split or simplify it"
	if !errors.Is(err, ErrTooLarge) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestFilterLong: four times the list is not many times the work.
func TestFilterLong(t *testing.T) {
	for _, term := range []string{"ether proto %d", "not ether proto %d", "vlan %d", "(ip and vlan %d)", "ether[12:2] = %d", "port %d"} {
		allocated := func(n int) uint64 {
			separator := " or "
			if strings.HasPrefix(term, "not") {
				separator = " and "
			}
			f := parseFilter(t, list(n, separator, func(i int) string { return fmt.Sprintf(term, 1600+i) }))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := Program(Config{Filter: f}); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			return after.TotalAlloc - before.TotalAlloc
		}
		if short, long := allocated(500), allocated(2000); long > 6*short {
			t.Errorf("%s: 500 take %d bytes, 2000 take %d", term, short, long)
		}
	}
}

// TestFilterByHand assembles trees that no text makes.
func TestFilterByHand(t *testing.T) {
	for name, test := range map[string]struct {
		root filter.Node
		want error // nil: any
	}{
		"empty or":         {filter.Or{}, ErrRejectsAll},
		"not an empty and": {filter.Not{Term: filter.And{}}, ErrRejectsAll},
		"nothing":          {nil, nil},
		"half a relation":  {filter.Relation{Left: filter.Length{}}, nil},
		"unknown layer":    {filter.Relation{Left: filter.Load{Layer: 99, Size: 1, Offset: filter.Number(0)}, Right: filter.Number(0)}, nil},
	} {
		cfg := Config{Filter: &filter.Filter{Root: test.root}}
		if _, err := Program(cfg); err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if cfg.Match(make([]byte, 64), 64) {
			t.Errorf("%s matches", name)
		}
	}
	for name, root := range map[string]filter.Node{
		"empty and":               filter.And{},
		"tcp, or not an empty or": filter.Or{filter.Proto{Number: 6}, filter.Not{Term: filter.Or{}}},
	} {
		cfg := Config{Filter: &filter.Filter{Root: root}}
		if _, err := Program(cfg); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !cfg.Match(make([]byte, 64), 64) {
			t.Errorf("%s does not match", name)
		}
	}
}

// TestFilterRejects: a filter that contradicts itself is refused in one line, also where
// code was emitted before that shows.
func TestFilterRejects(t *testing.T) {
	for _, expression := range []string{"tcp and udp", "pppoes 4 and tcp", "mpls 3 and tcp", "vxlan 7 and udp and tcp"} {
		_, err := Program(Config{Filter: parseFilter(t, expression)})
		if !errors.Is(err, ErrRejectsAll) || strings.Contains(err.Error(), "label") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", expression, err)
		}
	}
}
