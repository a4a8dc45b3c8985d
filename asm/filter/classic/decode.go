package classic

import (
	"slices"

	"golang.org/x/net/bpf"
)

// kind is what a packet is, as far as the filter's code differs by it.
type kind int

const (
	short kind = iota // less than an Ethernet header
	ipv4              // a well-formed header, as the evaluator has it
	ipv6
	arp   // ARP and RARP
	other // all else: also a malformed IP header
	kinds
)

// Numbers in headers.
const (
	typeIPv4 = 0x0800
	typeARP  = 0x0806
	typeRARP = 0x8035
	typeIPv6 = 0x86dd
	typeC    = 0x8100 // tags
	typeS    = 0x88a8

	etherLen      = 14
	tagLen        = 4
	ipv6Len       = 40
	mostExtension = 8

	extHopByHop       = 0
	extRouting        = 43
	extFragment       = 44
	extAuthentication = 51
	extDestination    = 60
)

// decoder emits what finds out of which kind a packet is, and what the bodies ask for.
type decoder struct {
	emitter
	bodies    []*matcher
	entries   [kinds]label // of bodies: what accepts or rejects all has no code
	tagBeside bool
}

func (d *decoder) decode(accept, reject label) {
	for k, body := range d.bodies {
		d.entries[k] = body.entry(accept, reject)
	}
	if d.entries[short] != reject { // else loads see to it
		d.length()
		d.branch(bpf.JumpLessThan, etherLen, true, d.entries[short])
	}
	if slices.Max(d.entries[ipv4:]) == slices.Min(d.entries[ipv4:]) {
		if d.entries[short] != d.entries[other] {
			d.absolute(etherLen-2, 2)
		}
		d.goTo(d.entries[other])
	} else {
		d.tags()
		d.dispatch()
	}
	for k, body := range d.bodies {
		if entry := d.entries[k]; entry != accept && entry != reject {
			d.bind(entry)
			d.append(body.code)
		}
	}
}

// asks says whether a body reads a word of memory.
func (d *decoder) asks(s slot) bool {
	return slices.ContainsFunc(d.bodies, func(m *matcher) bool { return m.reads[s] })
}

// keep stores A, if a body wants it.
func (d *decoder) keep(s slot) {
	if d.asks(s) {
		d.store(s)
	}
}

// tags steps over up to two tags.
func (d *decoder) tags() {
	done, untagged := d.fresh(), d.fresh()
	if d.asks(outer) || d.asks(inner) {
		d.constant(0)
		d.keep(outer)
		d.keep(inner)
	}
	d.constant(etherLen)
	d.store(network)
	if d.tagBeside {
		d.extension(bpf.ExtVLANTagPresent)
		d.branch(bpf.JumpEqual, 0, true, untagged)
		if d.asks(outer) {
			d.extension(bpf.ExtVLANProto)
			d.alu(bpf.ALUOpShiftLeft, 16)
			d.toX()
			d.extension(bpf.ExtVLANTag)
			d.aluX(bpf.ALUOpOr)
			d.store(outer)
		}
		d.etherType(etherLen - 2)
		d.tag(etherLen, inner, done)
		d.goTo(done)
	}
	d.land(untagged)
	d.etherType(etherLen - 2)
	d.tag(etherLen, outer, done)
	d.tag(etherLen+tagLen, inner, done)
	d.land(done)
}

func (d *decoder) etherType(offset uint32) {
	d.absolute(offset, 2)
	d.store(etherType)
}

// tag steps over the tag that ends what is before it, if there is one: its type is in A.
func (d *decoder) tag(offset uint32, into slot, done label) {
	is := d.fresh()
	d.branch(bpf.JumpEqual, typeC, true, is)
	d.branch(bpf.JumpEqual, typeS, false, done)
	d.land(is)
	d.length()
	d.branch(bpf.JumpLessThan, offset+tagLen, true, done)
	if d.asks(into) {
		d.absolute(offset-2, 4)
		d.store(into)
	}
	d.constant(offset + tagLen)
	d.store(network)
	d.etherType(offset + tagLen - 2)
}

// dispatch goes to the body of the packet's kind.
func (d *decoder) dispatch() {
	is4, is6 := d.fresh(), d.fresh()
	d.recall(etherType)
	if d.entries[ipv4] != d.entries[other] {
		d.branch(bpf.JumpEqual, typeIPv4, true, is4)
	}
	if d.entries[ipv6] != d.entries[other] {
		d.branch(bpf.JumpEqual, typeIPv6, true, is6)
	}
	if d.entries[arp] != d.entries[other] {
		d.branch(bpf.JumpEqual, typeARP, true, d.entries[arp])
		d.branch(bpf.JumpEqual, typeRARP, true, d.entries[arp])
	}
	d.goTo(d.entries[other])

	d.land(is4)
	d.ipv4()
	d.goTo(d.entries[ipv4])

	d.land(is6)
	d.ipv6()
	d.goTo(d.entries[ipv6])
}

// ipv4 decodes a header that is well-formed, or goes to the others.
func (d *decoder) ipv4() {
	d.remaining(network, 20, d.entries[other])
	d.load(network, 0, 1) // version 4, 5 to 15 words
	d.branch(bpf.JumpLessThan, 0x45, true, d.entries[other])
	d.branch(bpf.JumpGreaterThan, 0x4f, true, d.entries[other])
	d.alu(bpf.ALUOpAnd, 0xf)
	d.alu(bpf.ALUOpShiftLeft, 2)
	d.aluX(bpf.ALUOpAdd)
	d.keep(transport)
	d.beyond(d.entries[other])
	if d.asks(protocol) {
		d.load(network, 9, 1)
		d.store(protocol)
	}
	if d.asks(later) {
		d.load(network, 6, 2)
		d.alu(bpf.ALUOpAnd, 0x1fff)
		d.store(later)
	}
}

// ipv6 decodes a header that is well-formed, and walks extension headers.
func (d *decoder) ipv6() {
	d.remaining(network, ipv6Len, d.entries[other])
	d.load(network, 0, 1)
	d.alu(bpf.ALUOpAnd, 0xf0)
	d.branch(bpf.JumpEqual, 0x60, false, d.entries[other])
	if !slices.ContainsFunc([]slot{protocol, transport, later, met}, d.asks) {
		return
	}
	d.load(network, 6, 1)
	d.store(protocol)
	d.toA()
	d.alu(bpf.ALUOpAdd, ipv6Len)
	d.store(transport)
	d.constant(0)
	d.store(later)
	d.keep(met)
	walked := d.fresh()
	for range mostExtension {
		d.step(walked)
	}
	d.land(walked)
}

// step steps over an extension header. It jumps where there is none, where it is cut,
// and behind the header of a later fragment.
func (d *decoder) step(walked label) {
	is, fragment, authentication, sized := d.fresh(), d.fresh(), d.fresh(), d.fresh()
	d.recall(protocol)
	for _, number := range []uint32{extHopByHop, extRouting, extFragment, extAuthentication} {
		d.branch(bpf.JumpEqual, number, true, is)
	}
	d.branch(bpf.JumpEqual, extDestination, false, walked)
	d.land(is)
	if d.asks(met) {
		d.alu(bpf.ALUOpAnd, 31)
		d.toX()
		d.constant(1)
		d.aluX(bpf.ALUOpShiftLeft)
		d.base(met)
		d.aluX(bpf.ALUOpOr)
		d.store(met)
	}
	d.remaining(transport, 8, walked)
	d.recall(protocol)
	d.branch(bpf.JumpEqual, extFragment, true, fragment)
	d.branch(bpf.JumpEqual, extAuthentication, true, authentication)
	d.load(transport, 1, 1)
	d.alu(bpf.ALUOpAdd, 1)
	d.alu(bpf.ALUOpShiftLeft, 3)
	d.goTo(sized)

	d.land(authentication)
	d.load(transport, 1, 1)
	d.alu(bpf.ALUOpAdd, 2)
	d.alu(bpf.ALUOpShiftLeft, 2)
	d.goTo(sized)

	d.land(fragment)
	d.load(transport, 2, 2)
	d.alu(bpf.ALUOpAnd, 0xfff8)
	d.store(later)
	d.constant(8)

	d.land(sized)
	d.aluX(bpf.ALUOpAdd)
	d.store(scratch)
	d.beyond(walked)
	d.load(transport, 0, 1)
	d.store(protocol)
	d.recall(scratch)
	d.store(transport)
	d.recall(later)
	d.branch(bpf.JumpEqual, 0, false, walked)
}

// remaining jumps if the frame has less than so many bytes behind an offset, which is
// left in X.
func (d *decoder) remaining(s slot, n uint32, otherwise label) {
	d.base(s)
	d.length()
	d.aluX(bpf.ALUOpSub)
	d.branch(bpf.JumpLessThan, n, true, otherwise)
}

// beyond jumps if the offset in A is behind the frame's last byte.
func (d *decoder) beyond(otherwise label) {
	d.toX()
	d.length()
	d.branchX(bpf.JumpLessThan, true, otherwise)
}
