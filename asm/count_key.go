package asm

import (
	"encoding/binary"

	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// countKey leaves the words of the key on the stack; of a conversation in back, too,
// which way the packet goes.
func (b *builder) countKey(by wire.CountBy) {
	switch by {
	case wire.BySource:
		b.addressWords(layout.Rec.Source, 0)
		b.version(2)
	case wire.ByPair:
		b.addressWords(layout.Rec.Source, 0)
		b.addressWords(layout.Rec.Destination, 2)
		b.version(4)
	case wire.ByConversation:
		b.conversation()
	case wire.ByPort:
		b.portKey()
	case wire.ByVLAN:
		b.vlanKey()
	case wire.ByMAC:
		b.macKey()
	case wire.ByProtocol:
		b.protocolKey()
	case wire.ByPrefix:
		b.prefixKey()
	case wire.ByVerdict:
		layout.Rec.Tags.Load(b.Builder, bpf.R1)
		b.Emit(
			bpf.RSh.Imm(bpf.R1, wire.VerdictShift),
			bpf.And.Imm(bpf.R1, 0b111),
		)
		b.setKey(0, bpf.R1)
	}
}

// setKey stores a word of the key.
func (b *builder) setKey(word int, from bpf.Register) {
	b.Emit(bpf.StoreMem(stack, countKey+int16(8*word), from, bpf.DWord))
}

// addressHalf loads one of the two double words of an address.
func (b *builder) addressHalf(dst bpf.Register, of layout.RecordField, half int) {
	b.Note("record."+of.Name, bpf.LoadMem(dst, record, int16(of.Offset)+int16(8*half), bpf.DWord))
}

// addressWords makes an address two words of the key.
func (b *builder) addressWords(of layout.RecordField, word int) {
	for half := range 2 {
		b.addressHalf(bpf.R1, of, half)
		b.setKey(word+half, bpf.R1)
	}
}

// version makes a word of the key of which IP it is, if any: no IP has the addresses of ::.
func (b *builder) version(word int) {
	layout.Rec.Flags.Load(b.Builder, bpf.R1)
	b.Emit(bpf.And.Imm(bpf.R1, int32(wire.FlagIPv4|wire.FlagIPv6)))
	b.setKey(word, bpf.R1)
}

// conversation puts the two ends in the same order, whichever sent the packet: by their
// addresses as they lie in memory, as numbers of this machine, and then by port.
func (b *builder) conversation() {
	forth, backwards, done := label("forth_key"), label("back_key"), label("key_done")
	for half := range 2 {
		b.addressHalf(bpf.R1, layout.Rec.Source, half)
		b.addressHalf(bpf.R2, layout.Rec.Destination, half)
		b.JumpIfReg(bpf.R1, bpf.JLT, bpf.R2, forth)
		b.JumpIfReg(bpf.R1, bpf.JGT, bpf.R2, backwards)
	}
	layout.Rec.SourcePort.Load(b.Builder, bpf.R1)
	layout.Rec.DestinationPort.Load(b.Builder, bpf.R2)
	b.JumpIfReg(bpf.R1, bpf.JGT, bpf.R2, backwards)

	b.Block(forth)
	b.ends(layout.Rec.Source, layout.Rec.Destination, layout.Rec.SourcePort, layout.Rec.DestinationPort)
	b.Emit(bpf.Mov.Imm(bpf.R0, 0))
	b.Jump(done)

	b.Block(backwards)
	b.ends(layout.Rec.Destination, layout.Rec.Source, layout.Rec.DestinationPort, layout.Rec.SourcePort)
	b.Emit(bpf.Mov.Imm(bpf.R0, 1))

	b.Block(done)
	b.Emit(bpf.StoreMem(stack, countBack, bpf.R0, bpf.DWord))
	layout.Rec.Protocol.Load(b.Builder, bpf.R2)
	b.Emit(
		bpf.LSh.Imm(bpf.R2, wire.KeyProtocolShift),
		bpf.Or.Reg(bpf.R1, bpf.R2),
	)
	for _, tag := range []struct {
		id    layout.RecordField
		shift int32
	}{{layout.Rec.OuterVLAN, wire.KeyOuterShift}, {layout.Rec.InnerVLAN, 0}} {
		tag.id.Load(b.Builder, bpf.R2)
		b.Emit(
			bpf.And.Imm(bpf.R2, wire.VLANMask),
			bpf.LSh.Imm(bpf.R2, tag.shift),
			bpf.Or.Reg(bpf.R1, bpf.R2),
		)
	}
	b.setKey(4, bpf.R1)

	layout.Rec.Flags.Load(b.Builder, bpf.R1)
	b.Emit(bpf.And.Imm(bpf.R1, int32(wire.KeyFlags)))
	layout.Rec.Tags.Load(b.Builder, bpf.R2)
	b.Emit(
		bpf.And.Imm(bpf.R2, wire.TagsMask),
		bpf.LSh.Imm(bpf.R2, wire.KeyTagNumberShift),
		bpf.Or.Reg(bpf.R1, bpf.R2),
	)
	layout.Rec.EtherType.Load(b.Builder, bpf.R2)
	b.Emit(
		bpf.LSh.Imm(bpf.R2, wire.KeyEtherTypeShift),
		bpf.Or.Reg(bpf.R1, bpf.R2),
	)
	b.setKey(5, bpf.R1)
}

// ends makes words of the key of the two ends, and leaves in r1 the ports of the last.
func (b *builder) ends(low, high, lowPort, highPort layout.RecordField) {
	b.addressWords(low, 0)
	b.addressWords(high, 2)
	lowPort.Load(b.Builder, bpf.R1)
	highPort.Load(b.Builder, bpf.R2)
	b.Emit(
		bpf.LSh.Imm(bpf.R1, wire.KeyLowPortShift),
		bpf.LSh.Imm(bpf.R2, wire.KeyHighPortShift),
		bpf.Or.Reg(bpf.R1, bpf.R2),
	)
}

// portKey is the destination port and the protocol, and which of them there are.
func (b *builder) portKey() {
	layout.Rec.Flags.Load(b.Builder, bpf.R1)
	b.Emit(
		bpf.And.Imm(bpf.R1, int32(wire.KeyFlags)),
		bpf.LSh.Imm(bpf.R1, wire.KeyFlagShift-wire.KeyPortShift),
	)
	layout.Rec.DestinationPort.Load(b.Builder, bpf.R2) // 0 where there is none
	b.Emit(
		bpf.Or.Reg(bpf.R1, bpf.R2),
		bpf.LSh.Imm(bpf.R1, wire.KeyPortShift),
	)
	layout.Rec.Protocol.Load(b.Builder, bpf.R2)
	b.Emit(bpf.Or.Reg(bpf.R1, bpf.R2))
	b.setKey(0, bpf.R1)
}

// vlanKey is the number of tags and their ids, which mean nothing where there are fewer.
func (b *builder) vlanKey() {
	set := b.Fresh("vlan_key")
	b.Emit(bpf.Mov.Imm(bpf.R1, 0))
	layout.Rec.Tags.Load(b.Builder, bpf.R3)
	b.Emit(bpf.And.Imm(bpf.R3, wire.TagsMask))
	for i, id := range []layout.RecordField{layout.Rec.OuterVLAN, layout.Rec.InnerVLAN} {
		b.JumpIf(bpf.R3, bpf.JLE, int32(i), set)
		id.Load(b.Builder, bpf.R2)
		b.Emit(
			bpf.And.Imm(bpf.R2, wire.VLANMask),
			bpf.LSh.Imm(bpf.R2, int32(16-16*i)),
			bpf.Or.Reg(bpf.R1, bpf.R2),
		)
	}
	b.Block(set)
	b.Emit(
		bpf.LSh.Imm(bpf.R3, wire.KeyTagsShift),
		bpf.Or.Reg(bpf.R1, bpf.R3),
	)
	b.setKey(0, bpf.R1)
}

// Where the source is in an Ethernet header, and how long it is.
const (
	sourceMAC = 6
	macLen    = 6
)

// macKey is the source of the frame, as it stands there; 0 where the frame ends before.
func (b *builder) macKey() {
	none, set := b.Fresh("no_mac"), b.Fresh("mac_key")
	b.Emit(bpf.Mov.Imm(bpf.R1, 0))
	b.setKey(0, bpf.R1)
	b.place.Start(b.Builder, bpf.R1)
	b.Emit(
		bpf.Mov.Reg(bpf.R2, bpf.R1),
		bpf.Add.Imm(bpf.R2, sourceMAC+macLen),
	)
	b.within(bpf.R2, none)
	b.Note("ether.source", bpf.LoadMem(bpf.R2, bpf.R1, sourceMAC, bpf.Word))
	b.Emit(bpf.StoreMem(stack, countKey, bpf.R2, bpf.Word))
	b.Note("ether.source", bpf.LoadMem(bpf.R2, bpf.R1, sourceMAC+4, bpf.Half))
	b.Emit(bpf.StoreMem(stack, countKey+4, bpf.R2, bpf.Half))
	b.Jump(set)
	b.Block(none)
	if b.place.Fragmented() { // it may be in another buffer
		b.Emit(bpf.Mov.Imm(bpf.R0, sourceMAC))
		b.place.Copy(b.Builder, countKey, macLen)
		b.JumpIf(bpf.R0, bpf.JEq, 0, set)
		b.Emit(bpf.Mov.Imm(bpf.R1, 0))
		b.setKey(0, bpf.R1) // what a helper that fails leaves is its own affair
	}
	b.Block(set)
}

// protocolKey is the IP protocol, or else the EtherType.
func (b *builder) protocolKey() {
	ip, set := b.Fresh("ip_key"), b.Fresh("protocol_key")
	layout.Rec.Flags.Load(b.Builder, bpf.R2)
	b.Emit(bpf.And.Imm(bpf.R2, int32(wire.FlagIPv4|wire.FlagIPv6)))
	b.JumpIf(bpf.R2, bpf.JNE, 0, ip)
	layout.Rec.EtherType.Load(b.Builder, bpf.R1)
	b.Jump(set)
	b.Block(ip)
	layout.Rec.Protocol.Load(b.Builder, bpf.R1)
	b.Emit(
		bpf.LoadImm(bpf.R2, wire.KeyIP, bpf.DWord),
		bpf.Or.Reg(bpf.R1, bpf.R2),
	)
	b.Block(set)
	b.setKey(0, bpf.R1)
}

// prefixKey is the source without what tells the hosts of a site apart.
func (b *builder) prefixKey() {
	v4, set := b.Fresh("ipv4_prefix"), b.Fresh("prefix_key")
	layout.Rec.Flags.Load(b.Builder, bpf.R3)
	b.Emit(bpf.And.Imm(bpf.R3, int32(wire.FlagIPv4)))
	b.addressHalf(bpf.R1, layout.Rec.Source, 0)
	b.addressHalf(bpf.R2, layout.Rec.Source, 1)
	b.JumpIf(bpf.R3, bpf.JNE, 0, v4)
	b.Emit(
		bpf.LoadImm(bpf.R3, int64(inMemory(0xffff_ffff_ffff_0000)), bpf.DWord), // 48 bits
		bpf.And.Reg(bpf.R1, bpf.R3),
		bpf.Mov.Imm(bpf.R2, 0),
	)
	b.Jump(set)
	b.Block(v4)
	b.Emit(
		bpf.LoadImm(bpf.R3, int64(inMemory(0xffff_ffff_ffff_ff00)), bpf.DWord), // all but the last 8
		bpf.And.Reg(bpf.R2, bpf.R3),
	)
	b.Block(set)
	b.setKey(0, bpf.R1)
	b.setKey(1, bpf.R2)
	b.version(2)
}

// inMemory is the number whose bytes in this machine's memory are those of n in network
// byte order.
func inMemory(n uint64) uint64 {
	return binary.NativeEndian.Uint64(binary.BigEndian.AppendUint64(nil, n))
}
