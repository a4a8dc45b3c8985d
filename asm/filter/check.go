package filter

import (
	"errors"
	"fmt"
)

// Check returns an error for a filter that means nothing: one that is empty, or
// whose tree was made by hand and lacks a node or holds a value that its type does
// not name. What [Parse] returns is always right. A filter that is not matches
// nothing, and is not compiled.
func (f *Filter) Check() error {
	if f == nil || f.Root == nil {
		return errors.New("the filter is empty")
	}
	if err := checkNode(f.Root, maxNesting); err != nil {
		return fmt.Errorf("the filter's tree is wrong: %w", err)
	}
	return nil
}

var errTreeDepth = fmt.Errorf("it is deeper than %d nodes", maxNesting)

// checkNode goes down at most so many levels: a slice may contain itself.
func checkNode(n Node, levels int) error {
	if levels == 0 {
		return errTreeDepth
	}
	switch n := n.(type) {
	case nil:
		return errors.New("a node is missing")
	case And:
		return checkTerms(n, levels-1)
	case Or:
		return checkTerms(n, levels-1)
	case Not:
		return checkNode(n.Term, levels-1)
	case Constant, EtherType, VLAN:
		return nil
	case InTunnel:
		if n.Kind < VXLAN || n.Kind > GTPU {
			return fmt.Errorf("unknown tunnel %d", n.Kind)
		}
		return nil
	case Proto:
		if n.Version != AnyIP && n.Version != IPv4 && n.Version != IPv6 {
			return fmt.Errorf("unknown version %d of IP", n.Version)
		}
		return nil
	case EtherAddress:
		return n.Direction.check()
	case Net4:
		if n.Scope > RARPScope {
			return fmt.Errorf("unknown scope %d", n.Scope)
		}
		return n.Direction.check()
	case Net6:
		if !n.Prefix.IsValid() || !n.Prefix.Addr().Is6() {
			return fmt.Errorf("%v is no prefix of IPv6", n.Prefix)
		}
		return n.Direction.check()
	case Port:
		return n.Direction.check()
	case Relation:
		if n.Op > LessEqual {
			return fmt.Errorf("unknown comparison %d", n.Op)
		}
		if err := checkArith(n.Left, levels-1); err != nil {
			return err
		}
		return checkArith(n.Right, levels-1)
	}
	return fmt.Errorf("unknown node %T", n)
}

func checkTerms(terms []Node, levels int) error {
	for _, term := range terms {
		if err := checkNode(term, levels); err != nil {
			return err
		}
	}
	return nil
}

func (d Direction) check() error {
	if d > Both {
		return fmt.Errorf("unknown direction %d", d)
	}
	return nil
}

func checkArith(a Arith, levels int) error {
	if levels == 0 {
		return errTreeDepth
	}
	switch a := a.(type) {
	case nil:
		return errors.New("an operand is missing")
	case Number, Length:
		return nil
	case Load:
		switch {
		case a.Layer >= layers:
			return fmt.Errorf("unknown %v", a.Layer)
		case a.Size != 1 && a.Size != 2 && a.Size != 4:
			return fmt.Errorf("a load of %d bytes, not of 1, 2 or 4", a.Size)
		}
		return checkArith(a.Offset, levels-1)
	case Binary:
		if a.Op > ShiftRight {
			return fmt.Errorf("unknown operator %d", a.Op)
		}
		if err := checkArith(a.Left, levels-1); err != nil {
			return err
		}
		return checkArith(a.Right, levels-1)
	}
	return fmt.Errorf("unknown operand %T", a)
}
