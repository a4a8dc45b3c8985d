package asm

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/filtertest"
	"github.com/xdplog/xdplog/asm/internal/oracle"
	"github.com/xdplog/xdplog/asm/wire"
)

// innerConfigs are those of configs that look into tunnels.
func innerConfigs() map[string]Config {
	all := make(map[string]Config)
	for name, cfg := range configs {
		cfg.Inner = true
		all[name] = cfg
	}
	return all
}

// TestInnerFixturesAtEveryLength: what TestEveryFixtureAtEveryLength does, with tunnels.
func TestInnerFixturesAtEveryLength(t *testing.T) {
	for name, cfg := range innerConfigs() {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, cfg)
			for _, fixture := range append(oracle.InnerFixtures(), oracle.Fixtures()...) {
				var packets []packet
				for length := oracle.Shortest; length <= len(fixture.Frame); length++ {
					packets = append(packets, whole(fixture.Frame[:length]))
				}
				if err := m.check(packets); err != nil {
					t.Fatalf("%s: %v", fixture.Name, err)
				}
			}
			t.Logf("%d frames, %d events", m.counted.Seen, m.counted.Captured)
		})
	}
}

// TestInnerFixturesAtEverySplit: what TestEveryFixtureAtEverySplit does, with tunnels.
func TestInnerFixturesAtEverySplit(t *testing.T) {
	for name, cfg := range innerConfigs() {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, cfg)
			needSplits(t, m)
			for _, fixture := range oracle.InnerFixtures() {
				var packets []packet
				for first := range len(fixture.Frame) {
					packets = append(packets, packet{fixture.Frame, first})
				}
				if err := m.check(packets); err != nil {
					t.Fatalf("%s: %v", fixture.Name, err)
				}
			}
			t.Logf("%d frames, %d events", m.counted.Seen, m.counted.Captured)
		})
	}
}

// TestInnerDifferential is [TestDifferential] of tunnels.
func TestInnerDifferential(t *testing.T) {
	seed := fuzzSeed(t)
	d := newDifferentialOf(t, seed, Config{Inner: true}, Config{Inner: true, All: true})
	d.generator.Tunnels = true
	d.run(t, seed)
}

// TestInnerTC runs tunnels at tc, cut at every length and made up.
func TestInnerTC(t *testing.T) {
	packets := number(t, "XDPLOG_FUZZ_PACKETS", 200_000) / int64(2*len(tcPlaces))
	for name, at := range tcPlaces {
		t.Run(name, func(t *testing.T) {
			switch of := at.(type) {
			case trafficControl:
				of.inner = true
				at = of
			case shortened:
				of.inner = true
				at = of
			case tagged:
				of.inner = true
				at = of
			}
			m := newTCMachine(t, Config{All: true, Inner: true}, at)
			for _, fixture := range oracle.InnerFixtures() {
				var cut []packet
				for length := range len(fixture.Frame) + 1 {
					if frame := fixture.Frame[:length]; runsTC(frame) {
						cut = append(cut, whole(frame))
					}
				}
				if err := m.check(cut); err != nil {
					t.Fatalf("%s: %v", fixture.Name, err)
				}
			}
			generator := oracle.NewGenerator(rand.Uint64()>>1, 3000)
			generator.Tunnels = true
			var batch [batchSize]packet
			var arena []byte
			for done := 0; done < int(packets); {
				arena = fill(generator, arena[:0], batch[:], false)
				runs := slices.DeleteFunc(slices.Clone(batch[:]), func(p packet) bool { return !runsTC(p.frame) })
				if err := m.check(runs); err != nil {
					t.Fatal(err)
				}
				done += len(runs)
			}
		})
	}
}

// TestInnerFilters compares the verdicts of random filters on tunnels, in the kernel, with
// those of the evaluator and the matcher.
func TestInnerFilters(t *testing.T) {
	pairs := environment(t, "XDPLOG_FUZZ_PAIRS", 20_000)
	seed := environment(t, "XDPLOG_FUZZ_SEED", rand.Uint64()>>1)
	t.Logf("XDPLOG_FUZZ_SEED=%d", seed)
	const framesEach = 500
	expressions := filtertest.NewExpressions(seed)
	expressions.VLAN = true
	generator := oracle.NewGenerator(seed, 1500)
	generator.Tunnels = true
	loadFilter(t, "ip", false) // skips here

	var done, matched, filters uint64
	for done < pairs {
		expression := expressions.Next(1 + int(filters%12))
		switch filters % 4 {
		case 0:
			expression = fmt.Sprintf("vxlan and (%s) or geneve %d", expression, 0x123456)
		case 1:
			expression = fmt.Sprintf("not vxlan %d and (%s)", 0x123456, expression)
		}
		f, err := filter.Options{Inner: true}.Parse(expression)
		if err != nil {
			continue
		}
		filters++
		c, err := newCompiled(Config{Filter: f, Inner: true, NoFrags: filters%2 == 0})
		if errors.Is(err, ErrRejectsAll) {
			continue
		}
		if err != nil {
			t.Fatalf("XDPLOG_FUZZ_SEED=%d, filter %d: %s\n%+v", seed, filters, expression, err)
		}
		for range framesEach {
			if err := c.check(generator.Append(nil), math.MaxInt); err != nil {
				t.Fatalf("XDPLOG_FUZZ_SEED=%d, filter %d: %v", seed, filters, err)
			}
		}
		done += framesEach
		matched += c.matched
		c.close()
	}
	t.Logf("%d pairs of %d filters, %d matches", done, filters, matched)
}

// TestInnerPrograms: the verifier takes what looks into tunnels with all that there is beside it.
func TestInnerPrograms(t *testing.T) {
	until := parseFilter(t, "udp port 53")
	for name, cfg := range map[string]Config{
		"perf":                    {},
		"perf, bytes":             {SnapLen: MaxSnapLen},
		"ringbuf":                 {Transport: Ringbuf, CPUs: 2},
		"mmap":                    {Transport: Mmap, CPUs: 2},
		"mmap, bytes":             {Transport: Mmap, CPUs: 2, SnapLen: 1500},
		"kept":                    {Transport: Mmap, CPUs: 2, SnapLen: 1500, Keep: true, Until: until},
		"counted by source":       {CPUs: 2, Count: &Count{}},
		"counted by conversation": {CPUs: 2, Count: &Count{By: wire.ByConversation, Events: true}},
		"replay":                  {Transport: Ringbuf, CPUs: 2, Replay: true},
	} {
		cfg.Inner = true
		for _, at := range []Place{XDP, TCIngress, TCEgress} {
			for _, noFrags := range []bool{false, true} {
				cfg.Place, cfg.NoFrags = at, noFrags
				if cfg.Replay && at != XDP {
					continue
				}
				t.Run(name+" at "+at.String(), func(t *testing.T) {
					spec, err := Program(cfg)
					if err != nil {
						t.Fatal(err)
					}
					load(t, spec)
				})
			}
		}
	}
}

// TestInnerListings: the verifier takes filters of all kinds at every place, and they say of
// tunnels, whole and cut, what the evaluator says.
func TestInnerListings(t *testing.T) {
	frames := oracle.InnerFixtures()
	for name, expression := range filterListings {
		t.Run(name, func(t *testing.T) {
			f := parseFilter(t, expression)
			for _, noFrags := range []bool{false, true} {
				c, err := newCompiled(Config{Filter: f, Inner: true, NoFrags: noFrags})
				if err != nil {
					t.Fatalf("%+v", err)
				}
				for i, fixture := range frames {
					for _, length := range []int{len(fixture.Frame), max(shortestRun, len(fixture.Frame)-i%40)} {
						if err := c.check(fixture.Frame[:length], math.MaxInt); err != nil {
							t.Errorf("%s: %v", fixture.Name, err)
						}
					}
				}
				c.close()
			}
			spec, err := Program(Config{Filter: f, Inner: true, Place: TCIngress})
			if err != nil {
				t.Fatal(err)
			}
			load(t, spec)
		})
	}
}

// TestInnerBytes: a packet's bytes are the whole packet's, also where a tag is beside it.
func TestInnerBytes(t *testing.T) {
	all := oracle.InnerFixtures()
	frame := all[slices.IndexFunc(all, func(f oracle.Fixture) bool { return f.Name == "vxlan in IPv4: ipv4/udp" })].Frame
	for name, at := range map[string]place{
		"XDP":        Config{Inner: true, NoFrags: !takesFrags()}.slot(),
		"tc":         trafficControl{copied: copied{true}},
		"tag beside": tagged{trafficControl{copied: copied{true}}},
	} {
		t.Run(name, func(t *testing.T) {
			want := frame
			if name == "tag beside" {
				want = onWire(frame)
			}
			m := newTCMachine(t, Config{All: true, Inner: true, SnapLen: 1000}, at)
			if _, err := m.program.Run(&ebpf.RunOptions{Data: frame, DataOut: make([]byte, 512)}); err != nil {
				t.Fatal(err)
			}
			if err := m.events.ReadInto(&m.sample); err != nil {
				t.Fatal(err)
			}
			var record wire.WideRecord
			if err := record.Decode(m.sample.RawSample); err != nil {
				t.Fatal(err)
			}
			got := record.Packet(m.sample.RawSample)
			if !bytes.Equal(got, want) || record.Outer.Tunnel == wire.NoTunnel {
				t.Errorf("of %+v\n got %x\nwant %x", record, got, want)
			}
		})
	}
}

// TestInnerStrictAlignment is [TestStrictAlignment]: an inner Ethernet header puts what is behind
// it two bytes off.
func TestInnerStrictAlignment(t *testing.T) {
	const strictAlignment = 1 << 0
	for name, cfg := range innerConfigs() {
		for _, at := range []Place{XDP, TCIngress} {
			cfg.Place = at
			t.Run(name+" at "+at.String(), func(t *testing.T) {
				spec, err := Program(cfg)
				if err != nil {
					t.Fatal(err)
				}
				spec.Programs[ProgramName].Flags |= strictAlignment
				load(t, spec)
			})
		}
	}
}
