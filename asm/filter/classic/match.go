package classic

import (
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/net/bpf"

	"github.com/xdplog/xdplog/asm/filter"
)

// matcher compiles a filter into short-circuit jumps, for one kind of packets: no truth
// value is ever kept, it is where the program is.
type matcher struct {
	emitter
	kind   kind
	reject label // also where the filter ends that asks for a byte which is not there
	typed  bool  // whether it asked for what a frame without an EtherType has not
	depth  int   // numbers that wait in memory
	deep   bool  // too many
}

// step is something to ask: it emits code that jumps to a label if the answer is as
// sense says, and falls through otherwise.
type step func(sense bool, to label)

// entry is where a body begins, or where it always ends.
func (m *matcher) entry(accept, reject label) label {
	switch {
	case !m.jumpsTo(accept):
		return reject
	case m.items[0] == item{bpf.Jump{}, accept}:
		return accept
	}
	return m.fresh()
}

// when jumps to a label if a node is as sense says.
func (m *matcher) when(n filter.Node, sense bool, to label) {
	if m.dead {
		return
	}
	m.ask(n)(sense, to)
}

// ask is a node as a step.
func (m *matcher) ask(n filter.Node) step {
	switch n := n.(type) {
	case filter.And:
		return m.all(m.terms(n, true)...)
	case filter.Or:
		return m.anyOf(m.terms(n, false)...)
	case filter.Not:
		return m.not(m.node(n.Term))
	case filter.Constant:
		return m.always(bool(n))
	case filter.EtherAddress:
		return m.either(n.Direction, m.mac(6, n.Address), m.mac(0, n.Address))
	case filter.Relation:
		return m.relation(n)
	case filter.EtherType:
		return m.whole(m.hasType(n.Value))
	case filter.VLAN:
		return m.whole(m.anyOf(m.tag(outer, n), m.tag(inner, n)))
	case filter.Proto:
		return m.whole(m.bears(n))
	case filter.Net4, filter.Net6, filter.Port:
		return m.whole(m.all(m.isAbout(n), m.value(n)))
	}
	panic(fmt.Sprintf("classic: unknown node %T", n)) // Check knows them all
}

// node is ask, when its turn comes: code is not made for what can't be reached.
func (m *matcher) node(n filter.Node) step {
	return func(sense bool, to label) { m.when(n, sense, to) }
}

// whole asks what needs an EtherType, which a short frame has not.
func (m *matcher) whole(s step) step {
	return func(sense bool, to label) {
		if m.isShort() {
			m.goTo(m.reject)
			return
		}
		s(sense, to)
	}
}

func (m *matcher) isShort() bool {
	if !m.dead {
		m.typed = true
	}
	return m.kind == short
}

// all is true if every step is, asked in order.
func (m *matcher) all(steps ...step) step {
	return func(sense bool, to label) { m.shortCircuit(false, sense, to, steps) }
}

// anyOf is true if one of the steps is, asked in order.
func (m *matcher) anyOf(steps ...step) step {
	return func(sense bool, to label) { m.shortCircuit(true, sense, to, steps) }
}

// shortCircuit asks until one step is as decisive says: that is the answer.
func (m *matcher) shortCircuit(decisive, sense bool, to label, steps []step) {
	if sense == decisive {
		for _, s := range steps {
			s(decisive, to)
		}
		return
	}
	if len(steps) == 0 { // none has been as decisive says
		m.goTo(to)
		return
	}
	end := m.fresh()
	last := len(steps) - 1
	for _, s := range steps[:last] {
		s(decisive, end)
	}
	steps[last](sense, to)
	m.land(end)
}

func (m *matcher) not(s step) step {
	return func(sense bool, to label) { s(!sense, to) }
}

func (m *matcher) always(answer bool) step {
	return func(sense bool, to label) {
		if sense == answer {
			m.goTo(to)
		}
	}
}

// is asks whether what load leaves in A compares so with a number.
func (m *matcher) is(load func(), c bpf.JumpTest, n uint32) step {
	return func(sense bool, to label) {
		load()
		m.branch(c, n, sense, to)
	}
}

// word asks whether a word of memory is a number, under a mask.
func (m *matcher) word(s slot, mask, n uint32) step {
	return m.is(func() {
		m.recall(s)
		m.mask(mask)
	}, bpf.JumpEqual, n)
}

func (m *matcher) mask(mask uint32) {
	if mask != ^uint32(0) {
		m.alu(bpf.ALUOpAnd, mask)
	}
}

const allBits = ^uint32(0)

// either combines what is asked of the source and of the destination.
func (m *matcher) either(d filter.Direction, source, destination step) step {
	switch d {
	case filter.Source:
		return source
	case filter.Destination:
		return destination
	case filter.Both:
		return m.all(source, destination)
	default:
		return m.anyOf(source, destination)
	}
}

// mac compares an address, of which the last bytes come first: where they are, all are.
func (m *matcher) mac(offset uint32, address [6]byte) step {
	return m.all(
		m.is(func() { m.absolute(offset+4, 2) }, bpf.JumpEqual, uint32(binary.BigEndian.Uint16(address[4:]))),
		m.is(func() { m.absolute(offset, 4) }, bpf.JumpEqual, binary.BigEndian.Uint32(address[:])),
	)
}

// hasType asks for the EtherType and for those of the tags before it.
func (m *matcher) hasType(value uint16) step {
	if value != typeC && value != typeS {
		return m.isType(value)
	}
	tag := uint32(value) << 16
	return m.anyOf(m.isType(value), m.word(outer, 0xffff0000, tag), m.word(inner, 0xffff0000, tag))
}

// isType asks for the EtherType behind the tags.
func (m *matcher) isType(value uint16) step {
	isARP := value == typeARP || value == typeRARP
	switch {
	case m.kind == ipv4:
		return m.always(value == typeIPv4)
	case m.kind == ipv6:
		return m.always(value == typeIPv6)
	case m.kind == arp && !isARP, m.kind == other && isARP:
		return m.always(false)
	}
	return m.word(etherType, allBits, uint32(value))
}

func (m *matcher) tag(s slot, n filter.VLAN) step {
	there := m.not(m.word(s, allBits, 0))
	if n.Any {
		return there
	}
	return m.all(there, m.word(s, 0xfff, uint32(n.ID)))
}

// ofVersion says whether packets of the kind are IP of a version.
func (m *matcher) ofVersion(v filter.Version) bool {
	switch m.kind {
	case ipv4:
		return v != filter.IPv6
	case ipv6:
		return v != filter.IPv4
	}
	return false
}

func (m *matcher) bears(n filter.Proto) step {
	is := m.isProtocol(n)
	if m.kind != ipv6 || !slices.Contains([]uint8{extHopByHop, extRouting, extFragment, extAuthentication, extDestination}, n.Number) {
		return is
	}
	bit := uint32(1) << (n.Number & 31)
	return m.anyOf(is, m.all(m.always(m.ofVersion(n.Version)), m.word(met, bit, bit)))
}

// isProtocol asks for what is behind the extension headers.
func (m *matcher) isProtocol(n filter.Proto) step {
	return m.all(m.always(m.ofVersion(n.Version)), m.word(protocol, allBits, uint32(n.Number)))
}

// first asks for what is not a later fragment.
func (m *matcher) first() step { return m.word(later, allBits, 0) }
