package asm

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/internal/match"
	"github.com/xdplog/xdplog/asm/wire"
)

// A ring that is kept is a flight recorder: the last packets, of which nobody takes notice
// until something happens. What is written over was captured, and is not delivered.

// checkKeep returns what is wrong with keeping.
func (cfg Config) checkKeep() error {
	switch {
	case !cfg.Keep && cfg.Until != nil:
		return errors.New("there is a filter until which to keep packets, and none are kept: Keep")
	case !cfg.Keep:
		return nil
	case cfg.Transport != Mmap || cfg.SnapLen == 0:
		return fmt.Errorf("packets are kept in rings of transport %v, with their bytes: SnapLen", Mmap)
	case cfg.Clock == HardwareClock:
		return errors.New("packets are kept in the order of their times, which are not those of every device's own clock")
	case !cfg.reports():
		return errors.New("packets are kept, and only counted: Count.Events")
	}
	if cfg.Until != nil {
		return cfg.checkFilter(cfg.Until)
	}
	return nil
}

// graceMaps are what the kernel is asked by whether no program runs any more.
func graceMaps() map[string]*ebpf.MapSpec {
	inner := func(name string) *ebpf.MapSpec {
		return &ebpf.MapSpec{Name: name, Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	}
	return map[string]*ebpf.MapSpec{
		wire.GraceInner: inner(wire.GraceInner),
		wire.GraceMap: {
			Name: wire.GraceMap, Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1,
			InnerMap: inner("inner"), Contents: []ebpf.MapKV{{Key: uint32(0), Value: wire.GraceInner}},
		},
	}
}

// until marks the ring where a second filter finds the packet, of which the record is not
// complete yet. It returns the maps that this looks things up in.
func (b *builder) until(f *filter.Filter) map[string]*ebpf.MapSpec {
	const other label = "until_not"
	b.Roles(layout.ParseRoles())
	layout.Rec.Flags.Load(b.Builder, flags)
	layout.Rec.Protocol.Load(b.Builder, next)
	tables := match.CompileNamed(b.Builder, b.place, f, other, "until")
	b.Roles(nil)
	b.Note("ring", bpf.LoadMem(bpf.R1, stack, layout.RingSlot, bpf.DWord))
	b.Note("ring.hit", bpf.LoadMem(bpf.R2, bpf.R1, int16(layout.OffHit), bpf.DWord))
	b.JumpIf(bpf.R2, bpf.JNE, 0, other)
	b.Emit(bpf.Mov.Imm(bpf.R2, 1))
	b.Note("ring.hit", bpf.StoreMem(bpf.R1, int16(layout.OffHit), bpf.R2, bpf.DWord))
	b.Block(other)
	return tables
}

// roomToKeep goes to lost while a reader looks at the ring, and where no ring is large
// enough.
func (r packetRing) roomToKeep(b *builder, lost label) {
	b.Note("ring", bpf.LoadMem(bpf.R1, stack, layout.RingSlot, bpf.DWord))
	b.Note("ring.tail", bpf.LoadMem(bpf.R2, bpf.R1, int16(layout.OffTail), bpf.DWord))
	b.JumpIf(bpf.R2, bpf.JNE, 0, lost)
	b.JumpIf(need, bpf.JGT, int32(r.bytes-r.spare()), lost)
}

// linkBack has the entry know where the one before it begins.
func (r packetRing) linkBack(b *builder) {
	b.Note("ring", bpf.LoadMem(bpf.R1, stack, layout.RingSlot, bpf.DWord))
	b.Note("ring.last", bpf.LoadMem(bpf.R2, bpf.R1, int16(layout.OffLast), bpf.DWord))
	b.Note("entry.before", bpf.StoreMem(record, int16(layout.OffEntryLost)-int16(wire.EntrySize), bpf.R2, bpf.Word))
}

// wakeOnHit rings the bell for the packet that the second filter has found, once.
func (r packetRing) wakeOnHit(b *builder, awake label) {
	b.Note("ring.last", bpf.StoreMem(bpf.R1, int16(layout.OffLast), need, bpf.DWord))
	b.Note("ring.hit", bpf.LoadMem(bpf.R2, bpf.R1, int16(layout.OffHit), bpf.DWord))
	b.JumpIf(bpf.R2, bpf.JNE, 1, awake)
	b.Emit(bpf.Add.Imm(bpf.R2, 1))
	b.Note("ring.hit", bpf.StoreMem(bpf.R1, int16(layout.OffHit), bpf.R2, bpf.DWord))
	b.ring(record)
}
