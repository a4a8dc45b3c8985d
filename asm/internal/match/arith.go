package match

import (
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// relation asks whether the packet has the headers that are loaded from, and
// then compares.
func (m *matcher) relation(n filter.Relation) step {
	var steps []step
	for _, layer := range n.Layers() {
		steps = append(steps, m.has(layer)...)
	}
	return m.all(append(steps, m.comparison(n.Op, n.Left, n.Right))...)
}

// has asks whether a packet has the header that a layer's loads count from.
func (m *matcher) has(layer filter.Layer) []step {
	if proto, ok := layer.Transport(); ok {
		return []step{m.protocol(proto), m.not(m.flag(wire.FlagFragment))}
	}
	if etherType, ok := layer.EtherType(); ok {
		return []step{m.is(layout.Rec.EtherType, uint32(etherType))}
	}
	return nil
}

// Comparisons as jumps, unsigned, and what they are if both sides are swapped.
var comparisonJumps = map[filter.Comparison]struct{ op, swapped bpf.JumpOp }{
	filter.Equal:    {bpf.JEq, bpf.JEq},
	filter.NotEqual: {bpf.JNE, bpf.JNE},
	filter.Greater:  {bpf.JGT, bpf.JLT}, filter.GreaterEqual: {bpf.JGE, bpf.JLE},
	filter.Less: {bpf.JLT, bpf.JGT}, filter.LessEqual: {bpf.JLE, bpf.JGE},
}

// comparison evaluates both sides, left first, and compares.
func (m *matcher) comparison(c filter.Comparison, left, right filter.Arith) step {
	return func(sense bool, to assemble.Label) {
		if m.known == nil {
			return
		}
		op := comparisonJumps[c].op
		if isNumber(left) { // nothing that could be missing
			op, left, right = comparisonJumps[c].swapped, right, left
		}
		if !sense {
			op = assemble.Inverse(op)
		}
		number, ok := right.(filter.Number)
		if !ok {
			m.both(left, right)
			m.jumpOn(op.Reg32(bpf.R0, bpf.R1, ""), to)
			return
		}
		if bits, ok := left.(filter.Binary); ok && bits.Op == filter.BitAnd && op == bpf.JNE && number == 0 {
			if mask, ok := bits.Right.(filter.Number); ok {
				m.number(bits.Left)
				m.jumpOn(bpf.JSet.Imm32(bpf.R0, int32(mask), ""), to)
				return
			}
		}
		m.number(left)
		m.jumpOn(op.Imm32(bpf.R0, int32(number), ""), to)
	}
}

// Places on the stack: keys for look-ups, and below them numbers that wait.
const keySlot = layout.FilterSlot - 48

// both leaves two numbers in r0 and r1. It begins with the one that needs more
// of the stack, so that n operands never need more than log2(n) slots. Which
// comes first makes no difference: a byte that is missing ends the filter.
func (m *matcher) both(left, right filter.Arith) {
	if number, ok := left.(filter.Number); ok {
		m.number(right)
		m.Emit(
			bpf.Mov.Reg(bpf.R1, bpf.R0),
			bpf.Mov.Imm32(bpf.R0, int32(number)),
		)
		return
	}
	first, second := left, right
	swapped := slots(right) > slots(left)
	if swapped {
		first, second = right, left
	}
	m.number(first)
	m.depth++ // from here on it waits
	slot := keySlot - int16(8*m.depth)
	m.Emit(bpf.StoreMem(stack, slot, bpf.R0, bpf.DWord))
	m.number(second)
	if swapped {
		m.Emit(bpf.LoadMem(bpf.R1, stack, slot, bpf.DWord))
	} else {
		m.Emit(
			bpf.Mov.Reg(bpf.R1, bpf.R0),
			bpf.LoadMem(bpf.R0, stack, slot, bpf.DWord),
		)
	}
	m.depth--
}

// slots is how many numbers wait on the stack while a is computed.
func slots(a filter.Arith) int {
	switch a := a.(type) {
	case filter.Load:
		return slots(a.Offset)
	case filter.Binary:
		left, right := slots(a.Left), slots(a.Right)
		switch {
		case isNumber(a.Left) || isNumber(a.Right):
			return max(left, right)
		case left == right:
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

// Operators as instructions: all are 32 bits wide, and wrap.
var operators = map[filter.Operator]bpf.ALUOp{
	filter.Add: bpf.Add, filter.Subtract: bpf.Sub, filter.Multiply: bpf.Mul,
	filter.Divide: bpf.Div, filter.Modulo: bpf.Mod,
	filter.BitAnd: bpf.And, filter.BitOr: bpf.Or, filter.BitXor: bpf.Xor,
	filter.ShiftLeft: bpf.LSh, filter.ShiftRight: bpf.RSh,
}

// number leaves the value of an expression in r0, in its lower 32 bits with
// the upper ones zero. Helpers may be called on the way.
func (m *matcher) number(a filter.Arith) {
	switch a := a.(type) {
	case filter.Number:
		m.Emit(bpf.Mov.Imm32(bpf.R0, int32(a)))
	case filter.Length:
		if m.place.Fragmented() {
			m.called()
		}
		m.place.Length(m.Builder)
	case filter.Load:
		m.loadPacket(a)
	case filter.Binary:
		m.binary(a)
	default:
		m.Errorf("filter: no code for %T", a)
	}
}

func (m *matcher) binary(n filter.Binary) {
	op := operators[n.Op]
	if number, ok := n.Right.(filter.Number); ok {
		m.number(n.Left)
		m.Emit(op.Imm32(bpf.R0, int32(number)))
		return
	}
	m.both(n.Left, n.Right)
	switch n.Op {
	case filter.Divide, filter.Modulo:
		m.jumpOn(bpf.JEq.Imm32(bpf.R1, 0, ""), m.abort)
		m.Emit(op.Reg32(bpf.R0, bpf.R1))
	case filter.ShiftLeft, filter.ShiftRight:
		// The machine would take the count modulo 32.
		small := m.Fresh("shift")
		m.Branch(bpf.JLT.Imm32(bpf.R1, 32, ""), small)
		m.Emit(bpf.Mov.Imm32(bpf.R0, 0), bpf.Mov.Imm32(bpf.R1, 0))
		m.Block(small)
		m.Emit(op.Reg32(bpf.R0, bpf.R1))
	default:
		m.Emit(op.Reg32(bpf.R0, bpf.R1))
	}
}
