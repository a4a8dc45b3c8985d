package asm

import (
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/wire"
)

// nearby is how far from a header's start the first buffer of a packet in
// several is taken to reach.
const nearby = 512

// Offsets that the verifier can track in the first buffer (MAX_PACKET_OFF, less
// what is added to them), and that the kernel takes for any of them.
const (
	maxOffset    = 0xff00
	maxAnyOffset = 0xffff
)

// loadPacket leaves bytes of the packet in r0, in host byte order.
func (m *matcher) loadPacket(n filter.Load) {
	size := map[uint8]bpf.Size{1: bpf.Byte, 2: bpf.Half, 4: bpf.Word}[n.Size]
	if offset, ok := n.Offset.(filter.Number); ok && offset <= nearby {
		m.loadAt(m.headerOf(n.Layer), int16(offset), size, m.abort)
		return
	}
	m.number(n.Offset)
	m.offsetOf(n.Layer)

	beyond := m.abort
	if m.frags {
		beyond = m.fresh("beyond")
	}
	m.jumpOn(bpf.JGT.Imm(bpf.R0, maxOffset, ""), beyond)
	m.loadContext(bpf.R1, mdData)
	m.emit(bpf.Add.Reg(bpf.R1, bpf.R0))
	m.loadAt(bpf.R1, 0, size, beyond)
	if m.frags {
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
	wellFormed, known := m.known.answer(hasFlag(versionFlag(proto.Version)))
	return known && wellFormed
}

// headerOf returns a register that points to where a layer's header begins:
// header itself, or r1.
func (m *matcher) headerOf(layer filter.Layer) bpf.Register {
	switch {
	case m.parsed(layer):
		return header
	case layer == filter.EtherLayer:
		m.loadContext(bpf.R1, mdData)
	case layer < filter.TCPLayer:
		m.networkHeader()
	case layer == filter.ICMP6Layer:
		well := m.fresh("well_formed")
		m.emit(bpf.Mov.Reg(bpf.R1, header))
		m.jumpOn(bpf.JSet.Imm(m.fact(rec.flags, 0), int32(wire.FlagIPv6), ""), well)
		m.networkHeader()
		m.emit(bpf.Add.Imm(bpf.R1, ipv6Len))
		m.block(well)
	default:
		m.networkHeader()
		m.ipv4Length(bpf.R2)
		m.emit(bpf.Add.Reg(bpf.R1, bpf.R2))
	}
	return bpf.R1
}

// offsetOf adds to r0 how far into the packet a layer's header begins.
func (m *matcher) offsetOf(layer filter.Layer) {
	switch {
	case layer == filter.EtherLayer:
	case layer < filter.TCPLayer:
		m.tagsLength(bpf.R2)
		m.emit(bpf.Add.Reg(bpf.R0, bpf.R2))
	case layer == filter.ICMP6Layer:
		m.emit(bpf.Mov.Reg(bpf.R3, bpf.R0))
		start := m.headerOf(layer)
		m.loadContext(bpf.R2, mdData)
		m.emit(
			bpf.Mov.Reg(bpf.R0, start),
			bpf.Sub.Reg(bpf.R0, bpf.R2),
			bpf.Add.Reg(bpf.R0, bpf.R3),
		)
	default:
		// The sum of offset and IPv4 header wraps at 32 bits.
		m.networkHeader()
		m.ipv4Length(bpf.R1)
		m.emit(
			bpf.Add.Reg32(bpf.R0, bpf.R1),
			bpf.Add.Reg(bpf.R0, bpf.R2),
		)
	}
}

// networkHeader leaves in r1 where the header behind the tags begins, and in r2
// how far that is into the packet.
func (m *matcher) networkHeader() {
	m.tagsLength(bpf.R2)
	m.loadContext(bpf.R1, mdData)
	m.emit(bpf.Add.Reg(bpf.R1, bpf.R2))
}

// tagsLength leaves in a register the length of the Ethernet header with tags.
func (m *matcher) tagsLength(dst bpf.Register) {
	m.loadRecord(dst, rec.tags)
	m.emit(
		bpf.And.Imm(dst, 3), // at most two: the verifier does not know
		bpf.LSh.Imm(dst, 2), // of tagLen each
		bpf.Add.Imm(dst, etherLen),
	)
}

// ipv4Length leaves in a register what the IPv4 header at r1 says of its
// length, be it one or not.
func (m *matcher) ipv4Length(dst bpf.Register) {
	m.reach(bpf.R1, 1, m.abort)
	m.note(ipv4VersionIHL.name, bpf.LoadMem(dst, bpf.R1, ipv4VersionIHL.offset, ipv4VersionIHL.size))
	m.emit(
		bpf.And.Imm(dst, 0xf),
		bpf.LSh.Imm(dst, 2), // counted in 4 bytes
	)
}

// reach jumps unless the n bytes from start on are in the first buffer. It takes r3.
func (m *matcher) reach(start bpf.Register, n int32, otherwise label) {
	m.emit(
		bpf.Mov.Reg(bpf.R3, start),
		bpf.Add.Imm(bpf.R3, n),
	)
	m.jumpOn(bpf.JGT.Reg(bpf.R3, end, ""), otherwise)
}

// loadAt leaves in r0 what is at an offset from start, if it is in the first
// buffer.
func (m *matcher) loadAt(start bpf.Register, offset int16, size bpf.Size, beyond label) {
	m.reach(start, int32(offset)+int32(size.Sizeof()), beyond)
	m.emit(bpf.LoadMem(bpf.R0, start, offset, size))
	m.swap(size)
}

// swap turns r0 from network to host byte order.
func (m *matcher) swap(size bpf.Size) {
	if size != bpf.Byte {
		m.emit(bpf.HostTo(bpf.BE, bpf.R0, size))
	}
}

// loadBeyond is where offset r0 is not in the first buffer: it asks the kernel
// for the bytes in the others (bpf_xdp_load_bytes, 5.18).
func (m *matcher) loadBeyond(beyond label, size bpf.Size) {
	loaded := m.fresh("loaded")
	m.builder.jump(loaded)

	m.block(beyond)
	m.jumpOn(bpf.JGT.Imm(bpf.R0, maxAnyOffset, ""), m.abort) // the helper takes 32 bits of it
	m.called()
	m.emit(
		bpf.Mov.Reg(bpf.R1, ctx),
		bpf.Mov.Reg(bpf.R2, bpf.R0),
		bpf.Mov.Reg(bpf.R3, stack),
		bpf.Add.Imm(bpf.R3, int32(keySlot)),
		bpf.Mov.Imm(bpf.R4, int32(size.Sizeof())),
		bpf.FnXdpLoadBytes.Call(),
	)
	m.jumpOn(bpf.JNE.Imm(bpf.R0, 0, ""), m.abort)
	m.emit(bpf.LoadMem(bpf.R0, stack, keySlot, size))
	m.swap(size)
	m.block(loaded)
}
