package asm

import (
	"unsafe"

	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// maxInside bounds what precedes the transport header of an inner packet.
const maxInside = layout.MaxPayloadAt + maxHeaders

// Labels of what looks into tunnels.
const (
	tunnelled    label = "tunnelled"         // the packet's ports are read, if it has any
	datagram     label = "tunnel_in_udp"     // it is UDP
	outside      label = "outside"           // it may be a tunnel, and what says which
	outsideAgain label = "outside_again"     // it is none, or what it carries is cut
	byEtherType  label = "tunnel_ether_type" // next says what begins at header
	byVersion    label = "tunnel_ip_version" // an IP header begins there
	insideEther  label = "inside_ethernet"   // an Ethernet header does
	insideIP     label = "inside_ip"         // an IP header of the version in next does
	insideType   label = "inside_ether_type" // what next says stands behind the Ethernet header
)

// what says which tunnel it may be, until it is asked: an IP protocol or a UDP port.
const what = bpf.R2

// tunnels looks for a tunnel behind the outer packet's headers, and decodes what it carries
// into the record, in place of the outer packet, which goes into the record's second half.
// What is written here is its flow graph. Where anything is not as it should be up to the
// inner IP header, the outer packet is what there is.
func (b *builder) tunnels() {
	b.Block(tunnelled)
	b.JumpIf(next, bpf.JEq, layout.ProtoTCP, parsed) // as of most
	b.Emit(bpf.Mov.Reg(what, next))
	b.JumpIf(next, bpf.JEq, layout.ProtoUDP, datagram)
	for _, protocol := range []int32{layout.ProtoGRE, layout.ProtoIPIP, layout.ProtoIPv6} {
		b.JumpIf(next, bpf.JEq, protocol, outside)
	}
	b.Jump(parsed)

	b.Block(datagram)
	standard := b.Fresh("standard_port")
	layout.Rec.DestinationPort.Load(b.Builder, what)
	b.JumpIf(what, bpf.JNE, layout.PortVXLANOld, standard)
	b.Emit(bpf.Mov.Imm(what, layout.PortVXLAN))
	b.Block(standard)
	for _, port := range []int32{layout.PortVXLAN, layout.PortGeneve, layout.PortGTPU} {
		b.JumpIf(what, bpf.JEq, port, outside)
	}
	b.Jump(parsed)

	b.Block(outside)
	b.keepOutside(parsed)
	for _, tunnel := range []struct {
		is   int32
		read func(otherwise label)
	}{
		{layout.PortVXLAN, b.vxlan},
		{layout.PortGeneve, b.geneve},
		{layout.PortGTPU, b.gtpu},
		{layout.ProtoGRE, b.gre},
		{layout.ProtoIPIP, func(label) { b.inIP(wire.IPIP, layout.EtherIPv4) }},
		{layout.ProtoIPv6, func(label) { b.inIP(wire.IP6, layout.EtherIPv6) }},
	} {
		other := b.Fresh("other_tunnel")
		b.JumpIf(what, bpf.JNE, tunnel.is, other)
		tunnel.read(outsideAgain)
		b.Block(other)
	}
	b.Jump(outsideAgain) // never

	b.Block(byVersion)
	b.settle(layout.MaxPayloadAt)
	b.version4Or6(outsideAgain)

	b.Block(byEtherType)
	b.JumpIf(next, bpf.JEq, layout.EtherBridging, insideEther)
	b.JumpIf(next, bpf.JEq, layout.EtherIPv4, insideIP)
	b.JumpIf(next, bpf.JEq, layout.EtherIPv6, insideIP)

	b.Block(outsideAgain)
	b.restoreOutside()
	b.Jump(parsed)

	b.inside = true
	b.Block(insideEther)
	b.payload(wire.EthernetPayload)
	b.ethernet(outsideAgain)
	b.vlan(0, insideType, outsideAgain)
	b.vlan(1, insideType, outsideAgain)
	b.Jump(insideType)

	b.Block(insideIP)
	b.payload(wire.IPPayload)

	b.Block(insideType)
	b.store(layout.Rec.EtherType, next)
	b.settle(layout.MaxPayloadAt + maxBefore)
	in := headersOf("inside_")
	b.JumpIf(next, bpf.JEq, layout.EtherIPv4, in.ipv4)
	b.JumpIf(next, bpf.JEq, layout.EtherIPv6, in.ipv6)
	b.Emit(
		bpf.Mov.Imm(next, 0),
		bpf.Mov.Imm(flags, 0),
	)
	b.clearAddresses()
	b.Jump(parsed)

	b.network(in, bounds{layout.MaxPayloadAt + maxBefore, maxInside}, outsideAgain, parsed)
	b.inside = false
}

// beginOutside zeroes the record's second half, and has filters speak of the frame. How far
// that is, which is 0, the verifier does not know, so that it looks at what follows once
// for the outer packet and an inner one.
func (b *builder) beginOutside() {
	b.Emit(bpf.Mov.Imm(bpf.R1, 0))
	b.clearOutside(bpf.R1)
	b.forget(bpf.R1)
	b.Note("frame", bpf.StoreMem(stack, layout.FrameSlot, bpf.R1, bpf.DWord))
}

// clearOutside zeroes the record's second half from a register that is 0.
func (b *builder) clearOutside(zero bpf.Register) {
	for offset := wire.RecordSize; offset < wire.WideRecordSize; offset += 8 {
		b.Emit(bpf.StoreMem(record, int16(offset), zero, bpf.DWord))
	}
}

// halves are the two pieces of the record that are the same in its second half: addresses, and
// scalars from the ports on.
var halves = []struct {
	from, to layout.RecordField
	size     int16
}{
	{layout.Rec.Source, layout.Outer.Source, 32},
	{layout.Rec.SourcePort, layout.Outer.SourcePort, int16(unsafe.Sizeof(wire.Record{}) - unsafe.Offsetof(wire.Record{}.SourcePort))},
}

// keepOutside copies the outer packet into the record's second half, and keeps where header
// is. A tunnel that would begin too far on goes to otherwise.
func (b *builder) keepOutside(otherwise label) {
	b.offset(bpf.R0)
	b.JumpIf(bpf.R0, bpf.JGT, layout.MaxTunnelAt, otherwise)
	b.Note("outside", bpf.StoreMem(stack, layout.OutsideSlot, bpf.R0, bpf.DWord))
	b.settle(layout.MaxTunnelAt)
	b.decoded()
	for _, half := range halves {
		for at := int16(0); at < half.size; at += 8 {
			b.Note("record."+half.from.Name, bpf.LoadMem(bpf.R1, record, int16(half.from.Offset)+at, bpf.DWord))
			b.storeAt(half.to, at, bpf.R1, bpf.DWord)
		}
	}
}

// offset leaves in a register how far into the frame header is. It takes r1.
func (b *builder) offset(dst bpf.Register) {
	b.place.Start(b.Builder, bpf.R1)
	b.Emit(
		bpf.Mov.Reg(dst, header),
		bpf.Sub.Reg(dst, bpf.R1),
	)
}

// restoreOutside undoes all since keepOutside. The addresses are those of the outer packet
// still: nothing has written others that is not sure of the inner one.
func (b *builder) restoreOutside() {
	scalars := halves[1]
	b.storeImm(layout.Outer.HasID, 0) // which is in the place of TCP flags, of which it has none
	for at := int16(0); at < scalars.size; at += 8 {
		b.Note(scalars.to.Name, bpf.LoadMem(bpf.R1, record, int16(scalars.to.Offset)+at, bpf.DWord))
		b.storeAt(scalars.from, at, bpf.R1, bpf.DWord)
	}
	b.place.Start(b.Builder, bpf.R1)
	b.Note("outside", bpf.LoadMem(header, stack, layout.OutsideSlot, bpf.DWord))
	b.aligned(1<<10 - 4)
	b.JumpIf(header, bpf.JGT, layout.MaxTunnelAt, pass) // never
	b.Emit(bpf.Add.Reg(header, bpf.R1))
	b.beginOutside()
	layout.Rec.Flags.Load(b.Builder, flags)
	layout.Rec.Protocol.Load(b.Builder, next)
}

// payload notes that the inner packet begins at header, and clears what not every one has.
func (b *builder) payload(is wire.Payload) {
	b.settle(layout.MaxPayloadAt)
	b.offset(bpf.R0)
	b.store(layout.Outer.Offset, bpf.R0)
	b.storeImm(layout.Outer.Payload, int64(is))
	if is == wire.IPPayload {
		b.Emit(bpf.Sub.Imm(bpf.R0, layout.EtherLen)) // as if it had such a header
	}
	b.Note("frame", bpf.StoreMem(stack, layout.FrameSlot, bpf.R0, bpf.DWord))
	b.clearScalars()
}
