package asm

import (
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// inIP is a tunnel that has no header of its own.
func (b *builder) inIP(tunnel wire.Tunnel, etherType int32) {
	b.storeImm(layout.Outer.Tunnel, int64(tunnel))
	b.Emit(bpf.Mov.Imm(next, etherType))
	b.Jump(insideIP)
}

// identified notes a tunnel, and its identifier, which is in r1.
func (b *builder) identified(tunnel wire.Tunnel) {
	b.store(layout.Outer.ID, bpf.R1)
	b.storeImm(layout.Outer.HasID, 1)
	b.storeImm(layout.Outer.Tunnel, int64(tunnel))
}

// vxlan steps over UDP's header and VXLAN's. One without a VNI, or whose payload may be
// anything, goes to otherwise.
func (b *builder) vxlan(otherwise label) {
	b.have(layout.TunnelLen, otherwise)
	b.load(bpf.R1, layout.VXLANFlags)
	b.Emit(bpf.And.Imm(bpf.R1, layout.VXLANKnown))
	b.JumpIf(bpf.R1, bpf.JNE, layout.VXLANHasVNI, otherwise)
	b.load(bpf.R1, layout.VXLANVNI)
	b.Emit(bpf.RSh.Imm(bpf.R1, 8))
	b.identified(wire.VXLAN)
	b.Emit(bpf.Add.Imm(header, layout.TunnelLen))
	b.Jump(insideEther)
}

// geneve steps over UDP's header, Geneve's and its options, and leaves the EtherType of what
// follows in next. Another version goes to otherwise.
func (b *builder) geneve(otherwise label) {
	b.have(layout.TunnelLen, otherwise)
	b.load(bpf.R3, layout.GeneveLength)
	b.JumpIf(bpf.R3, bpf.JGT, 0x3f, otherwise)
	b.load(next, layout.GeneveProtocol)
	b.load(bpf.R1, layout.GeneveVNI)
	b.Emit(bpf.RSh.Imm(bpf.R1, 8))
	b.identified(wire.Geneve)
	b.Emit(
		bpf.And.Imm(bpf.R3, 0x3f), // as was asked; older verifiers don't know
		bpf.LSh.Imm(bpf.R3, 2),    // counted in 4 bytes
		bpf.Add.Reg(header, bpf.R3),
		bpf.Add.Imm(header, layout.TunnelLen),
	)
	b.Jump(byEtherType)
}

// gre steps over a GRE header, and leaves the EtherType of what follows in next. One that
// says what is not known goes to otherwise.
func (b *builder) gre(otherwise label) {
	keyless := b.Fresh("no_key")
	b.have(layout.GREMinLen, otherwise)
	b.load(bpf.R1, layout.GREFlags)
	b.Emit(
		bpf.Mov.Reg(bpf.R3, bpf.R1),
		bpf.And.Imm(bpf.R3, layout.GREUnknown),
	)
	b.JumpIf(bpf.R3, bpf.JNE, 0, otherwise)
	b.load(next, layout.GREProtocol)
	b.storeImm(layout.Outer.Tunnel, int64(wire.GRE))

	b.greField(layout.GREChecksum)
	b.Emit(
		bpf.Mov.Reg(bpf.R3, bpf.R1),
		bpf.And.Imm(bpf.R3, 1<<layout.GREKeyBit),
	)
	b.JumpIf(bpf.R3, bpf.JEq, 0, keyless)
	b.have(layout.GREMinLen+4, otherwise)
	b.load(bpf.R3, layout.GREKey)
	b.store(layout.Outer.ID, bpf.R3)
	b.storeImm(layout.Outer.HasID, 1)
	b.Emit(bpf.Add.Imm(header, 4))
	b.Block(keyless)
	b.greField(layout.GRESequence)
	b.Emit(bpf.Add.Imm(header, layout.GREMinLen))
	b.Jump(byEtherType)
}

// greField steps over the field that a bit of r1 announces.
func (b *builder) greField(bit int32) {
	b.Emit(
		bpf.Mov.Reg(bpf.R3, bpf.R1),
		bpf.RSh.Imm(bpf.R3, bit-2),
		bpf.And.Imm(bpf.R3, 4),
		bpf.Add.Reg(header, bpf.R3),
	)
}

// gtpu steps over UDP's header, GTP-U's and its extension headers. What is no user's
// packet goes to otherwise.
func (b *builder) gtpu(otherwise label) {
	b.have(layout.TunnelLen, otherwise)
	b.load(bpf.R3, layout.GTPFlags)
	b.Emit(
		bpf.Mov.Reg(bpf.R1, bpf.R3),
		bpf.And.Imm(bpf.R1, layout.GTPKnown),
	)
	b.JumpIf(bpf.R1, bpf.JNE, layout.GTPUser, otherwise)
	b.load(bpf.R1, layout.GTPType)
	b.JumpIf(bpf.R1, bpf.JNE, layout.GTPData, otherwise)
	b.load(bpf.R1, layout.GTPTEID)
	b.identified(wire.GTPU)
	b.Emit(
		bpf.Add.Imm(header, layout.TunnelLen),
		bpf.And.Imm(bpf.R3, layout.GTPOptions),
	)
	b.JumpIf(bpf.R3, bpf.JEq, 0, byVersion)
	b.have(layout.GTPOptLen, otherwise)
	b.load(next, layout.GTPNext)
	b.Emit(
		bpf.Add.Imm(header, layout.GTPOptLen),
		bpf.And.Imm(bpf.R3, layout.GTPHasNext),
	)
	b.JumpIf(bpf.R3, bpf.JEq, 0, byVersion)
	for range layout.MaxGTPExtensions {
		b.JumpIf(next, bpf.JEq, 0, byVersion)
		b.have(1, otherwise)
		b.load(bpf.R3, layout.GTPExtLength)
		b.JumpIf(bpf.R3, bpf.JEq, 0, otherwise)
		b.Emit(
			bpf.LSh.Imm(bpf.R3, 2), // counted in 4 bytes
			bpf.Add.Reg(bpf.R3, header),
		)
		b.within(bpf.R3, otherwise)
		b.Emit(
			bpf.Mov.Reg(header, bpf.R3),
			bpf.LoadMem(next, header, -1, bpf.Byte), // its last byte
		)
	}
	b.JumpIf(next, bpf.JNE, 0, otherwise)
	b.Jump(byVersion)
}

// version4Or6 leaves in next the EtherType of the IP packet at header, whose version tells.
func (b *builder) version4Or6(otherwise label) {
	six := b.Fresh("version_6")
	b.have(1, otherwise)
	b.load(bpf.R1, layout.IPv4VersionIHL)
	b.Emit(bpf.RSh.Imm(bpf.R1, 4))
	b.JumpIf(bpf.R1, bpf.JEq, 6, six)
	b.JumpIf(bpf.R1, bpf.JNE, 4, otherwise)
	b.Emit(bpf.Mov.Imm(next, layout.EtherIPv4))
	b.Jump(insideIP)
	b.Block(six)
	b.Emit(bpf.Mov.Imm(next, layout.EtherIPv6))
	b.Jump(insideIP)
}
