package match

import "github.com/xdplog/xdplog/asm/filter"

// runs parts the terms of an And or Or into runs, of one term and more, of
// neighbours that ask the same question of different values: hosts and nets
// of one scope and direction, ports of one protocol and direction, and so on,
// all of them plain or all of them under a Not. A long run can be looked up.
//
// Only neighbours are joined, so that the order of evaluation stays. One thing
// is left to who looks up: Either asks for the source of the first term, then
// for its destination, which may be missing where the source is not.
func runs(terms []filter.Node) [][]filter.Node {
	var list [][]filter.Node
	start := 0
	for i := range terms {
		if q := asked(terms[start]); i > start && (q == nil || asked(terms[i]) != q) {
			list = append(list, terms[start:i])
			start = i
		}
	}
	if start < len(terms) {
		list = append(list, terms[start:])
	}
	return list
}

// asked is the node without its value, or nil if it can't be in a run.
func asked(n filter.Node) filter.Node {
	switch n := n.(type) {
	case filter.Not:
		if q := asked(n.Term); q != nil {
			return filter.Not{Term: q}
		}
	case filter.EtherAddress:
		return filter.EtherAddress{Direction: n.Direction}
	case filter.Net4:
		return filter.Net4{Scope: n.Scope, Direction: n.Direction}
	case filter.Net6:
		return filter.Net6{Direction: n.Direction}
	case filter.Port:
		return filter.Port{Protocol: n.Protocol, Direction: n.Direction}
	}
	return nil
}
