package match

import (
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// maxCopied is the largest offset that kernels take in [Place.Copy].
const maxCopied = 0xffff

// loadPacket leaves bytes of the packet in r0, in host byte order.
func (m *matcher) loadPacket(n filter.Load) {
	size := map[uint8]bpf.Size{1: bpf.Byte, 2: bpf.Half, 4: bpf.Word}[n.Size]
	if n.Layer == filter.EtherLayer {
		m.ethernet()
	}
	near, direct := m.place.Limits()
	if offset, ok := n.Offset.(filter.Number); ok && near > 0 && uint32(offset) <= near {
		m.loadAt(m.headerOf(n.Layer), int16(offset), size, m.short)
		return
	}
	m.number(n.Offset)
	m.offsetOf(n.Layer)

	beyond := m.abort
	if m.place.Fragmented() {
		beyond = m.Fresh("beyond")
	}
	m.jumpOn(bpf.JGT.Imm(bpf.R0, direct, ""), beyond)
	m.place.Start(m.Builder, bpf.R1)
	m.Emit(bpf.Add.Reg(bpf.R1, bpf.R0))
	m.loadAt(bpf.R1, 0, size, beyond)
	if m.place.Fragmented() {
		m.loadBeyond(beyond, size)
	}
}

// parsed says whether it is certain that the parser left header where the
// layer begins.
func (m *matcher) parsed(layer filter.Layer) bool {
	proto, ok := layer.Transport()
	if !ok {
		return false
	}
	asked := hasFlag(versionFlag(proto.Version))
	if proto.Version == filter.AnyIP {
		asked = question{field: layout.Rec.Protocol, op: bpf.JEq, value: uint32(proto.Number)} // not 0: it is IP
	}
	is, known := m.known.answer(asked)
	return known && is
}

// ofBoth says whether a layer is one of both versions of IP.
func ofBoth(layer filter.Layer) bool {
	proto, ok := layer.Transport()
	return ok && proto.Version == filter.AnyIP
}

// headerOf returns a register that points to where a layer's header begins:
// header itself, or r1.
func (m *matcher) headerOf(layer filter.Layer) bpf.Register {
	switch {
	case m.parsed(layer):
		return header
	case layer == filter.EtherLayer:
		m.frameStart()
	case layer < filter.TCPLayer:
		m.networkHeader()
	case layer == filter.ICMP6Layer:
		well := m.Fresh("well_formed")
		m.Emit(bpf.Mov.Reg(bpf.R1, header))
		m.jumpOn(bpf.JSet.Imm(m.fact(layout.Rec.Flags, 0), int32(wire.FlagIPv6), ""), well)
		m.networkHeader()
		m.Emit(bpf.Add.Imm(bpf.R1, layout.IPv6Len))
		m.Block(well)
	default:
		well := m.Fresh("well_formed")
		if ofBoth(layer) {
			m.Emit(bpf.Mov.Reg(bpf.R1, header))
			m.jumpOn(bpf.JSet.Imm(m.fact(layout.Rec.Flags, 0), int32(ip), ""), well)
		}
		m.networkHeader()
		m.ipv4Length(bpf.R2)
		m.Emit(bpf.Add.Reg(bpf.R1, bpf.R2))
		m.land(well)
	}
	return bpf.R1
}

// offsetOf adds to r0 how far into the packet a layer's header begins.
func (m *matcher) offsetOf(layer filter.Layer) {
	switch {
	case layer == filter.EtherLayer:
		m.addFrame(bpf.R0, bpf.R2)
	case layer < filter.TCPLayer:
		m.tagsLength(bpf.R2)
		m.addFrame(bpf.R2, bpf.R1)
		m.Emit(bpf.Add.Reg(bpf.R0, bpf.R2))
	case layer == filter.ICMP6Layer:
		m.Emit(bpf.Mov.Reg(bpf.R3, bpf.R0))
		start := m.headerOf(layer)
		m.place.Start(m.Builder, bpf.R2)
		m.Emit(
			bpf.Mov.Reg(bpf.R0, start),
			bpf.Sub.Reg(bpf.R0, bpf.R2),
			bpf.Add.Reg(bpf.R0, bpf.R3),
		)
	default:
		// The sum of offset and headers wraps at 32 bits.
		m.networkHeader()
		m.headersLength(layer)
		m.Emit(
			bpf.Add.Reg32(bpf.R0, bpf.R1),
			bpf.Add.Reg(bpf.R0, bpf.R2),
		)
	}
}

// headersLength leaves in r1, which points to where the header behind the tags
// begins, how far from there a transport layer does. It leaves r0 and r2.
func (m *matcher) headersLength(layer filter.Layer) {
	if !ofBoth(layer) {
		m.ipv4Length(bpf.R1)
		return
	}
	walked := []bpf.Instruction{
		bpf.Mov.Reg(bpf.R3, header),
		bpf.Sub.Reg(bpf.R3, bpf.R1),
		bpf.Mov.Reg(bpf.R1, bpf.R3),
	}
	if m.parsed(layer) {
		m.Emit(walked...)
		return
	}
	well, done := m.Fresh("well_formed"), m.Fresh("done")
	layout.Rec.Flags.Load(m.Builder, bpf.R3)
	m.Branch(bpf.JSet.Imm(bpf.R3, int32(ip), ""), well)
	m.ipv4Length(bpf.R1)
	m.Jump(done)
	m.Block(well)
	m.Emit(walked...)
	m.Block(done)
}

// networkHeader leaves in r1 where the header behind the tags begins, and in r2
// how far that is into the packet.
func (m *matcher) networkHeader() {
	m.tagsLength(bpf.R2)
	m.addFrame(bpf.R2, bpf.R1)
	m.place.Start(m.Builder, bpf.R1)
	m.Emit(bpf.Add.Reg(bpf.R1, bpf.R2))
}

// ethernet ends the filter where the packet has no Ethernet header, as in some tunnels:
// it asks for bytes of one. It takes r0.
func (m *matcher) ethernet() {
	if m.place.Inner() {
		layout.Outer.Payload.Load(m.Builder, bpf.R0)
		m.jumpOn(bpf.JEq.Imm(bpf.R0, int32(wire.IPPayload), ""), m.abort)
	}
}

// frameStart leaves in r1 where the Ethernet header begins, which is there. It takes r2.
func (m *matcher) frameStart() {
	m.place.Start(m.Builder, bpf.R1)
	m.addFrame(bpf.R1, bpf.R2)
}

// addFrame adds to a register how far behind Start the frame begins. It takes another one.
func (m *matcher) addFrame(dst, taken bpf.Register) {
	if !m.place.Inner() {
		return
	}
	m.Note("frame", bpf.LoadMem(taken, stack, layout.FrameSlot, bpf.DWord))
	m.Emit(
		bpf.And.Imm(taken, layout.FrameMask), // it is no more: the verifier does not know
		bpf.Add.Reg(dst, taken),
	)
}

// tagsLength leaves in a register the length of the Ethernet header with tags.
func (m *matcher) tagsLength(dst bpf.Register) {
	layout.Rec.Tags.Load(m.Builder, dst)
	m.Emit(
		bpf.And.Imm(dst, 3), // at most two: the verifier does not know
		bpf.LSh.Imm(dst, 2), // of layout.TagLen each
		bpf.Add.Imm(dst, layout.EtherLen),
	)
}

// ipv4Length leaves in a register what the IPv4 header at r1 says of its
// length, be it one or not.
func (m *matcher) ipv4Length(dst bpf.Register) {
	m.reach(bpf.R1, 1, m.short)
	m.Note(layout.IPv4VersionIHL.Name, bpf.LoadMem(dst, bpf.R1, layout.IPv4VersionIHL.Offset, layout.IPv4VersionIHL.Size))
	m.Emit(
		bpf.And.Imm(dst, 0xf),
		bpf.LSh.Imm(dst, 2), // counted in 4 bytes
	)
}

// reach jumps unless the n bytes from start on are in the first buffer. It takes r3.
func (m *matcher) reach(start bpf.Register, n int32, otherwise assemble.Label) {
	m.Emit(
		bpf.Mov.Reg(bpf.R3, start),
		bpf.Add.Imm(bpf.R3, n),
	)
	m.jumpOn(bpf.JGT.Reg(bpf.R3, end, ""), otherwise)
}

// loadAt leaves in r0 what is at an offset from start, if it is in the first
// buffer.
func (m *matcher) loadAt(start bpf.Register, offset int16, size bpf.Size, beyond assemble.Label) {
	m.reach(start, int32(offset)+int32(size.Sizeof()), beyond)
	m.Emit(bpf.LoadMem(bpf.R0, start, offset, size))
	m.swap(size)
}

// swap turns r0 from network to host byte order.
func (m *matcher) swap(size bpf.Size) {
	if size != bpf.Byte {
		m.Emit(bpf.HostTo(bpf.BE, bpf.R0, size))
	}
}

// loadBeyond is where offset r0 is not in the first buffer: it asks the kernel
// for the bytes in the others.
func (m *matcher) loadBeyond(beyond assemble.Label, size bpf.Size) {
	loaded := m.Fresh("loaded")
	m.Jump(loaded)

	m.Block(beyond)
	m.jumpOn(bpf.JGT.Imm(bpf.R0, maxCopied, ""), m.abort) // the helper takes 32 bits of it
	m.called()
	m.place.Copy(m.Builder, keySlot, int32(size.Sizeof()))
	m.jumpOn(bpf.JNE.Imm(bpf.R0, 0, ""), m.abort)
	m.Emit(bpf.LoadMem(bpf.R0, stack, keySlot, size))
	m.swap(size)
	m.Block(loaded)
}
