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
		return all(compileAll(n, false), no)
	case Or:
		return all(compileAll(n, true), yes)
	case Not:
		term := compile(n.Term)
		return func(p *packet) verdict { return term(p).negated() }
	case Proto:
		return func(p *packet) verdict {
			if p.version != AnyIP && (n.Version == AnyIP || n.Version == p.version) && p.bears(n.Number) {
				return yes
			}
			return no.typed(p)
		}
	case EtherType:
		return func(p *packet) verdict { return p.hasType(n.Value) }
	case Port:
		return compilePort(n)
	case Net4:
		return compileNet4(n)
	case Net6:
		return compileNet6(n)
	case Relation:
		return compileRelation(n)
	}
	return func(p *packet) verdict { return p.ask(n) }
}

// all asks tests in their order, up to the first answer that decides.
func all(tests []test, decisive verdict) test {
	otherwise := decisive.negated()
	switch len(tests) {
	case 1:
		return tests[0]
	case 2:
		first, second := tests[0], tests[1]
		return func(p *packet) verdict {
			if v := first(p); v != otherwise {
				return v
			}
			return second(p)
		}
	}
	return func(p *packet) verdict {
		for _, test := range tests {
			if v := test(p); v != otherwise {
				return v
			}
		}
		return otherwise
	}
}

// compileAll compiles the terms of an And or an Or, of which runs of protocols and
// long runs of hosts become a look-up.
func compileAll(terms []Node, or bool) (tests []test) {
	for len(terms) > 0 {
		if n := protocols(terms); or && n > 1 {
			tests = append(tests, compileProtocols(terms[:n]))
			terms = terms[n:]
			continue
		}
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
		for ; n > 0; n-- { // up to what is a run again
			if or && (protocols(terms) > 1 || hosts(terms) >= lookupFrom) {
				break
			}
			tests = append(tests, compile(terms[0]))
			terms = terms[1:]
		}
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
