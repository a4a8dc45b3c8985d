package filter

import (
	"math/bits"
	"slices"
)

// RowsFrom is how many terms of one form are a table's rows: see [Rows].
const RowsFrom = 17

// Row asks the same questions as the other rows of its table, in their order.
type Row []Node

// Rows returns how many terms of an [Or], from the first on, have its form, one and
// more, and if they are a table, its rows. It is one if they are [RowsFrom] and
// more, and each is an [And] of the same questions, as in
// (host A and port B) or (host C and port D) or …. In an And they are negations of
// such. Two to four of the questions are for addresses of one scope, one of them
// perhaps a net, and for ports, each of one direction or either; others are the
// same in all rows, and ask for a protocol, an EtherType or a VLAN.
//
// A table is looked up, and so asks for all at once. It is false of a packet
// that is not what one of the questions is about: none without ports has a row
// with a port. Where a byte is missing that any question is about, be it one of
// the two ports, the evaluation ends, also where a row would have had an answer
// without it.
func Rows(terms []Node, and bool) (rows []Row, n int) {
	first, _ := rowOf(terms[0], and)
	form := formOf(first)
	for n = 1; n < len(terms) && form != nil; n++ {
		if row, ok := rowOf(terms[n], and); !ok || formOf(row) != form {
			break
		}
	}
	if n < RowsFrom {
		return nil, n
	}
	for _, term := range terms[:n] {
		row, _ := rowOf(term, and)
		rows = append(rows, Row(row))
	}
	if !isTable(rows) {
		return nil, n
	}
	return rows, n
}

// rowOf is the term as a row, or what it negates.
func rowOf(term Node, negated bool) (row And, ok bool) {
	if negated {
		not, ok := term.(Not)
		if !ok {
			return nil, false
		}
		term = not.Term
	}
	row, ok = term.(And)
	return row, ok
}

// isTable says whether rows of one form can be looked up.
func isTable(rows []Row) bool {
	values, either, nets := 0, 0, 0
	var scope *Scope
	for i, n := range rows[0] {
		var direction Direction
		exact := true // in all rows
		switch n := n.(type) {
		case Port:
			direction = n.Direction
			if slices.ContainsFunc(rows, func(r Row) bool { return r[i].(Port).Low != r[i].(Port).High }) {
				return false
			}
		case Net4:
			direction = n.Direction
			if scope != nil && *scope != n.Scope || slices.ContainsFunc(rows, func(r Row) bool { return !isPrefix(r[i].(Net4).Mask) }) {
				return false
			}
			scope = &n.Scope
			exact = !slices.ContainsFunc(rows, func(r Row) bool { return r[i].(Net4).Mask != 0xffffffff })
		case Net6:
			direction = n.Direction
			exact = !slices.ContainsFunc(rows, func(r Row) bool { return !r[i].(Net6).Prefix.IsSingleIP() })
		default:
			continue
		}
		values++
		switch direction {
		case Both:
			return false
		case Either:
			either++
		}
		if !exact {
			nets++
		}
	}
	return 2 <= values && values <= 4 && either <= 3 && nets <= 1
}

func isPrefix(mask uint32) bool { return bits.OnesCount32(mask) == bits.LeadingZeros32(^mask) }

// form is what the rows of a table have in common. It is comparable.
type form [5]Node

func (form) node() {}

// formOf is the form of a row, or nil if no table has such rows.
func formOf(row And) Node {
	var f form
	if len(row) == 0 || len(row) > len(f) {
		return nil
	}
	for i, n := range row {
		switch n := n.(type) {
		case Net4:
			f[i] = Net4{Scope: n.Scope, Direction: n.Direction}
		case Net6:
			f[i] = Net6{Direction: n.Direction}
		case Port:
			f[i] = Port{Protocol: n.Protocol, Direction: n.Direction}
		case Proto, EtherType, VLAN:
			f[i] = n
		default:
			return nil
		}
	}
	return f
}

// inRows says whether the packet is in one of a table's rows.
func (p *packet) inRows(rows []Row) verdict {
	if p.typed == 0 {
		return missing
	}
	for _, n := range rows[0] {
		if p.isAbout(n) != yes {
			return no
		}
	}
	for _, n := range rows[0] {
		if len(p.frame) < p.end(n) {
			return missing
		}
	}
	for _, row := range rows {
		if p.ask(And(row)) == yes {
			return yes
		}
	}
	return no
}

// isAbout says whether the packet is what a question of a row is about, or of
// those without a value, whether it is so.
func (p *packet) isAbout(n Node) verdict {
	switch n := n.(type) {
	case Net4:
		_, _, ok := p.addresses4(n.Scope)
		return is(ok)
	case Net6:
		return is(p.version == IPv6)
	case Port:
		return is(p.mayHavePorts(n.Protocol))
	}
	return p.ask(n)
}

// end is where the bytes end that a question of a row asks for.
func (p *packet) end(n Node) int {
	switch n := n.(type) {
	case Net4:
		source, destination, _ := p.addresses4(n.Scope)
		if n.Direction == Source {
			return source + 4
		}
		return destination + 4
	case Port:
		return p.transport + 4
	}
	return 0
}
