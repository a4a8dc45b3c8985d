package match

import (
	"errors"
	"strings"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/assemble"
)

// ErrRejectsAll is returned for a filter that contradicts itself, as in
// "tcp and udp": there is no program for it to make.
var ErrRejectsAll = errors.New("expression rejects all packets")

// matcher compiles a filter into short-circuit jumps: no truth value is ever
// kept, it is where the program is.
//
// What it asks are the facts that the parser left in the record, and where
// those do not do, the packet's bytes. It remembers the answers that are
// certain at the place it is at, so that nothing is asked twice in a row.
type matcher struct {
	*assemble.Builder
	place Place
	abort assemble.Label // where a filter ends that asks for a byte that is not there
	short assemble.Label // where it goes that asks for one near a header, which may be farther on

	known facts                    // nil where the program can't be
	at    map[assemble.Label]facts // what is known at labels that were jumped to
	calls bool                     // a helper may have been called: next and flags are gone
	depth int                      // numbers that wait on the stack
	maps  map[string]*ebpf.MapSpec

	prefix string // of their names
}

// Compile emits what falls through if the packet matches, and jumps to no
// otherwise. It returns the maps that the code looks things up in.
func Compile(b *assemble.Builder, place Place, f *filter.Filter, no assemble.Label) map[string]*ebpf.MapSpec {
	return CompileNamed(b, place, f, no, "filter")
}

// CompileNamed is [Compile] of another filter in the same program, whose maps are named
// otherwise.
func CompileNamed(b *assemble.Builder, place Place, f *filter.Filter, no assemble.Label, prefix string) map[string]*ebpf.MapSpec {
	m := &matcher{
		Builder: b, place: place, abort: no, short: no, prefix: prefix,
		known: facts{},
		at:    make(map[assemble.Label]facts),
		maps:  make(map[string]*ebpf.MapSpec),
	}
	if place.Fragmented() {
		m.short = m.Fresh("short")
	}
	m.when(f.Root, false, no)
	if _, asked := m.at[m.short]; asked && m.short != no && m.known != nil {
		matches := m.Fresh("matches")
		m.Jump(matches)
		m.Block(m.short)
		place.Further(b, no)
		m.Block(matches)
	}
	if m.known == nil {
		const most = 100 // it may be a list of thousands
		text := f.Text
		if text == "" {
			text = f.String()
		}
		if len(text) > most {
			text = strings.ToValidUTF8(text[:most], "") + "..."
		}
		b.Errorf("filter %q: %w", text, ErrRejectsAll)
	}
	return m.maps
}

// step is something to ask: it emits code that jumps to a label if the answer
// is as sense says, and falls through otherwise.
type step func(sense bool, to assemble.Label)

// all is true if every step is, asked in order.
func (m *matcher) all(steps ...step) step {
	return func(sense bool, to assemble.Label) { m.shortCircuit(false, sense, to, steps) }
}

// anyOf is true if one of the steps is, asked in order.
func (m *matcher) anyOf(steps ...step) step {
	return func(sense bool, to assemble.Label) { m.shortCircuit(true, sense, to, steps) }
}

// shortCircuit asks until one step is as decisive says: that is the answer.
func (m *matcher) shortCircuit(decisive, sense bool, to assemble.Label, steps []step) {
	if sense == decisive {
		for _, s := range steps {
			s(decisive, to)
		}
		return
	}
	if len(steps) == 0 { // none has been as decisive says
		m.goTo(to)
		return
	}
	end := m.Fresh("else")
	last := len(steps) - 1
	for _, s := range steps[:last] {
		s(decisive, end)
	}
	steps[last](sense, to)
	m.land(end)
}

func (m *matcher) not(s step) step {
	return func(sense bool, to assemble.Label) { s(!sense, to) }
}

// choose asks usual where the condition holds, and otherwise elsewhere. The
// usual packet jumps over the other's code, and not out of its own.
func (m *matcher) choose(condition, usual, otherwise step) step {
	return func(sense bool, to assemble.Label) {
		jump, end := m.Fresh("usual"), m.Fresh("end")
		condition(true, jump)
		otherwise(sense, to)
		m.goTo(end)
		m.land(jump)
		usual(sense, to)
		m.land(end)
	}
}

// decide is what a function says that goes to yes or no.
func (m *matcher) decide(f func(yes, no assemble.Label)) step {
	return func(sense bool, to assemble.Label) {
		if m.known == nil {
			return
		}
		end := m.Fresh("else")
		if sense {
			f(to, end)
		} else {
			f(end, to)
		}
		m.land(end)
	}
}

// when jumps to a label if a node is as sense says.
func (m *matcher) when(n filter.Node, sense bool, to assemble.Label) {
	switch n := n.(type) {
	case filter.And:
		m.all(m.terms(n, true)...)(sense, to)
	case filter.Or:
		m.anyOf(m.terms(n, false)...)(sense, to)
	case filter.Not:
		m.when(n.Term, !sense, to)
	case filter.Constant:
		if bool(n) == sense {
			m.goTo(to)
		}
	case filter.EtherType:
		m.etherType(n)(sense, to)
	case filter.VLAN:
		m.vlanID(n)(sense, to)
	case filter.InTunnel:
		m.inTunnel(n)(sense, to)
	case filter.EtherAddress:
		m.etherAddress(n)(sense, to)
	case filter.Proto:
		m.protocol(n)(sense, to)
	case filter.Net4:
		m.nets4([]filter.Net4{n})(sense, to)
	case filter.Net6:
		m.nets6([]filter.Net6{n})(sense, to)
	case filter.Port:
		m.ports([]filter.Port{n})(sense, to)
	case filter.Relation:
		m.relation(n)(sense, to)
	default:
		m.Errorf("filter: no code for %T", n)
	}
}

// terms are the steps of an And or an Or. Neighbours that ask the same of
// different values become one step, and so do the rows of a table.
func (m *matcher) terms(terms []filter.Node, and bool) (steps []step) {
	start := 0 // of those that are no rows
	for i := 0; i < len(terms); {
		rows, n := filter.Rows(terms[i:], and)
		if rows != nil {
			table := m.rows(rows)
			if and {
				table = m.not(table)
			}
			steps = append(append(steps, m.runs(terms[start:i], and)...), table)
			start = i + n
		}
		i += n
	}
	return append(steps, m.runs(terms[start:], and)...)
}

// runs are the steps of terms that are no rows of a table.
func (m *matcher) runs(terms []filter.Node, and bool) (steps []step) {
	for _, run := range runs(terms) {
		if s := m.run(run, and); s != nil {
			steps = append(steps, s)
			continue
		}
		for _, n := range run {
			steps = append(steps, m.node(n))
		}
	}
	return steps
}

func (m *matcher) node(n filter.Node) step {
	return func(sense bool, to assemble.Label) { m.when(n, sense, to) }
}

// ask jumps if the answer to q is as sense says.
func (m *matcher) ask(q question, sense bool, to assemble.Label) {
	if m.known == nil {
		return
	}
	if answer, ok := m.known.answer(q); ok {
		if answer == sense {
			m.goTo(to)
		}
		return
	}
	m.remember(to, q, sense)
	m.known = m.known.with(q, !sense)

	op := q.op
	if !sense {
		op = assemble.Inverse(op)
	}
	reg := m.fact(q.field, q.offset)
	switch {
	case q.mask == 0:
		m.Branch(op.Imm32(reg, int32(q.value), ""), to)
	case op == bpf.JNE && q.value == 0:
		m.Branch(bpf.JSet.Imm32(reg, int32(q.mask), ""), to)
	case op == bpf.JEq && q.value == 0 && reg != bpf.R0:
		set := m.Fresh("set")
		m.Branch(bpf.JSet.Imm32(reg, int32(q.mask), ""), set)
		m.Jump(to)
		m.Block(set)
	default:
		if reg != bpf.R0 {
			m.Emit(bpf.Mov.Reg(bpf.R0, reg))
		}
		m.Emit(bpf.And.Imm32(bpf.R0, int32(q.mask)))
		m.Branch(op.Imm32(bpf.R0, int32(q.value), ""), to)
	}
}
