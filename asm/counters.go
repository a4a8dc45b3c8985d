package asm

import (
	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// counters finds this CPU's counters and counts the packet as seen.
func (b *builder) counters(pass label) {
	b.Emit(
		bpf.Mov.Imm(bpf.R0, int32(b.slot)),
		bpf.StoreMem(stack, layout.CountersSlot, bpf.R0, bpf.Word), // key
		bpf.Mov.Reg(bpf.R2, stack),
		bpf.Add.Imm(bpf.R2, int32(layout.CountersSlot)),
		bpf.LoadMapPtr(bpf.R1, 0).WithReference(wire.CountersMap),
		bpf.FnMapLookupElem.Call(),
	)
	b.JumpIf(bpf.R0, bpf.JEq, 0, pass) // never; the verifier wants it
	b.Note("counters", bpf.StoreMem(stack, layout.CountersSlot, bpf.R0, bpf.DWord))
	b.increment(bpf.R0, "seen", layout.OffSeen)
}

// count increments one of the counters.
func (b *builder) count(name string, offset uintptr) {
	b.Note("counters", bpf.LoadMem(bpf.R1, stack, layout.CountersSlot, bpf.DWord))
	b.increment(bpf.R1, name, offset)
}

// countBytes adds the length of the packet to the counters that count has left in r1.
func (b *builder) countBytes(name string, offset uintptr) {
	b.Note("length", bpf.LoadMem(bpf.R3, stack, layout.LengthSlot, bpf.DWord))
	b.Note("counters."+name, bpf.LoadMem(bpf.R2, bpf.R1, int16(offset), bpf.DWord))
	b.Emit(bpf.Add.Reg(bpf.R2, bpf.R3))
	b.Note("counters."+name, bpf.StoreMem(bpf.R1, int16(offset), bpf.R2, bpf.DWord))
}

// increment needs no atomic: the counters are this CPU's, and the program runs
// with softirqs off, so that nothing else counts here meanwhile.
func (b *builder) increment(counters bpf.Register, name string, offset uintptr) {
	b.Note("counters."+name, bpf.LoadMem(bpf.R2, counters, int16(offset), bpf.DWord))
	b.Emit(bpf.Add.Imm(bpf.R2, 1))
	b.Note("counters."+name, bpf.StoreMem(counters, int16(offset), bpf.R2, bpf.DWord))
}

// countersMap holds one wire.Counters per program and CPU.
func countersMap(programs int) *ebpf.MapSpec {
	return &ebpf.MapSpec{
		Name:       wire.CountersMap,
		Type:       ebpf.PerCPUArray,
		KeySize:    4,
		ValueSize:  uint32(wire.CountersSize),
		MaxEntries: uint32(programs),
	}
}

// sample lets one packet in n through, and sends the others to out.
func (b *builder) sample(s Sampling, out label) {
	switch {
	case s.N <= 1:
	case s.Random:
		// A number below 2^32/n comes up once in n times.
		b.Emit(
			bpf.FnGetPrandomU32.Call(),
			bpf.Mov.Imm32(bpf.R1, int32(uint32((1<<32-1)/uint64(s.N)))),
		)
		b.JumpIfReg(bpf.R0, bpf.JGT, bpf.R1, out)
	default:
		chosen := b.Fresh("chosen")
		b.Note("counters", bpf.LoadMem(bpf.R1, stack, layout.CountersSlot, bpf.DWord))
		b.Note("counters.skip", bpf.LoadMem(bpf.R2, bpf.R1, int16(layout.OffSkip), bpf.DWord))
		b.JumpIf(bpf.R2, bpf.JEq, 0, chosen)
		b.Emit(bpf.Sub.Imm(bpf.R2, 1))
		b.Note("counters.skip", bpf.StoreMem(bpf.R1, int16(layout.OffSkip), bpf.R2, bpf.DWord))
		b.Jump(out)

		b.Block(chosen)
		b.Emit(bpf.Mov.Imm32(bpf.R2, int32(s.N-1)))
		b.Note("counters.skip", bpf.StoreMem(bpf.R1, int16(layout.OffSkip), bpf.R2, bpf.DWord))
	}
}
