package reader

import (
	"fmt"
	"os"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm/wire"
)

// counters are those of a collection, which must stay open.
type counters struct{ perCPU *ebpf.Map }

func countersOf(coll *ebpf.Collection) (counters, error) {
	perCPU := coll.Maps[wire.CountersMap]
	if perCPU == nil {
		return counters{}, fmt.Errorf("collection lacks map %q", wire.CountersMap)
	}
	return counters{perCPU}, nil
}

// Counters returns what the programs of the collection have counted since they
// were loaded, over all CPUs and interfaces.
func (c counters) Counters() (wire.Counters, error) {
	var sum wire.Counters
	if c.perCPU == nil {
		return sum, fmt.Errorf("read counters: %w", os.ErrClosed)
	}
	for slot := range c.perCPU.MaxEntries() {
		one, err := c.CountersOf(uint8(slot))
		if err != nil {
			return wire.Counters{}, err
		}
		sum.Add(one)
	}
	return sum, nil
}

// CountersOf is Counters of one program, by the number that its events bear: see
// [asm.Config.Interfaces].
func (c counters) CountersOf(slot uint8) (wire.Counters, error) {
	var sum wire.Counters
	if c.perCPU == nil {
		return sum, fmt.Errorf("read counters: %w", os.ErrClosed)
	}
	var perCPU []wire.Counters
	if err := c.perCPU.Lookup(uint32(slot), &perCPU); err != nil {
		return sum, fmt.Errorf("read counters of program %d: %w", slot, err)
	}
	for _, c := range perCPU {
		sum.Add(c)
	}
	return sum, nil
}
