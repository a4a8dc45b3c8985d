package engine

import (
	"os"
	"strconv"
	"testing"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/filtertest"
	"github.com/xdplog/xdplog/asm/internal/oracle"
	"github.com/xdplog/xdplog/asm/wire"
)

// against compares what the engine says of a frame with what the oracle says, to
// which asm's tests hold the program in the kernel.
func against(t *testing.T, e *Engine, all bool, frame []byte) {
	t.Helper()
	want := oracle.Decode(frame, len(frame))
	var got wire.Record
	reported := e.Run(&got, frame, len(frame))
	if wanted := all || oracle.Default(&want); reported != wanted {
		t.Fatalf("frame %x: reported %v, want %v", frame, reported, wanted)
	}
	if reported && got != want {
		t.Fatalf("frame %x:\n got %+v\nwant %+v", frame, got, want)
	}
}

func newEngine(t testing.TB, cfg asm.Config) *Engine {
	t.Helper()
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEveryFixtureAtEveryLength(t *testing.T) {
	all, tcpUDP := newEngine(t, asm.Config{All: true}), newEngine(t, asm.Config{})
	for _, fixture := range oracle.Fixtures() {
		for length := range len(fixture.Frame) + 1 {
			against(t, all, true, fixture.Frame[:length])
			against(t, tcpUDP, false, fixture.Frame[:length])
		}
	}
}

// TestDifferential runs made-up frames; XDPLOG_FUZZ_PACKETS says how many.
func TestDifferential(t *testing.T) {
	packets := 500_000
	if n, err := strconv.Atoi(os.Getenv("XDPLOG_FUZZ_PACKETS")); err == nil && n > 0 {
		packets = n
	}
	const longest = 9000
	generator := oracle.NewGenerator(uint64(os.Getpid()), longest)
	all, tcpUDP := newEngine(t, asm.Config{All: true}), newEngine(t, asm.Config{})
	var arena []byte
	for range packets {
		arena = generator.Append(arena[:0])
		against(t, all, true, arena)
		against(t, tcpUDP, false, arena)
	}
	counters := all.Counters()
	if counters.Seen != uint64(packets) || counters.Captured != counters.Seen {
		t.Errorf("counters %+v after %d packets", counters, packets)
	}
}

func TestSampling(t *testing.T) {
	frame := oracle.Fixtures()[0].Frame
	var record wire.Record
	e := newEngine(t, asm.Config{All: true, Sample: asm.Sampling{N: 10}})
	for i := range 100 {
		if got := e.Run(&record, frame, len(frame)); got != (i%10 == 0) {
			t.Errorf("packet %d is reported: %v", i, got)
		}
	}
	if c := e.Counters(); c.Captured != 10 || c.SampledOut != 90 || c.Matched() != 100 {
		t.Errorf("counters %+v", c)
	}
	e = newEngine(t, asm.Config{All: true, Sample: asm.Sampling{N: 10, Random: true}})
	const many = 100_000
	for range many {
		e.Run(&record, frame, len(frame))
	}
	if c := e.Counters(); c.Matched() != many || c.Captured < many/10*9/10 || c.Captured > many/10*11/10 {
		t.Errorf("counters %+v of one in ten by chance", c)
	}
}

func TestRefused(t *testing.T) {
	for _, cfg := range []asm.Config{
		{Filter: &filter.Filter{}},
		{Filter: &filter.Filter{Root: filter.Constant(true)}, All: true},
		{Clock: asm.HardwareClock + 1},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
	var zero Engine
	if zero.Run(new(wire.Record), make([]byte, 60), 60) || zero.Counters().Seen != 1 {
		t.Error("the zero value reports packets")
	}
}

// TestAllocatesNothing: an engine is for files of any size.
func TestAllocatesNothing(t *testing.T) {
	wanted, err := filter.Parse("udp port 53 or host 192.0.2.1 or tcp[13] & 2 != 0")
	if err != nil {
		t.Fatal(err)
	}
	e := newEngine(t, asm.Config{Filter: wanted})
	frames := oracle.Fixtures()
	var record wire.Record
	if n := testing.AllocsPerRun(100, func() {
		for _, f := range frames {
			e.Run(&record, f.Frame, len(f.Frame))
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRun(b *testing.B) {
	frame := filtertest.Frames(1)[0].Data
	for _, expression := range []string{"", "tcp port 443", "udp dst port 53 and src net 192.0.2.0/24"} {
		b.Run(expression, func(b *testing.B) {
			var cfg asm.Config
			if expression != "" {
				wanted, err := filter.Parse(expression)
				if err != nil {
					b.Fatal(err)
				}
				cfg.Filter = wanted
			}
			e := newEngine(b, cfg)
			var record wire.Record
			for b.Loop() {
				e.Run(&record, frame, len(frame))
			}
		})
	}
}

// TestNewOfAnyProgram: what a config says of the kernel alone does not keep an engine from
// being made of it.
func TestNewOfAnyProgram(t *testing.T) {
	for _, cfg := range []asm.Config{
		{Count: &asm.Count{}},
		{Transport: asm.Mmap, SnapLen: asm.Mmap.MaxSnapLen()},
		{Transport: asm.Mmap, SnapLen: 100, Keep: true, Until: &filter.Filter{Root: filter.Constant(true)}},
	} {
		if _, err := New(cfg); err != nil {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}
