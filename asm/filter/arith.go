package filter

import "slices"

// value is a parsed arithmetic expression.
type value struct {
	arith Arith
	depth int
	plain bool // a number as it is written, perhaps in parentheses, and no sum
}

// literal is the number, if the value is one as it is written.
func (v *value) literal() (n uint32, ok bool) {
	number, isNumber := v.arith.(Number)
	return uint32(number), isNumber && v.plain
}

// precedence of the operators, the strongest last. The remainder and exclusive
// or have none in libpcap's grammar, so that it resolves to shifting: they take
// the operand before them from any other operator, and all that follows.
// a * b % c + d is a * (b % (c + d)).
var precedence = map[string]struct {
	op    Operator
	left  int // how strongly it takes what stands before it
	right int // what takes it over from an operand behind it must be stronger
}{
	"|":  {BitOr, 1, 1},
	"&":  {BitAnd, 2, 2},
	"<<": {ShiftLeft, 3, 3}, ">>": {ShiftRight, 3, 3},
	"+": {Add, 4, 4}, "-": {Subtract, 4, 4},
	"*": {Multiply, 5, 5}, "/": {Divide, 5, 5},
	"%": {Modulo, 7, 0}, "^": {BitXor, 7, 0},
}

const negation = 6 // between division and remainder

var comparisons = map[string]Comparison{
	"==": Equal, "!=": NotEqual, ">": Greater, ">=": GreaterEqual, "<": Less, "<=": LessEqual,
}

// isLoad says whether the token at hand begins tcp[…].
func (p *parser) isLoad() bool {
	_, ok := protocolWords[p.peek().text]
	return ok && p.peek().kind == word && p.peekAt(1).is("[")
}

// relation parses what follows the first operand of a relation. Where that is
// neither arithmetic nor a comparison, the item remains a number.
func (p *parser) relation(first value, before qualifiers) item {
	left := p.operators(first, 0)
	op, ok := comparisons[p.peek().text]
	if !ok || p.peek().kind != operator {
		return item{arith: &left}
	}
	p.take()
	right := p.sum(0)
	relation := Relation{op, left.arith, right.arith}
	node, depth := Node(relation), max(left.depth, right.depth)+1
	if p.libpcap && slices.ContainsFunc(relation.Layers(), Layer.ofBoth) {
		node, depth = And{EtherType{typeIPv4}, relation}, depth+1
	}
	if l, ok := left.arith.(Number); ok {
		if r, ok := right.arith.(Number); ok {
			node = Constant(compare(op, uint32(l), uint32(r)))
		}
	}
	return item{part: p.part(node, depth, qualifiers{})}
}

// sum parses an arithmetic expression up to an operator not stronger than this.
func (p *parser) sum(than int) value {
	defer p.nest()()
	return p.operators(p.operand(), than)
}

// operators parses the operators behind an operand.
func (p *parser) operators(left value, than int) value {
	for {
		t := p.peek()
		operator, ok := precedence[t.text]
		if !ok || t.kind == escaped || operator.left <= than {
			return left
		}
		p.take()
		left = p.binary(t, operator.op, left, p.sum(operator.right))
	}
}

// binary computes what is constant.
func (p *parser) binary(at token, op Operator, left, right value) value {
	r, constant := right.arith.(Number)
	if constant {
		switch {
		case r == 0 && (op == Divide || op == Modulo):
			p.fail(at, "division by zero")
		case r > 31 && (op == ShiftLeft || op == ShiftRight):
			if right.plain {
				p.fail(at, "shift by more than 31 bits")
			}
			op, r = Multiply, 0 // a sum may come to that in libpcap
			right.arith = r
		}
		if l, ok := left.arith.(Number); ok {
			n, _ := calculate(op, uint32(l), uint32(r))
			return value{arith: Number(n), depth: 1}
		}
	}
	depth := max(left.depth, right.depth) + 1
	if depth > maxDepth {
		p.tooDeep()
	}
	return value{arith: Binary{op, left.arith, right.arith}, depth: depth}
}

// operand parses a number, len, a load, -operand, or a sum in parentheses.
func (p *parser) operand() value {
	defer p.nest()()
	t := p.peek()
	switch {
	case t.kind == number:
		p.take()
		return value{arith: Number(t.number), depth: 1, plain: true}
	case p.accept("len"), p.accept("length"):
		return value{arith: Length{}, depth: 1}
	case p.isLoad():
		return p.load()
	case p.accept("-"):
		minusOne := value{arith: Number(1<<32 - 1), depth: 1}
		return p.binary(t, Multiply, p.sum(negation), minusOne)
	case p.accept("("):
		v := p.sum(0)
		p.expect(")", "to close the parenthesis")
		return v
	}
	p.unexpected(t, "a number, len or a load (as in ip[0])")
	panic("unreachable")
}

// load parses protocol[offset] or protocol[offset:size].
func (p *parser) load() value {
	name := p.take()
	protocol := protocolWords[name.text]
	if !protocol.loads {
		p.fail(name, "%s[…]: not supported", name.text)
	}
	p.take()
	start := p.peek()
	offset := p.sum(0)
	size := uint32(1)
	if p.accept(":") {
		t := p.take()
		if t.kind != number {
			p.unexpected(t, "a size of 1, 2 or 4 bytes")
		}
		if size = t.number; size != 1 && size != 2 && size != 4 {
			p.fail(t, "size is %d, want 1, 2 or 4 bytes", size)
		}
	}
	p.expect("]", "to close the bracket")
	// libpcap wraps such an offset, or does not, depending on its optimizer.
	if n, ok := offset.arith.(Number); ok && n > 1<<31 && !wraps(protocol.layer) {
		p.fail(start, "offset %d is before the header", int32(n))
	}
	if offset.depth >= maxDepth {
		p.tooDeep()
	}
	return value{arith: Load{protocol.layer, offset.arith, uint8(size)}, depth: offset.depth + 1}
}

// wraps says whether offsets from the layer are modulo 2^32: they are where
// the length of an IPv4 header is added to them.
func wraps(l Layer) bool { return l >= TCPLayer && l != ICMP6Layer }

func compare(op Comparison, l, r uint32) bool {
	switch op {
	case Equal:
		return l == r
	case NotEqual:
		return l != r
	case Greater:
		return l > r
	case GreaterEqual:
		return l >= r
	case Less:
		return l < r
	default:
		return l <= r
	}
}

// calculate returns false for a division by zero.
func calculate(op Operator, l, r uint32) (n uint32, ok bool) {
	switch op {
	case Add:
		return l + r, true
	case Subtract:
		return l - r, true
	case Multiply:
		return l * r, true
	case BitAnd:
		return l & r, true
	case BitOr:
		return l | r, true
	case BitXor:
		return l ^ r, true
	case ShiftLeft:
		return l << r, true // 0 where r > 31
	case ShiftRight:
		return l >> r, true
	case Divide:
		if r == 0 {
			return 0, false
		}
		return l / r, true
	default:
		if r == 0 {
			return 0, false
		}
		return l % r, true
	}
}
