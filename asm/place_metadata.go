package asm

import (
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// Metadata is what the driver of a device is asked of each packet beside its bytes, by
// functions of the kernel's (XDP metadata, Linux 6.3). A program that asks is one
// device's, and is attached there alone, natively. Functions are by their numbers in the
// kernel's BTF; 0 is not asked. [loader.Metadata] says it of an interface.
type Metadata struct {
	Index     uint32     // of the interface, in the network namespace of the thread that loads
	VLANTag   btf.TypeID // bpf_xdp_metadata_rx_vlan_tag (Linux 6.8): the tag that is not in the packet
	Timestamp btf.TypeID // bpf_xdp_metadata_rx_timestamp (6.3): of [HardwareClock]
	Hash      btf.TypeID // bpf_xdp_metadata_rx_hash (6.3): of [Config.Hash]
}

// asked is the XDP slot of a device that keeps VLAN tags beside packets, and tells them.
// A packet with one is parsed where it lies, as if its tag had been the first to be read.
// Where code asks for bytes, by their place in the frame on the wire, such a packet is
// copied at once, with the tag where it is there, as at tc: so the parser and the filter,
// which know nothing of all this, see that frame.
type asked struct {
	xdpSlot
	inPlace bool              // packets with a tag are parsed where they lie, too
	looked  *bool             // set when code asks for bytes by their place; nil: nobody wants to know
	vlanTag []bpf.Instruction // is given ctx, and pointers to TPID and TCI; leaves 0 in r0 where there is one
}

// flagDevBound is BPF_F_XDP_DEV_BOUND_ONLY (linux/bpf.h, 6.3).
const flagDevBound = 1 << 6

// Parts of layout.TagSlot.
const (
	tagTPID   = layout.TagSlot     // as on the wire
	tagTCI    = layout.TagSlot + 2 // the same
	tagLength = layout.TagSlot + 4 // of the tag that is beside the packet: layout.TagLen, or 0
)

// asks returns the XDP slot of a device.
func (s xdpSlot) asks(m Metadata) place {
	if s.stamp = nil; m.Timestamp != 0 {
		s.stamp = []bpf.Instruction{kernelFunction(m.Timestamp)}
	}
	if s.hashed = nil; m.Hash != 0 {
		s.hashed = []bpf.Instruction{kernelFunction(m.Hash)}
	}
	s.device = m.Index
	if m.VLANTag == 0 || !s.copies {
		return s
	}
	return asked{xdpSlot: s, vlanTag: []bpf.Instruction{kernelFunction(m.VLANTag)}}
}

// kernelFunction calls a function of the kernel's (kfunc).
func kernelFunction(id btf.TypeID) bpf.Instruction {
	return bpf.Instruction{OpCode: bpf.OpCode(bpf.JumpClass).SetJumpOp(bpf.Call), Src: bpf.PseudoKfuncCall, Constant: int64(id)}
}

// begin is also where the program goes on from copyAll, once, as at tc.
func (a asked) begin(b *builder) {
	mdData.LoadRaw(b.Builder, header, ctx)
	mdDataEnd.LoadRaw(b.Builder, end, ctx)
	b.inPlace()
	a.ask(b)
	copyIt := b.Fresh("copy")
	if a.inPlace {
		b.Jump(parse)
		b.Block(copyAll)
		b.Emit(bpf.Mov.Imm(header, a.most()))
	} else {
		b.Emit(bpf.Mov.Imm(header, copyUsual))
		b.Block(copyIt)
	}
	b.copyBeginning(a.most(), func() {
		tagBesideXDP(b.Builder, bpf.R1)
		b.Emit(bpf.Add.Reg(bpf.R3, bpf.R1))
	})
	tagBesideXDP(b.Builder, bpf.R1)
	b.JumpIf(bpf.R1, bpf.JEq, 0, parse)
	b.Emit(bpf.Add.Imm(end, layout.TagLen))
	for offset := int16(0); offset < addressesLen; offset += 2 {
		b.Emit(
			bpf.LoadMem(bpf.R1, header, layout.TagLen+offset, bpf.Half),
			bpf.StoreMem(header, offset, bpf.R1, bpf.Half),
		)
	}
	for offset := int16(0); offset < layout.TagLen; offset += 2 {
		b.Note("vlan", bpf.LoadMem(bpf.R1, stack, layout.TagSlot+offset, bpf.Half))
		b.Emit(bpf.StoreMem(header, addressesLen+offset, bpf.R1, bpf.Half))
	}
	b.Jump(parse)

	if !a.inPlace {
		b.Block(copyAll)
		b.Emit(bpf.Mov.Imm(header, a.most()))
		b.Jump(copyIt)
	}

	b.Block(parse)
}

// tagFirst reads the tag that is beside a packet which is parsed where it lies, as vlan reads the
// first one, and goes to second behind it. next stays the EtherType that is in the packet.
func (a asked) tagFirst(b *builder, second label) {
	none := b.Fresh("tag_in_packet")
	b.Note("vlan.length", bpf.LoadMem(bpf.R1, stack, tagLength, bpf.Word))
	b.JumpIf(bpf.R1, bpf.JEq, 0, none)
	b.Note("copied", bpf.LoadMem(bpf.R1, stack, layout.CopiedSlot, bpf.DWord))
	b.JumpIf(bpf.R1, bpf.JNE, 0, none) // and with it the tag
	b.Note("vlan.tci", bpf.LoadMem(bpf.R1, stack, tagTCI, bpf.Half))
	b.Emit(
		bpf.HostTo(bpf.BE, bpf.R1, bpf.Half),
		bpf.And.Imm(bpf.R1, wire.VLANMask),
	)
	b.store(layout.Rec.OuterVLAN, bpf.R1)
	b.storeImm(layout.Rec.Tags, 1)
	b.Jump(second)
	b.Block(none)
}

// looks notes that code asks for bytes by their place.
func (a asked) looks() {
	if a.looked != nil {
		*a.looked = true
	}
}

// Start implements [match.Place].
func (a asked) Start(b *assemble.Builder, dst bpf.Register) {
	a.looks()
	a.xdpSlot.Start(b, dst)
}

// ask leaves in layout.TagSlot the tag that is beside the packet, as it is on the wire, and
// goes to parse where there is none.
func (a asked) ask(b *builder) {
	b.Emit(
		bpf.Mov.Imm(bpf.R1, 0),
		bpf.StoreMem(stack, layout.TagSlot, bpf.R1, bpf.DWord),
		bpf.Mov.Reg(bpf.R1, ctx),
		bpf.Mov.Reg(bpf.R2, stack),
		bpf.Add.Imm(bpf.R2, int32(tagTPID)),
		bpf.Mov.Reg(bpf.R3, stack),
		bpf.Add.Imm(bpf.R3, int32(tagTCI)),
	)
	b.Emit(a.vlanTag...)
	// 4 of 0, and 0 of all else, without a jump: by one, the verifier would look at the
	// program twice.
	b.Emit(
		bpf.Mov.Reg32(bpf.R0, bpf.R0),
		bpf.Sub.Imm(bpf.R0, 1),
		bpf.RSh.Imm(bpf.R0, 63),
		bpf.LSh.Imm(bpf.R0, 2), // of layout.TagLen
	)
	b.Note("vlan.length", bpf.StoreMem(stack, tagLength, bpf.R0, bpf.Word))
	b.JumpIf(bpf.R0, bpf.JEq, 0, parse)
	b.Note("vlan.tci", bpf.LoadMem(bpf.R1, stack, tagTCI, bpf.Half))
	b.Emit(bpf.HostTo(bpf.BE, bpf.R1, bpf.Half))
	b.Note("vlan.tci", bpf.StoreMem(stack, tagTCI, bpf.R1, bpf.Half))
}

// tagBesideXDP leaves in a register the length of the tag that is beside the packet, or 0.
func tagBesideXDP(b *assemble.Builder, dst bpf.Register) {
	b.Note("vlan.length", bpf.LoadMem(dst, stack, tagLength, bpf.Word))
	b.Emit(bpf.And.Imm(dst, layout.TagLen)) // which the verifier does not know
}

// Length implements [match.Place]: with the tag that is beside the packet.
func (a asked) Length(b *assemble.Builder) {
	a.xdpSlot.Length(b)
	tagBesideXDP(b, bpf.R1)
	b.Emit(bpf.Add.Reg(bpf.R0, bpf.R1))
}

// Further implements [match.Place].
func (a asked) Further(b *assemble.Builder, otherwise assemble.Label) { a.further(b, a, otherwise) }

// Copy implements [match.Place]. What precedes a tag that is beside the packet is never
// asked for: it is in the copy.
func (a asked) Copy(b *assemble.Builder, slot int16, size int32) {
	a.looks()
	tagBesideXDP(b, bpf.R1)
	b.Emit(bpf.Sub.Reg(bpf.R0, bpf.R1))
	a.xdpSlot.Copy(b, slot, size)
}

// fate is the direction, and whether the tag is beside the packet.
func (a asked) fate(b *builder) {
	b.addFate(uint8(a.way) << wire.DirectionShift)
	tagBesideXDP(b.Builder, bpf.R2)
	b.Emit(
		bpf.LSh.Imm(bpf.R2, wire.TagBesideShift-2), // of layout.TagLen
		bpf.Or.Reg(bpf.R1, bpf.R2),
	)
	b.store(layout.Rec.Tags, bpf.R1)
}

// sampled is as at tc.
func (asked) sampled(b *builder) bpf.BuiltinFunc {
	plain := b.Fresh("no_tag_beside")
	tagBesideXDP(b.Builder, bpf.R0)
	b.JumpIf(bpf.R0, bpf.JEq, 0, plain)
	b.tagBehindRecord(putTag(b))
	b.Block(plain)
	return bpf.FnPerfEventOutput
}

// putTag returns what writes the tag before packet bytes. It takes r0.
func putTag(b *builder) func(at bpf.Register, offset int16) {
	return func(at bpf.Register, offset int16) {
		b.Note("vlan", bpf.LoadMem(bpf.R0, stack, layout.TagSlot, bpf.Word))
		b.Emit(bpf.StoreMem(at, offset, bpf.R0, bpf.Word))
	}
}

// packet has a tag that is beside the packet before its bytes, as sampled does.
func (a asked) packet(b *builder, to, size bpf.Register) {
	plain, copied := b.Fresh("no_tag_beside"), b.Fresh("packet_copied")
	tagBesideXDP(b.Builder, bpf.R0)
	b.JumpIf(bpf.R0, bpf.JEq, 0, plain)
	putTag(b)(to, 0)
	b.Emit(bpf.Mov.Imm(bpf.R0, 0))
	b.JumpIf(size, bpf.JLE, layout.TagLen, copied) // never: a tagged packet is longer
	b.Emit(
		bpf.Mov.Reg(bpf.R1, ctx),
		bpf.Mov.Imm(bpf.R2, 0),
		bpf.Mov.Reg(bpf.R3, to),
		bpf.Add.Imm(bpf.R3, layout.TagLen),
		bpf.Mov.Reg(bpf.R4, size),
		bpf.Sub.Imm(bpf.R4, layout.TagLen),
		bpf.FnXdpLoadBytes.Call(),
	)
	b.Jump(copied)
	b.Block(plain)
	a.xdpSlot.packet(b, to, size)
	b.Block(copied)
}

// deviceTime leaves in r0 when the device saw the packet, by its own clock, marked as
// such; or where it does not say, the time of the kernel's clock. ask leaves in r0 what it says, 0 where
// that is nothing, or jumps where it is an error.
func (b *builder) deviceTime(ask func(none label)) {
	none, known := b.Fresh("no_hardware_time"), b.Fresh("hardware_time")
	ask(none)
	b.JumpIf(bpf.R0, bpf.JEq, 0, none)
	b.Emit(
		bpf.LoadImm(bpf.R1, -1<<63, bpf.DWord), // wire.HardwareTime
		bpf.Or.Reg(bpf.R0, bpf.R1),
	)
	b.Jump(known)
	b.Block(none)
	b.now(PreciseClock)
	b.Block(known)
}

// hardwareTime asks the driver, which may answer with success and no time.
func (s xdpSlot) hardwareTime(b *builder, none label) {
	const slot = layout.FilterSlot - 8 // where the filter's keys are, which are used up
	b.Emit(
		bpf.Mov.Imm(bpf.R1, 0),
		bpf.StoreMem(stack, slot, bpf.R1, bpf.DWord),
		bpf.Mov.Reg(bpf.R1, ctx),
		bpf.Mov.Reg(bpf.R2, stack),
		bpf.Add.Imm(bpf.R2, int32(slot)),
	)
	b.Emit(s.stamp...)
	b.Emit(bpf.Mov.Reg32(bpf.R0, bpf.R0))
	b.JumpIf(bpf.R0, bpf.JNE, 0, none)
	b.Note("hardware_time", bpf.LoadMem(bpf.R0, stack, slot, bpf.DWord))
}

// deviceHash has the driver write the hash into the record. One that says an error may have
// written all the same.
func (b *builder) deviceHash(ask []bpf.Instruction) {
	told := b.Fresh("hash_told")
	b.Emit(
		bpf.Mov.Reg(bpf.R1, ctx),
		bpf.Mov.Reg(bpf.R2, record),
		bpf.Add.Imm(bpf.R2, int32(layout.Hash.Value.Offset)),
		bpf.Mov.Reg(bpf.R3, record),
		bpf.Add.Imm(bpf.R3, int32(layout.Hash.Over.Offset)),
	)
	b.Emit(ask...)
	b.Emit(bpf.Mov.Reg32(bpf.R0, bpf.R0))
	b.JumpIf(bpf.R0, bpf.JEq, 0, told)
	b.Emit(bpf.Mov.Imm(bpf.R1, 0))
	b.storeAt(layout.Hash.Value, 0, bpf.R1, bpf.DWord)
	b.Block(told)
}
