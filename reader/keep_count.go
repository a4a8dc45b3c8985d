package reader

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm/wire"
)

// keptCount tells how many packets are missing before one that was kept: of those that
// its program has counted on its CPU, the ones that are not delivered.
type keptCount struct {
	counters *ebpf.Map
	known    bool                // what was counted up to the last time
	before   map[keptSlot]uint64 // that
}

// keptSlot is a program on a CPU.
type keptSlot struct {
	cpu  int
	slot uint8
}

func newKeptCount(coll *ebpf.Collection) (keptCount, error) {
	all, err := countersOf(coll)
	if err != nil {
		return keptCount{}, err
	}
	now, err := all.Counters()
	if err != nil {
		return keptCount{}, err
	}
	// Of an earlier reader nobody knows what it has delivered.
	return keptCount{counters: all.perCPU, known: now.Captured == 0, before: make(map[keptSlot]uint64)}, nil
}

// lost is what was lost so far, and captured what was captured.
func (k *keptCount) lost() (map[keptSlot]uint64, error) {
	return k.each(func(c *wire.Counters) uint64 { return c.Lost })
}

func (k *keptCount) captured() (map[keptSlot]uint64, error) {
	return k.each(func(c *wire.Counters) uint64 { return c.Captured })
}

func (k *keptCount) each(of func(*wire.Counters) uint64) (map[keptSlot]uint64, error) {
	all := make(map[keptSlot]uint64)
	for slot := range k.counters.MaxEntries() {
		var perCPU []wire.Counters
		if err := k.counters.Lookup(slot, &perCPU); err != nil {
			return nil, fmt.Errorf("read counters of program %d: %w", slot, err)
		}
		for cpu := range perCPU {
			all[keptSlot{cpu, uint8(slot)}] = of(&perCPU[cpu])
		}
	}
	return all, nil
}

// missing sets of the first of each program's packets on each CPU how many are missing
// before it. What was lost is what was before the programs stopped, for what is lost since
// comes behind these packets.
func (k *keptCount) missing(entries []keptEntry, lost, captured map[keptSlot]uint64) {
	here := make(map[keptSlot]uint64)
	for i := range entries {
		here[keptSlot{entries[i].cpu, entries[i].record.Slot()}]++
	}
	seen := make(map[keptSlot]bool)
	for i := range entries {
		at := keptSlot{entries[i].cpu, entries[i].record.Slot()}
		if seen[at] {
			continue
		}
		seen[at] = true
		now := lost[at] + captured[at]
		if k.known {
			entries[i].missing = max(now, k.before[at]+here[at]) - k.before[at] - here[at]
		}
		k.before[at] = now
	}
	if !k.known { // from here on it is, also of those of which nothing came
		for at, n := range captured {
			k.before[at] = n + lost[at]
		}
		k.known = true
	}
}
