package filter

// Matcher is a filter made to be asked often: what [Filter.Match] finds out anew for
// each frame, of what kind each node is, is found out once. It is for one goroutine.
type Matcher struct {
	test test
	at   packet // reused, so that nothing is allocated
}

// Matcher returns one that says what [Filter.Match] says, and is faster. The zero
// value matches nothing, and so does that of a filter that is not right.
func (f *Filter) Matcher() *Matcher {
	if f.Check() != nil {
		return new(Matcher)
	}
	return &Matcher{test: compile(f.Root)}
}

// Match is [Filter.Match].
func (m *Matcher) Match(frame []byte, length int) bool {
	if m.test == nil {
		return false
	}
	m.at.frame, m.at.length = frame, uint32(length)
	m.at.decode()
	return m.test(&m.at) == yes
}

// test is a node that knows what it is.
type test func(*packet) verdict

// lookupFrom is how many addresses are worth a look-up instead of comparing each.
const lookupFrom = 8

// compile returns the test of a node. What gains nothing by it is asked as always.
func compile(n Node) test {
	switch n := n.(type) {
	case And:
		terms := compileAll(n, false)
		return func(p *packet) verdict {
			for _, term := range terms {
				if v := term(p); v != yes {
					return v
				}
			}
			return yes
		}
	case Or:
		terms := compileAll(n, true)
		return func(p *packet) verdict {
			for _, term := range terms {
				if v := term(p); v != no {
					return v
				}
			}
			return no
		}
	case Not:
		term := compile(n.Term)
		return func(p *packet) verdict {
			switch term(p) {
			case yes:
				return no
			case no:
				return yes
			}
			return missing
		}
	case Proto:
		return func(p *packet) verdict {
			if p.version != AnyIP && (n.Version == AnyIP || n.Version == p.version) && p.bears(n.Number) {
				return yes
			}
			return no.typed(p)
		}
	case Relation:
		layers := n.Layers()
		return func(p *packet) verdict { return p.holdsIn(layers, n) }
	}
	return func(p *packet) verdict { return p.ask(n) }
}

// compileAll compiles the terms of an And or an Or, of which long runs of hosts
// become a look-up.
func compileAll(terms []Node, or bool) (tests []test) {
	for len(terms) > 0 {
		if n := hosts(terms); or && n >= lookupFrom {
			tests = append(tests, compileHosts(terms[:n]))
			terms = terms[n:]
			continue
		}
		rows, n := Rows(terms, !or)
		if rows != nil {
			tests = append(tests, func(p *packet) verdict {
				if or {
					return p.inRows(rows)
				}
				return p.inRows(rows).negated()
			})
			terms = terms[n:]
			continue
		}
		for _, term := range terms[:n] {
			tests = append(tests, compile(term))
		}
		terms = terms[n:]
	}
	return tests
}

// hosts is how many terms, from the first on, are IPv4 nets of one scope and
// direction.
func hosts(terms []Node) (n int) {
	first, _ := terms[0].(Net4)
	for ; n < len(terms); n++ {
		net, ok := terms[n].(Net4)
		if !ok || net.Scope != first.Scope || net.Direction != first.Direction {
			break
		}
	}
	return n
}

// compileHosts compiles an Or of IPv4 nets of one scope and direction. The
// addresses of an IPv4 packet are all there, so that the order does not matter.
func compileHosts(run []Node) test {
	first := run[0].(Net4)
	byMask := make(map[uint32]map[uint32]bool) // mask: addresses
	for _, n := range run {
		net := n.(Net4)
		if byMask[net.Mask] == nil {
			byMask[net.Mask] = make(map[uint32]bool)
		}
		byMask[net.Mask][net.Address] = true
	}
	listed := func(address uint32) verdict {
		for mask, addresses := range byMask {
			if addresses[address&mask] {
				return yes
			}
		}
		return no
	}
	both := first.Direction == Both // each term's, not the list's
	return func(p *packet) verdict {
		switch {
		case p.version == IPv4 && first.Scope != AnyScope && first.Scope != IPScope:
			return no
		case p.version == IPv4 && !both:
			switch source, destination := p.u32(p.network+12), p.u32(p.network+16); first.Direction {
			case Source:
				return listed(source)
			case Destination:
				return listed(destination)
			default:
				if listed(source) == yes {
					return yes
				}
				return listed(destination)
			}
		}
		for _, n := range run {
			if v := p.ask(n); v != no {
				return v
			}
		}
		return no
	}
}
