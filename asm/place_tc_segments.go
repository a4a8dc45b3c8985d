package asm

import (
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// Of how many segments a packet is, in struct __sk_buff.
var (
	skbGSOSegments = layout.Field{Name: "__sk_buff.gso_segs", Offset: 164, Size: bpf.Word} // Linux 5.1
	skbGSOSize     = layout.Field{Name: "__sk_buff.gso_size", Offset: 176, Size: bpf.Word} // bytes of each; Linux 5.7
)

// fate is the direction, whether the tag is beside the packet, and the segments.
func (t trafficControl) fate(b *builder) { t.fateBehind(b, 0) }

// fateBehind is fate where so many bytes that a copy begins with are not the packet's.
func (t trafficControl) fateBehind(b *builder, before int32) {
	few, one, told := b.Fresh("few_segments"), b.Fresh("one_segment"), b.Fresh("segments")
	b.addFate(uint8(t.way) << wire.DirectionShift)
	skbVLANPresent.LoadRaw(b.Builder, bpf.R2, ctx)
	b.Emit(
		bpf.LSh.Imm(bpf.R2, wire.TagBesideShift),
		bpf.Or.Reg(bpf.R1, bpf.R2),
	)
	b.store(layout.Rec.Tags, bpf.R1)

	skbGSOSegments.LoadRaw(b.Builder, bpf.R1, ctx)
	b.JumpIf(bpf.R1, bpf.JNE, 0, told)
	b.segments(before, one)
	b.Block(told)
	b.JumpIf(bpf.R1, bpf.JLE, 1, one)
	b.JumpIf(bpf.R1, bpf.JLE, wire.MaxSegments, few)
	b.Emit(bpf.Mov.Imm(bpf.R1, wire.MaxSegments))
	b.Block(few)
	b.Emit(
		bpf.Mov.Reg(bpf.R2, bpf.R1),
		bpf.RSh.Imm(bpf.R2, 4),
	)
	for _, half := range []struct {
		field layout.RecordField
		value bpf.Register
	}{{layout.Rec.OuterVLAN, bpf.R1}, {layout.Rec.InnerVLAN, bpf.R2}} {
		half.field.Load(b.Builder, bpf.R3)
		b.Emit(
			bpf.LSh.Imm(half.value, wire.SegmentShift),
			bpf.Or.Reg(bpf.R3, half.value), // a store of 16 bits cuts what is above
		)
		b.store(half.field, bpf.R3)
	}
	b.Block(one)
}

// segments leaves in r1 how many segments a packet is, of which the kernel knows how long they are
// and has not counted them, as of those that a virtual machine or its host has merged, or not
// cut. One that is none goes to otherwise.
func (b *builder) segments(before int32, otherwise label) {
	known := b.Fresh("headers")
	skbGSOSize.LoadRaw(b.Builder, bpf.R1, ctx)
	b.JumpIf(bpf.R1, bpf.JEq, 0, otherwise)
	b.Note("start", bpf.LoadMem(bpf.R3, stack, layout.StartSlot, bpf.DWord))
	b.Emit(
		bpf.Mov.Reg(bpf.R2, header),
		bpf.Sub.Reg(bpf.R2, bpf.R3),
		bpf.Add.Imm(bpf.R2, layout.UDPLen-before), // which each segment has
	)
	layout.Rec.Flags.Load(b.Builder, bpf.R3)
	b.Emit(bpf.And.Imm(bpf.R3, int32(wire.FlagTCP)))
	b.JumpIf(bpf.R3, bpf.JEq, 0, known)
	b.Emit(
		bpf.Mov.Reg(bpf.R3, header),
		bpf.Add.Imm(bpf.R3, int32(layout.TCPOffset.Offset)+1),
	)
	b.JumpIfReg(bpf.R3, bpf.JGT, end, known) // never: behind it are the flags
	b.load(bpf.R3, layout.TCPOffset)
	b.Emit(
		bpf.RSh.Imm(bpf.R3, 4),
		bpf.LSh.Imm(bpf.R3, 2),
		bpf.Sub.Imm(bpf.R2, layout.UDPLen),
		bpf.Add.Reg(bpf.R2, bpf.R3),
	)
	b.Block(known)
	b.Note("length", bpf.LoadMem(bpf.R3, stack, layout.LengthSlot, bpf.DWord))
	b.JumpIfReg(bpf.R3, bpf.JLE, bpf.R2, otherwise)
	b.Emit(
		bpf.Sub.Reg(bpf.R3, bpf.R2),
		bpf.Add.Reg(bpf.R3, bpf.R1),
		bpf.Sub.Imm(bpf.R3, 1),
		bpf.Div.Reg32(bpf.R3, bpf.R1), // JIT compilers of 32 bits have none of 64
		bpf.Mov.Reg(bpf.R1, bpf.R3),
	)
}
