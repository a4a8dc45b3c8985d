package run

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader"
)

// Counting is what has a program count by a key: so many rows on each CPU, or 0 for
// [asm.DefaultRows], as far as the machine has memory for them on each CPU that may ever be
// there.
func Counting(by wire.CountBy, rows int) (*asm.Count, error) {
	possible, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, fmt.Errorf("count the CPUs: %w", err)
	}
	var seed [8]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("choose a seed: %w", err)
	}
	count := &asm.Count{By: by, Rows: rows, Seed: binary.NativeEndian.Uint64(seed[:])}
	if rows == 0 {
		count.Rows = asm.DefaultRows
		for most := sharedMemory(); count.Bytes(possible) > int(most) && count.Rows > asm.MinRows; {
			count.Rows /= 2
		}
	}
	return count, nil
}

// counts says whether packets are counted by a key, and not reported.
func (o *Options) counts() bool { return o.Program.Count != nil && !o.Program.Count.Events }

// Table is what the program counts by a key; nil where it does not. It ends with the
// capture.
func (c *Capture) Table() *reader.Table { return c.table }

// memory says how much memory a count takes.
func (o *Options) memory() string {
	possible, err := ebpf.PossibleCPU()
	if err != nil {
		return ""
	}
	return ", counted in " + binarySize(o.Program.Count.Bytes(possible))
}
