package asm

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm/internal/oracle"
)

// TestDifferential runs made-up packets through the program in the kernel, and
// holds what it does against the oracle.
//
// XDPLOG_FUZZ_PACKETS is how many, 0 to go on until stopped (with -timeout 0), and
// XDPLOG_FUZZ_SEED the seed, which is printed.
func TestDifferential(t *testing.T) {
	seed := fuzzSeed(t)
	newDifferential(t, seed).run(t, seed)
}

// fuzzSeed is the environment's, or another one each time.
func fuzzSeed(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(number(t, "XDPLOG_FUZZ_SEED", rand.Int64()))
	t.Logf("XDPLOG_FUZZ_SEED=%d", seed)
	return seed
}

// run holds the programs against the oracle on as many packets as the environment says.
func (d *differential) run(t *testing.T, seed uint64) {
	t.Helper()
	packets := uint64(number(t, "XDPLOG_FUZZ_PACKETS", 200_000))
	start := time.Now()
	printed := start
	done := uint64(0)
	for packets == 0 || done < packets {
		if err := d.batch(); err != nil {
			t.Fatalf("XDPLOG_FUZZ_SEED=%d, after %d packets: %v", seed, done, err)
		}
		done += batchSize
		if packets == 0 && time.Since(printed) > time.Minute {
			printed = time.Now()
			t.Logf("%d packets, %.0f a minute", done, float64(done)/time.Since(start).Minutes())
		}
	}
	t.Logf("%d packets, each through %d programs; %.0f packets a minute", done, len(d.machines), float64(done)/time.Since(start).Minutes())
	for _, m := range d.machines {
		t.Logf("%+v: %d packets, %d events", m.cfg, m.counted.Seen, m.counted.Captured)
	}
}

// BenchmarkDifferential measures how many packets that goes through.
func BenchmarkDifferential(b *testing.B) {
	d := newDifferential(b, 1)
	for b.Loop() {
		if err := d.batch(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(batchSize*float64(b.N)/b.Elapsed().Minutes(), "packets/min")
	b.ReportMetric(0, "ns/op") // of a batch
}

// A differential is made-up packets, and the programs that they go through.
type differential struct {
	machines  []*machine
	splits    bool
	generator *oracle.Generator
	packets   [batchSize]packet
	arena     []byte
}

func newDifferential(t testing.TB, seed uint64) *differential {
	t.Helper()
	return newDifferentialOf(t, seed, Config{}, Config{All: true})
}

func newDifferentialOf(t testing.TB, seed uint64, configs ...Config) *differential {
	t.Helper()
	d := &differential{
		splits:    true,
		generator: oracle.NewGenerator(seed, longestFrame(t)),
	}
	for _, cfg := range configs {
		cfg.NoFrags = !takesFrags() // where the kernel has no frags there is no other program
		m := newMachine(t, cfg)
		d.machines = append(d.machines, m)
		d.splits = m.splits() && d.splits
	}
	return d
}

// batch holds the programs against the oracle on some packets more.
func (d *differential) batch() error {
	d.arena = fill(d.generator, d.arena[:0], d.packets[:], d.splits)
	for _, m := range d.machines {
		if err := m.check(d.packets[:]); err != nil {
			return err
		}
	}
	return nil
}

// fill sets the packets of a batch to made-up ones, whose bytes it appends to
// arena. Some are split where the kernel would not.
func fill(g *oracle.Generator, arena []byte, batch []packet, splits bool) []byte {
	var ends [batchSize]int
	for i := range batch {
		arena = g.Append(arena)
		ends[i] = len(arena)
	}
	start := 0
	for i := range batch {
		batch[i] = whole(arena[start:ends[i]:ends[i]])
		start = ends[i]
		const most = 1 << 15 // what the first buffer does not take must fit into the others
		if splits && g.Intn(8) == 0 && len(batch[i].frame) < most {
			batch[i].first = g.Intn(min(len(batch[i].frame), 200) + 1)
		}
	}
	return arena
}

// number returns the environment's value for name.
func number(t *testing.T, name string, otherwise int64) int64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil || value < 0 {
		t.Fatalf("%s is %q, want a whole number", name, text)
	}
	return value
}
