package asm

import (
	"math/bits"

	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// Places on the stack, in the filter's part: it has decided.
const (
	countZero = layout.FilterSlot - 8  // a key that is 0
	countCPU  = layout.FilterSlot - 16 // this CPU's number
	countBack = layout.FilterSlot - 24 // of a conversation: which way the packet goes
	countKey  = countBack - 8*6        // the words of the key
)

// Registers while a row is looked for, in which nothing is called.
const (
	region   = bpf.R0
	slot     = bpf.R1 // where the key belongs: a number of a row, not yet bounded
	tableRow = bpf.R2
	back     = bpf.R5 // of a conversation: 1 where the packet goes from the higher end to the lower
)

// tally counts a packet whose record is complete in its row, or as other.
func (b *builder) tally(c Count) {
	b.Roles(nil)
	b.countKey(c.By)
	b.findRegion()
	b.hash(c)
	if c.By == wire.ByConversation {
		b.Emit(bpf.LoadMem(back, stack, countBack, bpf.DWord))
	}

	fresh, found, counted := label("fresh_row"), label("row_found"), label("tallied")
	for i := range wire.CountProbes {
		b.probe(c, i, fresh, found)
	}
	// There is no room: it is one of the others.
	b.Note("region.packets", bpf.LoadMem(bpf.R3, region, int16(layout.OffOtherPackets), bpf.DWord))
	b.Emit(bpf.Add.Imm(bpf.R3, 1))
	b.Note("region.packets", bpf.StoreMem(region, int16(layout.OffOtherPackets), bpf.R3, bpf.DWord))
	b.recordLength(bpf.R4)
	b.Note("region.bytes", bpf.LoadMem(bpf.R3, region, int16(layout.OffOtherBytes), bpf.DWord))
	b.Emit(bpf.Add.Reg(bpf.R3, bpf.R4))
	b.Note("region.bytes", bpf.StoreMem(region, int16(layout.OffOtherBytes), bpf.R3, bpf.DWord))
	b.Jump(counted)

	b.Block(fresh)
	b.newRow(c)

	b.Block(found)
	b.addToRow(c)

	b.Block(counted)
}

// findRegion leaves in r0 this CPU's part of the table that is written.
func (b *builder) findRegion() {
	b.Emit(
		bpf.FnGetSmpProcessorId.Call(),
		bpf.StoreMem(stack, countCPU, bpf.R0, bpf.Word),
		bpf.StoreImm(stack, countZero, 0, bpf.Word),
		bpf.Mov.Reg(bpf.R2, stack),
		bpf.Add.Imm(bpf.R2, int32(countZero)),
		bpf.LoadMapPtr(bpf.R1, 0).WithReference(wire.CountMap),
		bpf.FnMapLookupElem.Call(),
	)
	b.JumpIf(bpf.R0, bpf.JEq, 0, pass) // never: one of the two is always there
	b.Emit(
		bpf.Mov.Reg(bpf.R1, bpf.R0),
		bpf.Mov.Reg(bpf.R2, stack),
		bpf.Add.Imm(bpf.R2, int32(countCPU)),
		bpf.FnMapLookupElem.Call(),
	)
	b.JumpIf(bpf.R0, bpf.JEq, 0, pass) // a CPU without a region: see Config.CPUs
}

// spread is 2^64 divided by the golden ratio: the upper bits of what is multiplied by
// it depend on all bits, also where those that differ are few and side by side.
const spread = 0x9e3779b97f4a7c15

// hash leaves in slot the number of the row where the key belongs. Keys that an
// attacker chooses to fall on the same rows would be counted as other, no more: it is
// seeded, and needs to be no better than that.
func (b *builder) hash(c Count) {
	b.Emit(bpf.LoadImm(bpf.R3, int64(c.Seed), bpf.DWord))
	golden := uint64(spread)
	b.Emit(bpf.LoadImm(bpf.R4, int64(golden), bpf.DWord))
	for i := range c.By.Words() {
		if i > 0 {
			b.Emit(
				bpf.Mov.Reg(bpf.R3, slot),
				bpf.RSh.Imm(bpf.R3, 32),
				bpf.Xor.Reg(bpf.R3, slot),
			)
		}
		b.keyWord(slot, i)
		b.Emit(
			bpf.Xor.Reg(slot, bpf.R3),
			bpf.Mul.Reg(slot, bpf.R4),
		)
	}
	b.Emit(bpf.RSh.Imm(slot, int32(64-bits.TrailingZeros(uint(c.rows())))))
}

// probe looks at the i-th row from slot on.
func (b *builder) probe(c Count, i int, fresh, found label) {
	other := b.Fresh("next_row")
	b.Emit(bpf.Mov.Reg(tableRow, slot))
	if i > 0 {
		b.Emit(bpf.Add.Imm(tableRow, int32(i)))
	}
	b.Emit(
		bpf.And.Imm(tableRow, int32(c.rows()-1)),
		bpf.LSh.Imm(tableRow, int32(bits.TrailingZeros(uint(c.By.RowSize())))),
		bpf.Add.Reg(tableRow, region),
		bpf.Add.Imm(tableRow, int32(wire.CountRegionSize)),
	)
	b.Note("row.meta", bpf.LoadMem(bpf.R3, tableRow, int16(layout.OffRowMeta), bpf.DWord))
	b.JumpIf(bpf.R3, bpf.JEq, 0, fresh)
	for word := range c.By.Words() {
		b.Note("row.key", bpf.LoadMem(bpf.R3, tableRow, rowKey(word), bpf.DWord))
		b.keyWord(bpf.R4, word)
		b.JumpIfReg(bpf.R3, bpf.JNE, bpf.R4, other)
	}
	b.Jump(found)
	b.Block(other)
}

// newRow begins the row that is free.
func (b *builder) newRow(c Count) {
	for word := range c.By.Words() {
		b.keyWord(bpf.R4, word)
		b.Note("row.key", bpf.StoreMem(tableRow, rowKey(word), bpf.R4, bpf.DWord))
	}
	b.Emit(bpf.Mov.Imm(bpf.R3, 0))
	b.Note("row.packets", bpf.StoreMem(tableRow, int16(layout.OffRowPackets), bpf.R3, bpf.DWord))
	b.Note("row.bytes", bpf.StoreMem(tableRow, int16(layout.OffRowBytes), bpf.R3, bpf.DWord))
	if c.By == wire.ByConversation {
		b.Note("row.back_packets", bpf.StoreMem(tableRow, rowKey(c.By.Words()), bpf.R3, bpf.DWord))
		b.Note("row.back_bytes", bpf.StoreMem(tableRow, rowKey(c.By.Words()+1), bpf.R3, bpf.DWord))
	}
	meta := bpf.R3
	b.Emit(bpf.Mov.Imm(meta, wire.CountUsed))
	if c.By == wire.ByConversation {
		b.Emit(
			bpf.Mov.Reg(bpf.R4, back),
			bpf.LSh.Imm(bpf.R4, int32(bits.TrailingZeros(wire.CountBackFirst))),
			bpf.Or.Reg(meta, bpf.R4),
		)
	}
	b.Note("row.meta", bpf.StoreMem(tableRow, int16(layout.OffRowMeta), meta, bpf.DWord))
	layout.Rec.Time.Load(b.Builder, bpf.R4)
	b.Note("row.first", bpf.StoreMem(tableRow, int16(layout.OffRowFirst), bpf.R4, bpf.DWord))
}

// addToRow counts the packet in its row.
func (b *builder) addToRow(c Count) {
	layout.Rec.Time.Load(b.Builder, bpf.R3)
	b.Note("row.last", bpf.StoreMem(tableRow, int16(layout.OffRowLast), bpf.R3, bpf.DWord))
	b.Note("row.meta", bpf.LoadMem(bpf.R3, tableRow, int16(layout.OffRowMeta), bpf.DWord))
	layout.Rec.TCPFlags.Load(b.Builder, bpf.R4)
	b.Emit(bpf.LSh.Imm(bpf.R4, wire.CountFlagsShift))
	if c.By == wire.ByConversation {
		forth := b.Fresh("forth")
		b.JumpIf(back, bpf.JEq, 0, forth)
		b.Emit(
			bpf.LSh.Imm(bpf.R4, wire.CountBackFlags-wire.CountFlagsShift),
			bpf.Add.Imm(tableRow, int32(rowKey(c.By.Words()))-int32(layout.OffRowPackets)), // where its counts are
			bpf.Or.Reg(bpf.R3, bpf.R4),
		)
		b.Note("row.meta", bpf.StoreMem(tableRow, int16(layout.OffRowPackets)-rowKey(c.By.Words())+int16(layout.OffRowMeta), bpf.R3, bpf.DWord))
		counts := b.Fresh("counts")
		b.Jump(counts)
		b.Block(forth)
		b.Emit(bpf.Or.Reg(bpf.R3, bpf.R4))
		b.Note("row.meta", bpf.StoreMem(tableRow, int16(layout.OffRowMeta), bpf.R3, bpf.DWord))
		b.Block(counts)
	} else {
		b.Emit(bpf.Or.Reg(bpf.R3, bpf.R4))
		b.Note("row.meta", bpf.StoreMem(tableRow, int16(layout.OffRowMeta), bpf.R3, bpf.DWord))
	}
	b.Note("row.packets", bpf.LoadMem(bpf.R3, tableRow, int16(layout.OffRowPackets), bpf.DWord))
	b.Emit(bpf.Add.Imm(bpf.R3, 1))
	b.Note("row.packets", bpf.StoreMem(tableRow, int16(layout.OffRowPackets), bpf.R3, bpf.DWord))
	b.recordLength(bpf.R4)
	b.Note("row.bytes", bpf.LoadMem(bpf.R3, tableRow, int16(layout.OffRowBytes), bpf.DWord))
	b.Emit(bpf.Add.Reg(bpf.R3, bpf.R4))
	b.Note("row.bytes", bpf.StoreMem(tableRow, int16(layout.OffRowBytes), bpf.R3, bpf.DWord))
}

// recordLength leaves in a register the length of the packet.
func (b *builder) recordLength(dst bpf.Register) {
	layout.Rec.Length.Load(b.Builder, dst)
	if b.slot != 0 {
		b.Emit(bpf.And.Imm(dst, wire.MaxLength))
	}
}

// rowKey is where a word of the key is in a row.
func rowKey(word int) int16 { return int16(wire.CountRowSize + 8*word) }

// keyWord loads a word of the key.
func (b *builder) keyWord(dst bpf.Register, word int) {
	b.Emit(bpf.LoadMem(dst, stack, countKey+int16(8*word), bpf.DWord))
}
