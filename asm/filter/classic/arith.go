package classic

import (
	"golang.org/x/net/bpf"

	"github.com/xdplog/xdplog/asm/filter"
)

// tooFar is beyond the end of any packet. Linux has other meanings for offsets of 2^31
// and more.
const tooFar = 1 << 30

// relation asks whether the packet has the headers that are loaded from, and then
// compares.
func (m *matcher) relation(n filter.Relation) step {
	var steps []step
	for _, layer := range n.Layers() {
		if proto, ok := layer.Transport(); ok {
			steps = append(steps, m.whole(m.all(m.isProtocol(proto), m.first())))
		} else if value, ok := layer.EtherType(); ok {
			steps = append(steps, m.whole(m.isType(value)))
		}
	}
	return m.all(append(steps, m.comparison(n))...)
}

func (m *matcher) comparison(n filter.Relation) step {
	return func(sense bool, to label) {
		if number, ok := n.Right.(filter.Number); ok {
			m.number(n.Left)
			m.branch(comparisons[n.Op], uint32(number), sense, to)
			return
		}
		m.both(n.Left, n.Right)
		m.branchX(comparisons[n.Op], sense, to)
	}
}

// both leaves two numbers in A and X. It begins with the one that needs more memory, so
// that n operands never need more than log2(n) slots. Which comes first makes no
// difference: a byte that is missing ends the filter.
func (m *matcher) both(left, right filter.Arith) {
	if number, ok := left.(filter.Number); ok {
		m.number(right)
		m.toX()
		m.constant(uint32(number))
		return
	}
	first, second := left, right
	swapped := waiting(right) > waiting(left)
	if swapped {
		first, second = right, left
	}
	m.number(first)
	slot := m.wait()
	m.number(second)
	if swapped {
		m.base(slot)
	} else {
		m.toX()
		m.recall(slot)
	}
	m.depth--
}

// wait keeps A in memory while another number is computed. The caller ends it.
func (m *matcher) wait() slot {
	free := scratch + slot(m.depth)
	m.depth++
	if free >= slots {
		m.deep = true
		return scratch
	}
	m.store(free)
	return free
}

// waiting is how many numbers wait in memory while a is computed.
func waiting(a filter.Arith) int {
	switch a := a.(type) {
	case filter.Load:
		return waiting(a.Offset)
	case filter.Binary:
		left, right := waiting(a.Left), waiting(a.Right)
		if !isNumber(a.Left) && !isNumber(a.Right) && left == right {
			return left + 1
		}
		return max(left, right)
	}
	return 0
}

func isNumber(a filter.Arith) bool {
	_, ok := a.(filter.Number)
	return ok
}

// number leaves the value of an expression in A.
func (m *matcher) number(a filter.Arith) {
	switch a := a.(type) {
	case filter.Number:
		m.constant(uint32(a))
	case filter.Length:
		m.length()
	case filter.Load:
		m.loadPacket(a)
	case filter.Binary:
		m.binary(a)
	}
}

func (m *matcher) binary(n filter.Binary) {
	op := operators[n.Op]
	divides, shifts := op == bpf.ALUOpDiv || op == bpf.ALUOpMod, op == bpf.ALUOpShiftLeft || op == bpf.ALUOpShiftRight
	if number, ok := n.Right.(filter.Number); ok {
		m.number(n.Left)
		switch { // what Linux refuses, and the parser
		case divides && number == 0:
			m.goTo(m.reject)
		case shifts && number > 31:
			m.constant(0)
		default:
			m.alu(op, uint32(number))
		}
		return
	}
	m.both(n.Left, n.Right)
	if shifts {
		m.shift(op)
		return
	}
	m.aluX(op) // to divide by zero is to return 0
}

// shift shifts A by X. The machine may take X modulo 32.
func (m *matcher) shift(op bpf.ALUOp) {
	small, end := m.fresh(), m.fresh()
	left := m.wait()
	m.toA()
	m.branch(bpf.JumpLessThan, 32, true, small)
	m.constant(0)
	m.goTo(end)
	m.land(small)
	m.recall(left)
	m.aluX(op)
	m.land(end)
	m.depth--
}

// loadPacket leaves bytes of the packet in A.
func (m *matcher) loadPacket(n filter.Load) {
	if n.Layer != filter.EtherLayer && m.isShort() {
		m.goTo(m.reject)
		return
	}
	size := int(n.Size)
	if offset, ok := n.Offset.(filter.Number); ok && offset < tooFar {
		m.loadNear(n.Layer, uint32(offset), size)
		return
	}
	m.number(n.Offset)
	switch {
	case !wraps(n.Layer):
		m.branch(bpf.JumpGreaterOrEqual, tooFar, true, m.reject)
	case m.parsed(n.Layer):
		m.base(transport)
		m.aluX(bpf.ALUOpAdd)
		m.base(network)
		m.aluX(bpf.ALUOpSub)
		m.branch(bpf.JumpGreaterOrEqual, tooFar, true, m.reject)
	default:
		offset := m.wait()
		m.ipv4Length()
		m.base(offset)
		m.aluX(bpf.ALUOpAdd)
		m.branch(bpf.JumpGreaterOrEqual, tooFar, true, m.reject)
		m.depth--
	}
	switch {
	case n.Layer == filter.EtherLayer:
	case n.Layer == filter.ICMP6Layer && m.kind == ipv6:
		m.base(transport)
		m.aluX(bpf.ALUOpAdd)
	case n.Layer == filter.ICMP6Layer:
		m.alu(bpf.ALUOpAdd, ipv6Len)
		fallthrough
	default:
		m.base(network)
		m.aluX(bpf.ALUOpAdd)
	}
	m.toX()
	m.put(bpf.LoadIndirect{Size: size}, value{})
}

// loadNear loads at an offset that is known.
func (m *matcher) loadNear(layer filter.Layer, offset uint32, size int) {
	switch {
	case layer == filter.EtherLayer:
		m.absolute(offset, size)
	case layer == filter.ICMP6Layer && m.kind != ipv6:
		m.load(network, ipv6Len+offset, size)
	case layer == filter.ICMP6Layer, m.parsed(layer):
		m.load(transport, offset, size)
	case wraps(layer):
		m.ipv4Length()
		m.aluX(bpf.ALUOpAdd)
		m.toX()
		m.put(bpf.LoadIndirect{Off: offset, Size: size}, value{})
	default:
		m.load(network, offset, size)
	}
}

// ipv4Length leaves in A how long what follows the tags is if it is taken for an IPv4
// header, and in X where that begins.
func (m *matcher) ipv4Length() {
	m.load(network, 0, 1)
	m.base(network)
	m.alu(bpf.ALUOpAnd, 0xf)
	m.alu(bpf.ALUOpShiftLeft, 2)
}

// wraps says whether a layer's offset and the length of the headers before it wrap.
func wraps(l filter.Layer) bool { return l >= filter.TCPLayer && l != filter.ICMP6Layer }

// parsed says whether such a layer begins where the decoder ended.
func (m *matcher) parsed(l filter.Layer) bool {
	proto, ok := l.Transport()
	return ok && (m.kind == ipv4 || m.kind == ipv6 && proto.Version == filter.AnyIP)
}
