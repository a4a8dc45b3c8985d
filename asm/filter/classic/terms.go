package classic

import "github.com/xdplog/xdplog/asm/filter"

// terms are the steps of an And or an Or. What neighbours have in common is asked once:
// those that ask the same of different values, and the rows of a table.
func (m *matcher) terms(terms []filter.Node, and bool) (steps []step) {
	for len(terms) > 0 {
		var together step
		n := 1
		if run := runOf(terms, and); len(run) > 1 {
			together, n = m.run(run), len(run)
		} else if rows, length := filter.Rows(terms, and); rows != nil {
			together, n = m.rows(rows), length
		}
		switch {
		case together == nil:
			steps = append(steps, m.node(terms[0]))
		case and:
			steps = append(steps, m.not(m.whole(together)))
		default:
			steps = append(steps, m.whole(together))
		}
		terms = terms[n:]
	}
	return steps
}

// runOf is the terms, from the first on, that ask the same of different values, or in an
// And, what they negate.
func runOf(terms []filter.Node, and bool) (run []filter.Node) {
	var first filter.Node
	for _, n := range terms {
		if and {
			not, ok := n.(filter.Not)
			if !ok {
				break
			}
			n = not.Term
		}
		form := formOf(n)
		if form == nil || len(run) > 0 && form != first {
			break
		}
		first, run = form, append(run, n)
	}
	return run
}

// formOf is a node without the values that it compares, or nil where neighbours are not
// asked together. It is comparable.
func formOf(n filter.Node) filter.Node {
	switch n := n.(type) {
	case filter.Net4:
		if n.Direction != filter.Both {
			return filter.Net4{Scope: n.Scope, Direction: n.Direction}
		}
	case filter.Net6:
		if n.Direction != filter.Both {
			return filter.Net6{Direction: n.Direction}
		}
	case filter.Port:
		if n.Direction != filter.Both {
			return filter.Port{Protocol: n.Protocol, Direction: n.Direction}
		}
	}
	return nil
}

// run is true if one of the nodes is. The first is asked alone: what it did not miss, the
// others won't. So of them all sources come first, and then all destinations.
func (m *matcher) run(nodes []filter.Node) step {
	first, rest := nodes[0], nodes[1:]
	values := []step{m.value(first)}
	if isEither(first) {
		for _, d := range []filter.Direction{filter.Source, filter.Destination} {
			for _, n := range rest {
				values = append(values, m.value(directed(n, d)))
			}
		}
	} else {
		for _, n := range rest {
			values = append(values, m.value(n))
		}
	}
	return m.all(m.isAbout(first), m.anyOf(values...))
}

func isEither(n filter.Node) bool { return n == directed(n, filter.Either) }

// directed is a node with another direction.
func directed(n filter.Node, d filter.Direction) filter.Node {
	switch n := n.(type) {
	case filter.Net4:
		n.Direction = d
		return n
	case filter.Net6:
		n.Direction = d
		return n
	case filter.Port:
		n.Direction = d
		return n
	}
	return n
}
