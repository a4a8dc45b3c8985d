package asm

import (
	"errors"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/filtertest"
)

// TestFilterProgram compares what programs return with the verdict of the evaluator, for
// random filters on random frames.
func TestFilterProgram(t *testing.T) {
	const drop, shot, next = 1, 2, -1
	cases := map[string]FilterConfig{
		"xdp":              {Match: drop, Otherwise: xdpPass},
		"xdp first buffer": {Match: xdpPass, Otherwise: drop, FirstBuffer: true},
		"xdp no frags":     {Match: drop, Otherwise: xdpPass, NoFrags: true},
		"tc ingress":       {Match: shot, Otherwise: next, Place: TCIngress},
		"tc egress":        {Match: next, Otherwise: shot, Place: TCEgress},
	}
	pairs := int(environment(t, "XDPLOG_FUZZ_PAIRS", 100_000)) / len(cases)
	seed := environment(t, "XDPLOG_FUZZ_SEED", rand.Uint64()>>1)
	t.Logf("XDPLOG_FUZZ_SEED=%d", seed)
	for name, cfg := range cases {
		t.Run(name, func(t *testing.T) {
			expressions, frames := filtertest.NewExpressions(seed), newFrameMaker(seed)
			expressions.VLAN = true
			const framesEach = 500
			matched := 0
			for done := 0; done < pairs; done += framesEach {
				f, err := filter.Parse(expressions.Next(8))
				if err != nil {
					continue
				}
				cfg.Filter = f
				program := loadFilterProgram(t, cfg)
				for range framesEach {
					frame := frames.next()
					if program == nil || cfg.Place != XDP && !runsTC(frame) {
						continue
					}
					want := uint32(cfg.Otherwise)
					if f.Match(frame, len(frame)) {
						matched++
						want = uint32(cfg.Match)
					}
					got, err := testVerdict(program, frame)
					if err != nil || got != want {
						t.Fatalf("XDPLOG_FUZZ_SEED=%d: %s: returns %d, %v, want %d, on %x", seed, f, got, err, want, frame)
					}
				}
				program.Close()
			}
			t.Logf("%d matches", matched)
		})
	}
}

// loadFilterProgram returns nil if the filter matches nothing.
func loadFilterProgram(t *testing.T, cfg FilterConfig) *ebpf.Program {
	t.Helper()
	rlimit.RemoveMemlock() // needed before 5.11 only, where the load then says so
	cfg.NoFrags = cfg.NoFrags || !takesFrags()
	spec, err := FilterProgram(cfg)
	if errors.Is(err, ErrRejectsAll) {
		return nil
	}
	if err != nil {
		t.Fatalf("%s: %v", cfg.Filter, err)
	}
	program, err := loadSpec(t, spec)
	if errors.Is(err, unix.E2BIG) && !cfg.FirstBuffer {
		cfg.FirstBuffer = true
		return loadFilterProgram(t, cfg)
	}
	if err != nil {
		t.Fatalf("%s: %+v", cfg.Filter, err)
	}
	return program
}

func loadSpec(t *testing.T, spec *ebpf.CollectionSpec) (*ebpf.Program, error) {
	t.Helper()
	coll, err := ebpf.NewCollection(spec)
	if errors.Is(err, unix.EPERM) && os.Getenv("XDPLOG_E2E") != "required" {
		t.Skipf("needs root: %v", err)
	}
	if err != nil {
		return nil, err
	}
	defer coll.Close()
	return coll.DetachProgram(FilterProgramName), nil
}

func loadedFilter(t *testing.T, spec *ebpf.CollectionSpec) *ebpf.Program {
	t.Helper()
	rlimit.RemoveMemlock() // needed before 5.11 only, where the load then says so
	program, err := loadSpec(t, spec)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return program
}

// TestFilterProgramOfAll: where all packets match there is no code for others.
func TestFilterProgramOfAll(t *testing.T) {
	for _, expression := range []string{"", "ip or not ip"} {
		for _, cfg := range []FilterConfig{{Match: 1}, {Match: 1, NoFrags: true}, {Match: 1, Place: TCIngress}} {
			cfg.Filter = parseFilter(t, expression)
			program := loadFilterProgram(t, cfg)
			defer program.Close()
			if got, err := testVerdict(program, make([]byte, 60)); err != nil || got != 1 {
				t.Errorf("%q: returns %d, %v", expression, got, err)
			}
		}
	}
}

func TestFilterProgramRefuses(t *testing.T) {
	f := parseFilter(t, "tcp")
	for _, test := range []struct {
		cfg  FilterConfig
		want string
	}{
		{FilterConfig{Match: 1}, "assemble filter program: the filter is empty"},
		{FilterConfig{Filter: f}, "assemble filter program: what it returns for packets that match, and for others, is the same"},
		{FilterConfig{Filter: f, Match: 1, Place: Beside}, "assemble filter program: nobody is asked for a verdict at beside"},
		{FilterConfig{Filter: parseFilter(t, "ip and arp"), Match: 1}, `assemble filter program: filter "ip and arp": expression rejects all packets`},
	} {
		if _, err := FilterProgram(test.cfg); err == nil || err.Error() != test.want {
			t.Errorf("%v, want %s", err, test.want)
		}
	}
}
