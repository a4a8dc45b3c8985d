package asm

import (
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// store writes a scalar of the record.
func (b *builder) store(f layout.RecordField, from bpf.Register) { b.storeAt(f, 0, from, f.Size) }

// storeImm writes a constant to a scalar of the record.
func (b *builder) storeImm(f layout.RecordField, value int64) { b.storeImmAt(f, 0, value, f.Size) }

// storeAt writes size bytes at an offset into a field of the record.
func (b *builder) storeAt(f layout.RecordField, offset int16, from bpf.Register, size bpf.Size) {
	b.Note("record."+f.Name, bpf.StoreMem(record, int16(f.Offset)+offset, from, size))
}

func (b *builder) storeImmAt(f layout.RecordField, offset int16, value int64, size bpf.Size) {
	b.Note("record."+f.Name, bpf.StoreImm(record, int16(f.Offset)+offset, value, size))
}

// clearScalars zeroes what not every packet has: all from the ports on, which
// is two double words.
func (b *builder) clearScalars() {
	b.Emit(bpf.Mov.Imm(bpf.R1, 0))
	for offset := layout.Rec.SourcePort.Offset; offset < uintptr(wire.RecordSize); offset += 8 {
		b.Emit(bpf.StoreMem(record, int16(offset), bpf.R1, bpf.DWord))
	}
}

// clearAddresses zeroes the addresses, in a packet that has none.
func (b *builder) clearAddresses() {
	b.Emit(bpf.Mov.Imm(bpf.R1, 0))
	for offset := layout.Rec.Source.Offset; offset < layout.Rec.Destination.Offset+16; offset += 8 {
		b.Emit(bpf.StoreMem(record, int16(offset), bpf.R1, bpf.DWord))
	}
}

// decoded writes what the parser holds in registers.
func (b *builder) decoded() {
	b.store(layout.Rec.Flags, flags)
	b.store(layout.Rec.Protocol, next)
}

// complete fills in what is the same for every packet, once it is known that
// it will be reported: these cost most.
func (b *builder) complete(clock Clock) {
	b.place.time(b, clock)
	b.store(layout.Rec.Time, bpf.R0)

	b.length()
	if b.slot != 0 {
		b.Emit(bpf.Or.Imm32(bpf.R0, int32(uint32(b.slot)<<wire.SlotShift)))
	}
	b.store(layout.Rec.Length, bpf.R0)

	b.place.iface(b, bpf.R1)
	b.store(layout.Rec.Interface, bpf.R1)

	b.place.fate(b)
	if b.hashes {
		b.place.rxHash(b)
	}
}

// length leaves in r0 the packet's, and keeps it to be counted.
func (b *builder) length() {
	b.place.Length(b.Builder)
	b.Note("length", bpf.StoreMem(stack, layout.LengthSlot, bpf.R0, bpf.DWord))
}

// now leaves in r0 the time of a clock of the kernel's.
func (b *builder) now(clock Clock) {
	switch clock {
	case NoClock:
		b.Emit(bpf.Mov.Imm(bpf.R0, 0))
	case CoarseClock:
		b.Emit(bpf.FnKtimeGetCoarseNs.Call())
	default:
		b.Emit(bpf.FnKtimeGetNs.Call())
	}
}
