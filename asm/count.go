package asm

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm/wire"
)

// Count has the program keep a table of what matches, by a key: packets, bytes, first
// and last time, TCP flags seen. Nothing is lost in it: what finds no room for a row
// of its own is counted as other, so that rows and other together are what matched, in
// packets and bytes. Package reader reads and empties it ([reader.Table]).
type Count struct {
	// By is the key. Default: [wire.BySource].
	By wire.CountBy

	// Rows is how many rows there are for each CPU, rounded up to a power of two, from
	// [MinRows] to [MaxRows]. Default: [DefaultRows]. There are two tables of
	// them, of which the reader has one while the program writes to the other: see [Count.Bytes].
	Rows int

	// Seed is mixed into the hash of keys, so that nobody who doesn't know it can choose
	// sources that contend for the same rows. Default: 0.
	Seed uint64

	// Events has the program hand over records too. Default: it only counts, and what
	// is counted is captured, of which none is lost.
	Events bool
}

// Numbers of [Count.Rows].
const (
	DefaultRows = 16384
	MinRows     = wire.CountProbes
	MaxRows     = 1 << 21
)

// rows is Rows as there are.
func (c Count) rows() int {
	if c.Rows == 0 {
		return DefaultRows
	}
	return powerOfTwo(c.Rows)
}

// Bytes is how much memory the tables take for so many CPUs.
func (c Count) Bytes(cpus int) int { return 2 * cpus * c.By.RegionSize(c.rows()) }

// reports says whether records are handed over.
func (cfg Config) reports() bool { return cfg.Count == nil || cfg.Count.Events }

// checkCount returns what is wrong with a count.
func (cfg Config) checkCount() error {
	c := cfg.Count
	if c == nil {
		return nil
	}
	switch {
	case c.By >= wire.CountBys:
		return fmt.Errorf("count by unknown key %d", c.By)
	case c.Rows != 0 && (c.Rows < MinRows || c.Rows > MaxRows):
		return fmt.Errorf("a table of %d rows per CPU: %d to %d", c.Rows, MinRows, MaxRows)
	case cfg.Clock == HardwareClock:
		return errors.New("rows of a table bear times of one clock, and not of every device's own")
	case cfg.CPUs < 1:
		return fmt.Errorf("to count, the number of possible CPUs must be known")
	case cfg.Replay:
		return fmt.Errorf("recorded packets are counted by who reads them")
	case c.By == wire.ByVerdict && !allBeside(cfg.Programs()):
		return fmt.Errorf("there are no verdicts to count by at %v", cfg.Programs()[0])
	}
	return nil
}

func allBeside(places []Place) bool {
	for _, at := range places {
		if at != Beside {
			return false
		}
	}
	return true
}

// maps are the two tables, and which of them is written.
func (c Count) maps(cpus int) map[string]*ebpf.MapSpec {
	table := func(name string) *ebpf.MapSpec {
		return &ebpf.MapSpec{
			Name:       name,
			Type:       ebpf.Array,
			KeySize:    4,
			ValueSize:  uint32(c.By.RegionSize(c.rows())),
			MaxEntries: uint32(cpus),
			Flags:      flagMmapable,
		}
	}
	return map[string]*ebpf.MapSpec{
		wire.TableA: table(wire.TableA),
		wire.TableB: table(wire.TableB),
		wire.CountMap: {
			Name:       wire.CountMap,
			Type:       ebpf.ArrayOfMaps,
			KeySize:    4,
			ValueSize:  4,
			MaxEntries: 1,
			InnerMap:   table("rows"),
			Contents:   []ebpf.MapKV{{Key: uint32(0), Value: wire.TableA}},
		},
	}
}

// silent is no transport: nothing is handed over, as the packet has been counted.
type silent struct{}

func (silent) maps() map[string]*ebpf.MapSpec { return make(map[string]*ebpf.MapSpec) }
func (silent) begin(b *builder)               { b.onStack() }
func (silent) submit(*builder, label)         {}
