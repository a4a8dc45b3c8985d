package asm

import (
	"encoding/binary"

	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/wire"
)

// field is a field of a header, at an offset from the header's start in bytes.
type field struct {
	name   string
	offset int16
	size   bpf.Size
}

// Ethernet II, and the tags of IEEE 802.1Q, which begin at their TPID's end:
// the TPID itself was read as the EtherType before.
var (
	etherType = field{"ether.type", 12, bpf.Half}
	tagTCI    = field{"vlan.tci", 0, bpf.Half}
	tagType   = field{"vlan.type", 2, bpf.Half}
)

// IPv4, RFC 791, 3.1.
var (
	ipv4VersionIHL  = field{"ip.version_ihl", 0, bpf.Byte}
	ipv4Fragment    = field{"ip.fragment", 6, bpf.Half} // 3 flags, 13 bits of offset
	ipv4TTL         = field{"ip.ttl", 8, bpf.Byte}
	ipv4Protocol    = field{"ip.protocol", 9, bpf.Byte}
	ipv4Source      = field{"ip.source", 12, bpf.Word}
	ipv4Destination = field{"ip.destination", 16, bpf.Word}
)

// IPv6, RFC 8200, 3; extension headers, 4.2–4.6; AH, RFC 4302, 2.
var (
	ipv6Version     = field{"ip6.version", 0, bpf.Byte} // and 4 bits of traffic class
	ipv6NextHeader  = field{"ip6.next_header", 6, bpf.Byte}
	ipv6HopLimit    = field{"ip6.hop_limit", 7, bpf.Byte}
	ipv6Source      = field{"ip6.source", 8, bpf.Word}
	ipv6Destination = field{"ip6.destination", 24, bpf.Word}
	extNextHeader   = field{"ext.next_header", 0, bpf.Byte}
	extLength       = field{"ext.length", 1, bpf.Byte}
	extFragment     = field{"ext.fragment", 2, bpf.Half} // 13 bits of offset, 3 others
)

// TCP (RFC 9293, 3.1), UDP (RFC 768), SCTP (RFC 9260, 3.1): all begin with the ports.
var (
	sourcePort      = field{"source_port", 0, bpf.Half}
	destinationPort = field{"destination_port", 2, bpf.Half}
	tcpFlags        = field{"tcp.flags", 13, bpf.Byte}
)

// Lengths of headers in bytes.
const (
	etherLen   = 14
	tagLen     = 4
	ipv4MinLen = 20
	ipv6Len    = 40
	extMinLen  = 8
	portsLen   = 4
)

// EtherTypes, and the two TPIDs that announce a tag.
const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	tpidC     = 0x8100 // IEEE 802.1Q customer tag
	tpidS     = 0x88a8 // IEEE 802.1ad service tag
)

// IANA protocol numbers.
const (
	protoHopByHop    = 0
	protoTCP         = 6
	protoUDP         = 17
	protoRouting     = 43
	protoFragment    = 44
	protoAH          = 51
	protoDestination = 60
	protoSCTP        = 132
)

// have jumps unless the n bytes from header on are in the packet. It is what
// lets the verifier accept loads of them (range tracking of packet pointers).
func (b *builder) have(n int32, otherwise label) {
	b.emit(
		bpf.Mov.Reg(bpf.R0, header),
		bpf.Add.Imm(bpf.R0, n),
	)
	b.jumpIfReg(bpf.R0, bpf.JGT, end, otherwise)
}

// load loads a field of the header at hand in host byte order.
func (b *builder) load(dst bpf.Register, f field) {
	b.loadRaw(dst, f)
	if f.size == bpf.Half || f.size == bpf.Word {
		b.emit(bpf.HostTo(bpf.BE, dst, f.size))
	}
}

// loadRaw loads a field of the header at hand as it stands in the packet.
func (b *builder) loadRaw(dst bpf.Register, f field) {
	b.note(f.name, bpf.LoadMem(dst, header, f.offset, f.size))
}

// ethernet reads the Ethernet header, whose EtherType it leaves in next.
// A frame too short for one goes to otherwise.
func (b *builder) ethernet(otherwise label) {
	b.have(etherLen, otherwise)
	b.load(next, etherType)
	b.emit(bpf.Add.Imm(header, etherLen))
}

// vlan reads the n-th tag (0 or 1), if next announces one, and leaves in next
// the EtherType behind it. No tag goes to done, one that is cut to otherwise.
func (b *builder) vlan(n int, done, otherwise label) {
	tagged := b.fresh("tag")
	b.jumpIf(next, bpf.JEq, tpidC, tagged)
	b.jumpIf(next, bpf.JNE, tpidS, done)

	b.block(tagged)
	b.have(tagLen, otherwise)
	b.load(bpf.R1, tagTCI)
	b.emit(bpf.And.Imm(bpf.R1, 0xfff))
	b.store([]recordField{rec.outerVLAN, rec.innerVLAN}[n], bpf.R1)
	b.storeImm(rec.tags, int64(n)+1)
	b.load(next, tagType)
	b.emit(bpf.Add.Imm(header, tagLen))
}

// ipv4 reads the IPv4 header, and leaves the protocol in next and header
// behind the options. A later fragment goes to later, whatever is not a whole
// IPv4 header to malformed.
func (b *builder) ipv4(later, malformed label) {
	b.have(ipv4MinLen, malformed)
	b.load(bpf.R1, ipv4VersionIHL)
	b.emit(
		bpf.Mov.Reg(bpf.R2, bpf.R1),
		bpf.RSh.Imm(bpf.R2, 4),
	)
	b.jumpIf(bpf.R2, bpf.JNE, 4, malformed)
	b.emit(
		bpf.And.Imm(bpf.R1, 0xf),
		bpf.LSh.Imm(bpf.R1, 2), // counted in 4 bytes
	)
	b.jumpIf(bpf.R1, bpf.JLT, ipv4MinLen, malformed)
	b.emit(
		bpf.Mov.Reg(bpf.R2, header),
		bpf.Add.Reg(bpf.R2, bpf.R1),
	)
	b.jumpIfReg(bpf.R2, bpf.JGT, end, malformed)

	b.mapped(rec.source, ipv4Source)
	b.mapped(rec.destination, ipv4Destination)
	b.load(bpf.R1, ipv4TTL)
	b.store(rec.ttl, bpf.R1)
	b.load(next, ipv4Protocol)
	b.load(bpf.R1, ipv4Fragment)
	b.emit(
		bpf.Mov.Imm(flags, int32(wire.FlagIPv4)),
		bpf.Mov.Reg(header, bpf.R2),
	)
	b.emit(bpf.And.Imm(bpf.R1, 0x1fff))
	b.jumpIf(bpf.R1, bpf.JNE, 0, later)
}

// mapped copies an IPv4 address as ::ffff:a.b.c.d.
func (b *builder) mapped(to recordField, from field) {
	b.loadRaw(bpf.R1, from)
	b.storeAt(to, 12, bpf.R1, bpf.Word)
	prefix := binary.NativeEndian.Uint32([]byte{0, 0, 0xff, 0xff})
	b.storeImmAt(to, 8, int64(int32(prefix)), bpf.Word)
	b.storeImmAt(to, 4, 0, bpf.Word)
	b.storeImmAt(to, 0, 0, bpf.Word)
}

// ipv6 reads the IPv6 header, and leaves what follows it in next.
// Whatever is not a whole IPv6 header goes to malformed.
func (b *builder) ipv6(malformed label) {
	b.have(ipv6Len, malformed)
	b.load(bpf.R1, ipv6Version)
	b.emit(bpf.RSh.Imm(bpf.R1, 4))
	b.jumpIf(bpf.R1, bpf.JNE, 6, malformed)

	b.copyAddress(rec.source, ipv6Source)
	b.copyAddress(rec.destination, ipv6Destination)
	b.load(bpf.R1, ipv6HopLimit)
	b.store(rec.ttl, bpf.R1)
	b.load(next, ipv6NextHeader)
	b.emit(
		bpf.Mov.Imm(flags, int32(wire.FlagIPv6)),
		bpf.Add.Imm(header, ipv6Len),
	)
}

// copyAddress copies an IPv6 address by words: behind a VLAN tag it is not
// aligned to more, which the verifier refuses on machines that care.
func (b *builder) copyAddress(to recordField, from field) {
	for i := int16(0); i < 16; i += 4 {
		b.loadRaw(bpf.R1, field{from.name, from.offset + i, bpf.Word})
		b.storeAt(to, i, bpf.R1, bpf.Word)
	}
}

// extension steps over the extension header that next announces, and leaves
// what follows it in next. Anything else in next goes to done. A fragment
// other than the first goes to later with header behind it, a header that is cut
// to cut, with its own number in next.
func (b *builder) extension(done, later, cut label) {
	walk, fragment, auth, step := b.fresh("extension"), b.fresh("fragment"), b.fresh("auth"), b.fresh("step")
	b.jumpIf(next, bpf.JEq, protoTCP, done) // nearly always one of these two
	b.jumpIf(next, bpf.JEq, protoUDP, done)
	b.jumpIf(next, bpf.JEq, protoFragment, walk)
	b.jumpIf(next, bpf.JEq, protoHopByHop, walk)
	b.jumpIf(next, bpf.JEq, protoRouting, walk)
	b.jumpIf(next, bpf.JEq, protoAH, walk)
	b.jumpIf(next, bpf.JNE, protoDestination, done)

	b.block(walk)
	b.have(extMinLen, cut)
	b.load(bpf.R2, extNextHeader)
	b.load(bpf.R1, extLength)
	b.jumpIf(next, bpf.JEq, protoFragment, fragment)
	b.jumpIf(next, bpf.JEq, protoAH, auth)
	b.emit(
		bpf.Add.Imm(bpf.R1, 1), // counted in 8 bytes, without the first 8
		bpf.LSh.Imm(bpf.R1, 3),
	)
	b.jump(step)

	b.block(auth)
	b.emit(
		bpf.Add.Imm(bpf.R1, 2), // counted in 4 bytes, without the first 8
		bpf.LSh.Imm(bpf.R1, 2),
	)
	b.jump(step)

	b.block(fragment)
	b.load(bpf.R3, extFragment)
	b.emit(
		bpf.Mov.Imm(bpf.R1, extMinLen),
		bpf.And.Imm(bpf.R3, 0xfff8),
	)
	b.jumpIf(bpf.R3, bpf.JEq, 0, step)
	b.emit(
		bpf.Mov.Reg(next, bpf.R2),
		bpf.Add.Imm(header, extMinLen),
	)
	b.jump(later)

	b.block(step)
	b.emit(
		bpf.Mov.Reg(bpf.R3, header),
		bpf.Add.Reg(bpf.R3, bpf.R1),
	)
	b.jumpIfReg(bpf.R3, bpf.JGT, end, cut)
	b.emit(
		bpf.Mov.Reg(header, bpf.R3),
		bpf.Mov.Reg(next, bpf.R2),
	)
}

// maxWalk bounds what precedes the transport header, as a mask: Ethernet, two
// tags, IPv6 and eight extension headers of up to 2 KiB are 16,446 bytes. All
// but Ethernet's 14 are multiples of 4.
const maxWalk = 1<<15 - 4

// settle makes the verifier forget by which of many ways header got where it
// is, so that it looks at what follows once and not once a way. It must not
// forget that words are aligned there: some machines load no others.
func (b *builder) settle() {
	b.loadContext(bpf.R1, mdData)
	b.emit(
		bpf.Sub.Reg(header, bpf.R1),
		bpf.And.Imm(header, maxWalk),
		bpf.Or.Imm(header, etherLen%4),
		bpf.Add.Reg(header, bpf.R1),
	)
}

// transport reads the ports, and TCP's flags, where next is a protocol that
// has them. It leaves header, next and what it found in flags.
// Ports that are not there go to cut.
func (b *builder) transport(done, cut label) {
	ports := b.fresh("ports")
	b.jumpIf(next, bpf.JEq, protoTCP, ports)
	b.jumpIf(next, bpf.JEq, protoUDP, ports)
	b.jumpIf(next, bpf.JNE, protoSCTP, done)

	b.block(ports)
	b.have(portsLen, cut)
	b.load(bpf.R1, sourcePort)
	b.store(rec.sourcePort, bpf.R1)
	b.load(bpf.R1, destinationPort)
	b.store(rec.destinationPort, bpf.R1)
	b.emit(bpf.Or.Imm(flags, int32(wire.FlagPorts)))

	b.jumpIf(next, bpf.JNE, protoTCP, done)
	b.have(int32(tcpFlags.offset)+1, done)
	b.load(bpf.R1, tcpFlags)
	b.store(rec.tcpFlags, bpf.R1)
	b.emit(bpf.Or.Imm(flags, int32(wire.FlagTCP)))
}
