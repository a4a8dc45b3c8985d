package asm

import (
	"encoding/binary"

	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// have jumps unless the n bytes from header on are in the packet. It is what
// lets the verifier accept loads of them (range tracking of packet pointers).
func (b *builder) have(n int32, otherwise label) {
	b.Emit(
		bpf.Mov.Reg(bpf.R0, header),
		bpf.Add.Imm(bpf.R0, n),
	)
	b.within(bpf.R0, otherwise)
}

// load loads a field of the header at hand in host byte order.
func (b *builder) load(dst bpf.Register, f layout.Field) { f.Load(b.Builder, dst, header) }

// loadRaw loads a field of the header at hand as it stands in the packet.
func (b *builder) loadRaw(dst bpf.Register, f layout.Field) { f.LoadRaw(b.Builder, dst, header) }

// ethernet reads the Ethernet header, whose EtherType it leaves in next.
// A frame too short for one goes to otherwise.
func (b *builder) ethernet(otherwise label) {
	b.have(layout.EtherLen, otherwise)
	b.load(next, layout.EtherType)
	b.Emit(bpf.Add.Imm(header, layout.EtherLen))
}

// vlan reads the n-th tag (0 or 1), if next announces one, and leaves in next
// the EtherType behind it. No tag goes to done, one that is cut to otherwise.
func (b *builder) vlan(n int, done, otherwise label) {
	tagged := b.Fresh("tag")
	b.JumpIf(next, bpf.JEq, layout.TPIDC, tagged)
	b.JumpIf(next, bpf.JEq, layout.TPIDS, tagged)
	b.Jump(done) // the verifier goes this way first, on which it knows the least, and what follows the tags is then no news

	b.Block(tagged)
	b.have(layout.TagLen, otherwise)
	b.load(bpf.R1, layout.TagTCI)
	b.Emit(bpf.And.Imm(bpf.R1, 0xfff))
	b.store([]layout.RecordField{layout.Rec.OuterVLAN, layout.Rec.InnerVLAN}[n], bpf.R1)
	b.storeImm(layout.Rec.Tags, int64(n)+1)
	b.load(next, layout.TagType)
	b.Emit(bpf.Add.Imm(header, layout.TagLen))
}

// ipv4 reads the IPv4 header, and leaves the protocol in next and header
// behind the options. A later fragment goes to later, whatever is not a whole
// IPv4 header to malformed.
func (b *builder) ipv4(later, malformed label) {
	b.have(layout.IPv4MinLen, malformed)
	b.load(bpf.R1, layout.IPv4VersionIHL)
	b.Emit(
		bpf.Mov.Reg(bpf.R2, bpf.R1),
		bpf.RSh.Imm(bpf.R2, 4),
	)
	b.JumpIf(bpf.R2, bpf.JNE, 4, malformed)
	b.Emit(
		bpf.And.Imm(bpf.R1, 0xf),
		bpf.LSh.Imm(bpf.R1, 2), // counted in 4 bytes
	)
	b.JumpIf(bpf.R1, bpf.JLT, layout.IPv4MinLen, malformed)
	b.Emit(
		bpf.Mov.Reg(bpf.R2, header),
		bpf.Add.Reg(bpf.R2, bpf.R1),
	)
	b.within(bpf.R2, malformed)

	b.mapped(layout.Rec.Source, layout.IPv4Source)
	b.mapped(layout.Rec.Destination, layout.IPv4Destination)
	b.load(bpf.R1, layout.IPv4TTL)
	b.store(layout.Rec.TTL, bpf.R1)
	b.load(next, layout.IPv4Protocol)
	b.load(bpf.R1, layout.IPv4Fragment)
	b.Emit(
		bpf.Mov.Imm(flags, int32(wire.FlagIPv4)),
		bpf.Mov.Reg(header, bpf.R2),
	)
	b.Emit(bpf.And.Imm(bpf.R1, 0x1fff))
	b.JumpIf(bpf.R1, bpf.JNE, 0, later)
}

// mapped copies an IPv4 address as ::ffff:a.b.c.d.
func (b *builder) mapped(to layout.RecordField, from layout.Field) {
	b.copyWord(to, 12, from)
	prefix := binary.NativeEndian.Uint32([]byte{0, 0, 0xff, 0xff})
	b.storeImmAt(to, 8, int64(int32(prefix)), bpf.Word)
	b.storeImmAt(to, 4, 0, bpf.Word)
	b.storeImmAt(to, 0, 0, bpf.Word)
}

// ipv6 reads the IPv6 header, and leaves what follows it in next.
// Whatever is not a whole IPv6 header goes to malformed.
func (b *builder) ipv6(malformed label) {
	b.have(layout.IPv6Len, malformed)
	b.load(bpf.R1, layout.IPv6Version)
	b.Emit(bpf.RSh.Imm(bpf.R1, 4))
	b.JumpIf(bpf.R1, bpf.JNE, 6, malformed)

	b.copyAddress(layout.Rec.Source, layout.IPv6Source)
	b.copyAddress(layout.Rec.Destination, layout.IPv6Destination)
	b.load(bpf.R1, layout.IPv6HopLimit)
	b.store(layout.Rec.TTL, bpf.R1)
	b.load(next, layout.IPv6NextHeader)
	b.Emit(
		bpf.Mov.Imm(flags, int32(wire.FlagIPv6)),
		bpf.Add.Imm(header, layout.IPv6Len),
	)
}

// copyAddress copies an IPv6 address by words: behind a VLAN tag it is not
// aligned to more, which the verifier refuses on machines that care.
func (b *builder) copyAddress(to layout.RecordField, from layout.Field) {
	for i := int16(0); i < 16; i += 4 {
		b.copyWord(to, i, layout.Field{Name: from.Name, Offset: from.Offset + i, Size: bpf.Word})
	}
}

// copyWord copies a word of an address, in a tunnel by halves: there it may not be aligned
// to more.
func (b *builder) copyWord(to layout.RecordField, at int16, from layout.Field) {
	size := bpf.Word
	if b.inside {
		size = bpf.Half
	}
	for i := int16(0); i < 4; i += int16(size.Sizeof()) {
		b.loadRaw(bpf.R1, layout.Field{Name: from.Name, Offset: from.Offset + i, Size: size})
		b.storeAt(to, at+i, bpf.R1, size)
	}
}

// forget makes the verifier forget what it knows of registers' values, which
// stay as they are: else it follows each of the ways on which one differs to the
// end. It takes r3.
func (b *builder) forget(regs ...bpf.Register) {
	b.Emit(
		bpf.Mov.Reg(bpf.R3, end),
		bpf.Sub.Reg(bpf.R3, header), // a number that it knows nothing of
	)
	for _, reg := range regs {
		b.Emit(bpf.Xor.Reg(reg, bpf.R3), bpf.Xor.Reg(reg, bpf.R3))
	}
}

// extension steps over the extension header that next announces, and leaves
// what follows it in next. Anything else in next goes to done. A fragment
// other than the first goes to later with header behind it, a header that is cut
// to cut, with its own number in next. That there was the header is in flags.
func (b *builder) extension(done, later, cut label) {
	walk, fragment, auth, step := b.Fresh("extension"), b.Fresh("fragment"), b.Fresh("auth"), b.Fresh("step")
	b.JumpIf(next, bpf.JEq, layout.ProtoTCP, done) // nearly always one of these two
	b.JumpIf(next, bpf.JEq, layout.ProtoUDP, done)
	for _, ext := range layout.Extensions {
		b.Emit(bpf.Mov.Imm(bpf.R1, int32(ext.Flag)))
		b.JumpIf(next, bpf.JEq, int32(ext.Protocol), walk)
	}
	b.Jump(done)

	b.Block(walk)
	b.Emit(bpf.Or.Reg(flags, bpf.R1))
	b.forget(flags, next)
	b.have(layout.ExtMinLen, cut)
	b.load(bpf.R2, layout.ExtNextHeader)
	b.load(bpf.R1, layout.ExtLength)
	b.JumpIf(next, bpf.JEq, layout.ProtoFragment, fragment)
	b.JumpIf(next, bpf.JEq, layout.ProtoAH, auth)
	b.Emit(
		bpf.Add.Imm(bpf.R1, 1), // counted in 8 bytes, without the first 8
		bpf.LSh.Imm(bpf.R1, 3),
	)
	b.Jump(step)

	b.Block(auth)
	b.Emit(
		bpf.Add.Imm(bpf.R1, 2), // counted in 4 bytes, without the first 8
		bpf.LSh.Imm(bpf.R1, 2),
	)
	b.Jump(step)

	b.Block(fragment)
	b.load(bpf.R3, layout.ExtFragment)
	b.Emit(bpf.And.Imm(bpf.R3, 0xfff8))
	// Where offset is 0 this is 8, and the verifier does not know: of a constant
	// it would look at each number of such headers as at another way.
	b.Emit(
		bpf.Mov.Reg(bpf.R1, bpf.R3),
		bpf.And.Imm(bpf.R1, 0x10),
		bpf.Or.Imm(bpf.R1, layout.ExtMinLen),
	)
	b.JumpIf(bpf.R3, bpf.JEq, 0, step)
	b.Emit(
		bpf.Mov.Reg(next, bpf.R2),
		bpf.Add.Imm(header, layout.ExtMinLen),
	)
	b.Jump(later)

	b.Block(step)
	b.Emit(
		bpf.Mov.Reg(bpf.R3, header),
		bpf.Add.Reg(bpf.R3, bpf.R1),
	)
	b.within(bpf.R3, cut)
	b.Emit(
		bpf.Mov.Reg(header, bpf.R3),
		bpf.Mov.Reg(next, bpf.R2),
	)
}

// transport reads the ports, and TCP's flags, where next is a protocol that
// has them. It leaves header, next and what it found in flags.
// Ports that are not there go to cut.
func (b *builder) transport(done, cut label) {
	ports := b.Fresh("ports")
	b.JumpIf(next, bpf.JEq, layout.ProtoTCP, ports)
	b.JumpIf(next, bpf.JEq, layout.ProtoUDP, ports)
	b.JumpIf(next, bpf.JNE, layout.ProtoSCTP, done)

	b.Block(ports)
	b.have(layout.PortsLen, cut)
	b.load(bpf.R1, layout.SourcePort)
	b.store(layout.Rec.SourcePort, bpf.R1)
	b.load(bpf.R1, layout.DestinationPort)
	b.store(layout.Rec.DestinationPort, bpf.R1)
	b.Emit(bpf.Or.Imm(flags, int32(wire.FlagPorts)))

	b.JumpIf(next, bpf.JNE, layout.ProtoTCP, done)
	b.have(int32(layout.TCPFlags.Offset)+1, done)
	b.load(bpf.R1, layout.TCPFlags)
	b.store(layout.Rec.TCPFlags, bpf.R1)
	b.Emit(bpf.Or.Imm(flags, int32(wire.FlagTCP)))
}
