package match

import (
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/layout"
)

// called notes that a helper takes the registers that it may, from here on.
func (m *matcher) called() {
	m.calls = true
	m.Roles(nil)
}

// fact leaves a value of the record in a register, or finds it in the one that
// the parser left it in.
func (m *matcher) fact(f layout.RecordField, offset int16) bpf.Register {
	switch {
	case f == layout.Rec.Protocol && !m.calls:
		return next
	case f == layout.Rec.Flags && !m.calls:
		return flags
	}
	load := bpf.LoadMem(bpf.R0, record, int16(f.Offset)+offset, f.Size)
	if !m.Repeats(load) {
		m.Note("record."+f.Name, load)
	}
	return bpf.R0
}

// goTo jumps, after which the program is nowhere until a label.
func (m *matcher) goTo(to assemble.Label) {
	if m.known == nil {
		return
	}
	m.merge(to, m.known)
	m.Jump(to)
	m.known = nil
}

// jumpOn jumps on what is no question to the record.
func (m *matcher) jumpOn(ins bpf.Instruction, to assemble.Label) {
	if m.known == nil {
		return
	}
	m.merge(to, m.known)
	m.Branch(ins, to)
}

// land binds a label, if anything jumps there.
func (m *matcher) land(l assemble.Label) {
	known, ok := m.at[l]
	if !ok {
		return
	}
	if m.known != nil {
		known = known.and(m.known)
	}
	m.known = known
	m.Tidy(l)
	m.Block(l)
}

func (m *matcher) remember(to assemble.Label, q question, answer bool) {
	m.merge(to, m.known.with(q, answer))
}

func (m *matcher) merge(to assemble.Label, known facts) {
	if before, ok := m.at[to]; ok {
		known = before.and(known)
	}
	m.at[to] = known
}
