package asm

import (
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/layout"
)

// headerless is tc on an interface whose packets begin with their IP header, as those
// of tunnels do. The copy of such a packet gets an Ethernet header with its type alone:
// so the parser and the filter see what they know. Its length, and its bytes where they
// are reported, are the packet's own.
//
// Some tunnels leave in place what was before a packet when it was received, and hand
// it to programs at tc, too: xfrm interfaces the Ethernet header of the interface below,
// ipip, sit and gre before Linux 5.14 all of the outer headers. It is no part of the packet.
type headerless struct{ trafficControl }

// skbProtocol is the EtherType, in network order.
var skbProtocol = layout.Field{Name: "__sk_buff.protocol", Offset: 16, Size: bpf.Word}

// maxLead bounds what is before a packet, in bytes: a power of two less 1.
const maxLead = 127

// begin copies the packet's beginning; it is also where the program goes on from
// copyAll, once.
func (h headerless) begin(b *builder) {
	b.findLead()
	b.copying(copyUsual, h.most())
	b.findCopy()
	h.Length(b.Builder)
	b.Emit(bpf.Mov.Reg(record, bpf.R0))
	b.atMost(h.most(), 1)
	b.Emit(bpf.Mov.Reg(header, end))

	b.Emit(bpf.Mov.Imm(bpf.R1, 0))
	for offset := int16(0); offset < layout.EtherType.Offset; offset += 2 {
		b.Emit(bpf.StoreMem(header, offset, bpf.R1, bpf.Half))
	}
	skbProtocol.LoadRaw(b.Builder, bpf.R1, ctx)
	b.Note(layout.EtherType.Name, bpf.StoreMem(header, layout.EtherType.Offset, bpf.R1, bpf.Half))
	lead(b.Builder, bpf.R2)
	b.Emit(
		bpf.Mov.Reg(bpf.R1, ctx),
		bpf.Mov.Reg(bpf.R3, header),
		bpf.Add.Imm(bpf.R3, layout.EtherLen),
		bpf.Mov.Reg(bpf.R4, record),
		bpf.FnSkbLoadBytes.Call(),
		bpf.Add.Reg(end, record),
		bpf.Add.Imm(end, layout.EtherLen),
	)
	b.Jump(parse)

	b.Block(parse)
}

// findLead leaves in layout.LeadSlot how much is before the packet's network header, which
// the kernel does not say. It says whether there is a byte so far behind that header, of those in
// memory in one piece, whose end is known: where the last one of them is there, counted from the
// header as from the beginning, nothing is before it, as is usual. Else each bit of the difference
// is found by another such question.
func (b *builder) findLead() {
	const startNetwork = 1 // BPF_HDR_START_NET (linux/bpf.h)
	sum, size, at := end, header, record
	found := b.Fresh("lead_found")
	// ask leaves 0 in r0 where there is a byte as far behind the network header as a register
	// says, and less otherwise.
	ask := func() {
		b.Emit(
			bpf.Mov.Reg(bpf.R1, ctx),
			bpf.Mov.Reg(bpf.R2, at),
			bpf.Mov.Reg(bpf.R3, stack),
			bpf.Add.Imm(bpf.R3, int32(layout.LeadSlot)),
			bpf.Mov.Imm(bpf.R4, 1),
			bpf.Mov.Imm(bpf.R5, startNetwork),
			bpf.FnSkbLoadBytesRelative.Call(),
		)
	}
	skbDataEnd.LoadRaw(b.Builder, size, ctx)
	skbData.LoadRaw(b.Builder, bpf.R1, ctx)
	b.Emit(
		bpf.Sub.Reg(size, bpf.R1),
		bpf.Mov.Imm(sum, 0),
		bpf.Mov.Reg(at, size),
		bpf.Sub.Imm(at, 1),
	)
	ask()
	b.JumpIf(bpf.R0, bpf.JEq, 0, found)
	for step := int32(maxLead+1) / 2; step > 0; step /= 2 {
		b.Emit(
			bpf.Mov.Reg(at, size),
			bpf.Sub.Reg(at, sum),
			bpf.Sub.Imm(at, step),
		)
		ask()
		b.Emit( // without jumps, of which the verifier would follow each combination
			bpf.ArSh.Imm(bpf.R0, 63),
			bpf.ArSh.Imm(at, 63), // all bits where there are fewer bytes in all
			bpf.Xor.Imm(at, -1),
			bpf.And.Reg(bpf.R0, at),
			bpf.And.Imm(bpf.R0, step),
			bpf.Add.Reg(sum, bpf.R0),
		)
	}
	b.Jump(found)
	b.Block(found)
	b.Note("lead", bpf.StoreMem(stack, layout.LeadSlot, sum, bpf.DWord))
}

// lead leaves in a register how much is before the packet.
func lead(b *assemble.Builder, dst bpf.Register) {
	b.Note("lead", bpf.LoadMem(dst, stack, layout.LeadSlot, bpf.DWord))
}

// Length implements [match.Place]: no tag is beside such a packet.
func (headerless) Length(b *assemble.Builder) {
	skbLen.LoadRaw(b, bpf.R0, ctx)
	lead(b, bpf.R1)
	b.Emit(bpf.Sub.Reg(bpf.R0, bpf.R1))
}

func (h headerless) fate(b *builder) { h.fateBehind(b, layout.EtherLen) }

// Further implements [match.Place].
func (h headerless) Further(b *assemble.Builder, otherwise assemble.Label) {
	h.notYet(b, otherwise)
	b.Jump(copyAll)
}

// Copy implements [match.Place]. What is before the packet is never asked for: it is in
// the copy.
func (h headerless) Copy(b *assemble.Builder, slot int16, size int32) {
	lead(b, bpf.R1)
	b.Emit(
		bpf.Sub.Imm(bpf.R0, layout.EtherLen),
		bpf.Add.Reg(bpf.R0, bpf.R1),
	)
	h.trafficControl.Copy(b, slot, size)
}

// ahead adds what is before the packet, with which the helper begins.
func (headerless) ahead(b *builder, size bpf.Register) {
	lead(b.Builder, bpf.R0)
	b.Emit(bpf.Add.Reg(size, bpf.R0))
}

// sampled says in the record how much of the sample is before the packet, where a packet
// without tags has room: see [wire.Record.Packet]. In a tunnel that is the outer one.
func (headerless) sampled(b *builder) bpf.BuiltinFunc {
	said, alone := b.Fresh("lead_said"), b.Fresh("in_no_tunnel")
	say := func(f layout.RecordField) {
		lead(b.Builder, bpf.R0)
		f.Load(b.Builder, bpf.R1) // half of the segments
		b.Emit(bpf.Or.Reg(bpf.R0, bpf.R1))
		b.store(f, bpf.R0)
	}
	if b.inner {
		layout.Outer.Tunnel.Load(b.Builder, bpf.R0)
		b.JumpIf(bpf.R0, bpf.JEq, 0, alone)
		say(layout.Outer.OuterVLAN)
		b.Jump(said)
		b.Block(alone)
	}
	say(layout.Rec.OuterVLAN)
	if b.inner {
		b.Jump(said)
		b.Block(said)
	}
	b.Emit(bpf.Mov.Reg(bpf.R1, ctx))
	return bpf.FnPerfEventOutput
}

// packet leaves out what is before it.
func (headerless) packet(b *builder, to, size bpf.Register) {
	lead(b.Builder, bpf.R2)
	b.Emit(
		bpf.Mov.Reg(bpf.R1, ctx),
		bpf.Mov.Reg(bpf.R3, to),
		bpf.Mov.Reg(bpf.R4, size),
		bpf.FnSkbLoadBytes.Call(),
	)
}
