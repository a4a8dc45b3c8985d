package classic

import (
	"golang.org/x/net/bpf"

	"github.com/xdplog/xdplog/asm/filter"
)

// slot is a word of memory, M[0] to M[15].
type slot int

// What the decoder leaves in memory, as far as it is asked for.
const (
	network   slot = iota // offset of what follows the Ethernet header and the tags
	etherType             // behind the tags
	transport             // offset of what follows the IP header
	protocol              // of IP, behind extension headers
	later                 // a fragment other than the first: not 0
	met                   // 1 << (number & 31) of each extension header before protocol
	outer                 // TPID and TCI of the outer tag, or 0
	inner                 // of the one behind it
	scratch               // from here on: numbers that wait for others
	slots     = 16
)

// value is what a register may be known to hold. Its zero value is anything.
type value struct {
	of     source
	base   slot
	offset uint32
	size   int
}

type source uint8

const (
	anything source = iota
	memory          // M[base]
	packet          // size bytes at offset
	behind          // size bytes at offset behind M[base]
	length          // of the packet
)

// known is what is certain at a place in the program.
type known struct {
	a, x value
	dead bool // the program is never here
}

// and is what both say.
func (k known) and(other known) known {
	switch {
	case k.dead:
		return other
	case other.dead:
		return k
	}
	if k.a != other.a {
		k.a = value{}
	}
	if k.x != other.x {
		k.x = value{}
	}
	return k
}

// emitter emits instructions, but for loads of what a register has, and for what is
// never reached.
type emitter struct {
	code
	known
	at    map[label]known // what is certain at labels that were jumped to
	reads [slots]bool     // of memory
}

func newEmitter(c code) emitter { return emitter{code: c, at: make(map[label]known)} }

// put emits an instruction which leaves something in A.
func (e *emitter) put(ins bpf.Instruction, a value) {
	if e.dead || a.of != anything && a == e.a {
		return
	}
	e.emit(ins)
	e.a = a
}

// base has X hold what is in memory.
func (e *emitter) base(s slot) {
	if e.dead {
		return
	}
	e.reads[s] = true
	if want := (value{of: memory, base: s}); e.x != want {
		e.emit(bpf.LoadScratch{Dst: bpf.RegX, N: int(s)})
		e.x = want
	}
}

// load loads bytes behind an offset that is in memory.
func (e *emitter) load(s slot, offset uint32, size int) {
	want := value{behind, s, offset, size}
	if e.dead || e.a == want {
		return
	}
	e.base(s)
	e.put(bpf.LoadIndirect{Off: offset, Size: size}, want)
}

func (e *emitter) absolute(offset uint32, size int) {
	e.put(bpf.LoadAbsolute{Off: offset, Size: size}, value{of: packet, offset: offset, size: size})
}

func (e *emitter) recall(s slot) {
	if !e.dead {
		e.reads[s] = true
	}
	e.put(bpf.LoadScratch{Dst: bpf.RegA, N: int(s)}, value{of: memory, base: s})
}

func (e *emitter) length() {
	e.put(bpf.LoadExtension{Num: bpf.ExtLen}, value{of: length})
}

func (e *emitter) constant(n uint32) { e.put(bpf.LoadConstant{Dst: bpf.RegA, Val: n}, value{}) }

func (e *emitter) extension(n bpf.Extension) { e.put(bpf.LoadExtension{Num: n}, value{}) }

func (e *emitter) alu(op bpf.ALUOp, n uint32) { e.put(bpf.ALUOpConstant{Op: op, Val: n}, value{}) }

func (e *emitter) aluX(op bpf.ALUOp) { e.put(bpf.ALUOpX{Op: op}, value{}) }

// store keeps A in memory.
func (e *emitter) store(s slot) {
	if e.dead {
		return
	}
	e.emit(bpf.StoreScratch{Src: bpf.RegA, N: int(s)})
	e.a = value{of: memory, base: s}
	if e.x.base == s {
		e.x = value{}
	}
}

// toX copies A to X.
func (e *emitter) toX() {
	if e.dead {
		return
	}
	e.emit(bpf.TAX{})
	e.x = e.a
}

// toA copies X to A.
func (e *emitter) toA() { e.put(bpf.TXA{}, e.x) }

// goTo jumps, after which the program is nowhere until a label.
func (e *emitter) goTo(to label) {
	if e.dead {
		return
	}
	e.merge(to)
	e.jump(bpf.Jump{}, to)
	e.dead = true
}

// branch jumps if whether A compares so is as sense says.
func (e *emitter) branch(c bpf.JumpTest, n uint32, sense bool, to label) {
	if e.dead {
		return
	}
	e.merge(to)
	e.jump(bpf.JumpIf{Cond: as(c, sense), Val: n}, to)
}

// branchX is branch by what is in X.
func (e *emitter) branchX(c bpf.JumpTest, sense bool, to label) {
	if e.dead {
		return
	}
	e.merge(to)
	e.jump(bpf.JumpIfX{Cond: as(c, sense)}, to)
}

// land binds a label, if anything jumps there.
func (e *emitter) land(l label) {
	k, ok := e.at[l]
	if !ok {
		return
	}
	e.known = k.and(e.known)
	e.bind(l)
}

func (e *emitter) merge(to label) {
	k := e.known
	if before, ok := e.at[to]; ok {
		k = k.and(before)
	}
	e.at[to] = k
}

// as is a comparison, or its opposite.
func as(c bpf.JumpTest, sense bool) bpf.JumpTest {
	if sense {
		return c
	}
	return opposites[c]
}

var opposites = map[bpf.JumpTest]bpf.JumpTest{
	bpf.JumpEqual: bpf.JumpNotEqual, bpf.JumpNotEqual: bpf.JumpEqual,
	bpf.JumpGreaterThan: bpf.JumpLessOrEqual, bpf.JumpLessOrEqual: bpf.JumpGreaterThan,
	bpf.JumpLessThan: bpf.JumpGreaterOrEqual, bpf.JumpGreaterOrEqual: bpf.JumpLessThan,
}

// Comparisons and operators as the machine has them. All are unsigned, and wrap.
var (
	comparisons = map[filter.Comparison]bpf.JumpTest{
		filter.Equal: bpf.JumpEqual, filter.NotEqual: bpf.JumpNotEqual,
		filter.Greater: bpf.JumpGreaterThan, filter.GreaterEqual: bpf.JumpGreaterOrEqual,
		filter.Less: bpf.JumpLessThan, filter.LessEqual: bpf.JumpLessOrEqual,
	}
	operators = map[filter.Operator]bpf.ALUOp{
		filter.Add: bpf.ALUOpAdd, filter.Subtract: bpf.ALUOpSub, filter.Multiply: bpf.ALUOpMul,
		filter.Divide: bpf.ALUOpDiv, filter.Modulo: bpf.ALUOpMod,
		filter.BitAnd: bpf.ALUOpAnd, filter.BitOr: bpf.ALUOpOr, filter.BitXor: bpf.ALUOpXor,
		filter.ShiftLeft: bpf.ALUOpShiftLeft, filter.ShiftRight: bpf.ALUOpShiftRight,
	}
)
