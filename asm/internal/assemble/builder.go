// Package assemble is a checked assembler for eBPF.
//
// Programs that are made instruction by instruction go wrong where nobody looks: a jump to a label that is nowhere, a
// label that is bound twice, an instruction that the library refuses to encode. A [Builder] collects instructions as the
// code that emits them reads, and keeps what is wrong to the end, when [Builder.Program] gives either a program whose
// labels are all bound once and used, or every error. Beside an instruction stands a note of what it touches, and
// registers have names by their role, which a [Listing] shows.
//
// It knows nothing of packets, and imports only cilium/ebpf's asm, which is called bpf.
package assemble

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	bpf "github.com/cilium/ebpf/asm"
)

// Label names a place in the program.
type Label string

// Builder collects instructions. Errors are kept until [Builder.Program], so
// that the code which emits reads as the program that it emits. Its zero value
// is not usable: see [New].
type Builder struct {
	insns  bpf.Instructions
	bound  map[Label]bool
	used   map[Label]bool
	alias  map[Label]Label // what another label is bound to as well, or jumps on to
	latest []Label         // bound to the next instruction
	serial map[string]int  // of fresh labels, by name
	roles  *Naming         // of registers, throughout
	names  *Naming         // the same, and passing ones
	errs   []error
}

// New returns a builder of a program in which registers have roles.
func New(roles Naming) *Builder {
	return &Builder{
		roles:  &roles,
		names:  &roles,
		bound:  make(map[Label]bool),
		used:   make(map[Label]bool),
		alias:  make(map[Label]Label),
		serial: make(map[string]int),
	}
}

// Roles gives registers roles that they have from here on, beside those that they
// have throughout; nil ends that.
func (b *Builder) Roles(passing Naming) {
	if passing == nil {
		b.names = b.roles
		return
	}
	all := maps.Clone(*b.roles)
	maps.Copy(all, passing)
	b.names = &all
}

// Emit appends instructions.
func (b *Builder) Emit(insns ...bpf.Instruction) {
	for _, ins := range insns {
		if ins.OpCode == bpf.InvalidOpCode {
			b.Errorf("instruction %d is invalid: %v", len(b.insns), ins)
		}
		if len(b.latest) > 0 {
			// An instruction carries one symbol only: the other labels of
			// this place become names for the first.
			ins = ins.WithSymbol(string(b.latest[0]))
			for _, other := range b.latest[1:] {
				b.alias[other] = b.latest[0]
			}
			b.latest = nil
		}
		ins.Metadata.Set(namesKey{}, b.names)
		b.insns = append(b.insns, ins)
	}
}

// Note emits one instruction, with what a listing says beside it.
func (b *Builder) Note(text string, ins bpf.Instruction) {
	b.Emit(ins.WithSource(bpf.Comment(text)))
}

// Block binds a label to the next instruction.
func (b *Builder) Block(l Label) {
	if b.bound[l] {
		b.Errorf("label %q is bound twice", l)
	}
	b.bound[l] = true
	b.latest = append(b.latest, l)
}

// Fresh returns a label that nothing else bears.
func (b *Builder) Fresh(name string) Label {
	b.serial[name]++
	return Label(fmt.Sprintf("%s_%d", name, b.serial[name]))
}

// JumpsTo says whether something jumps to a label, so far.
func (b *Builder) JumpsTo(l Label) bool { return b.used[l] }

// Jump jumps. Who would jump here only to jump on goes there at once, and if
// nobody else comes here, nothing is emitted.
func (b *Builder) Jump(to Label) {
	b.used[to] = true
	for _, l := range b.latest {
		b.alias[l] = to
	}
	alone := len(b.latest) > 0 && b.endsInJump()
	b.latest = nil
	if !alone {
		b.Emit(bpf.Ja.Label(string(to)))
	}
}

func (b *Builder) endsInJump() bool {
	last := len(b.insns) - 1
	return last >= 0 && b.insns[last].OpCode == bpf.Ja.Label("").OpCode
}

// Branch emits a conditional jump to a label, whatever its condition.
func (b *Builder) Branch(ins bpf.Instruction, to Label) {
	b.used[to] = true
	b.Emit(ins.WithReference(string(to)))
}

// Repeats says whether an instruction would only do again what the last one did,
// but for conditional jumps, which leave registers as they are, on the only way here.
// It looks back over 64 of them: a list of thousands asks here with each term.
func (b *Builder) Repeats(ins bpf.Instruction) bool {
	if len(b.latest) > 0 {
		return false
	}
	for _, last := range slices.Backward(b.insns[max(0, len(b.insns)-64):]) {
		_, conditional := comparisons[last.OpCode.JumpOp()]
		switch {
		case last.OpCode == ins.OpCode && last.Dst == ins.Dst && last.Src == ins.Src && last.Offset == ins.Offset:
			return true
		case !conditional || last.Symbol() != "":
			return false
		}
	}
	return false
}

// Inverse is the condition that holds where op does not. There is none of JSet,
// and 0 is returned.
func Inverse(op bpf.JumpOp) bpf.JumpOp { return inverse[op] }

var inverse = map[bpf.JumpOp]bpf.JumpOp{
	bpf.JEq: bpf.JNE, bpf.JNE: bpf.JEq, bpf.JGT: bpf.JLE, bpf.JLE: bpf.JGT, bpf.JGE: bpf.JLT, bpf.JLT: bpf.JGE,
}

// JumpIf jumps if "reg op value" holds in 64 bits.
func (b *Builder) JumpIf(reg bpf.Register, op bpf.JumpOp, value int32, to Label) {
	b.used[to] = true
	b.Emit(op.Imm(reg, value, string(to)))
}

// JumpIfReg jumps if "reg op other" holds in 64 bits.
func (b *Builder) JumpIfReg(reg bpf.Register, op bpf.JumpOp, other bpf.Register, to Label) {
	b.used[to] = true
	b.Emit(op.Reg(reg, other, string(to)))
}

// Tidy rewrites jumps that only step over each other, before a label is bound:
// a jump to the label itself goes away, and a condition that skips another jump
// becomes that jump under the opposite condition.
func (b *Builder) Tidy(l Label) {
	last := len(b.insns) - 1
	if last < 1 || len(b.latest) > 0 || !b.endsInJump() {
		return
	}
	skipped, before := b.insns[last], b.insns[last-1]
	if skipped.Symbol() != "" {
		return
	}
	if skipped.Reference() == string(l) {
		b.insns = b.insns[:last]
		b.Tidy(l)
		return
	}
	opposite, ok := inverse[before.OpCode.JumpOp()]
	if ok && before.Reference() == string(l) {
		before.OpCode = before.OpCode.SetJumpOp(opposite)
		b.insns[last-1] = before.WithReference(skipped.Reference())
		b.insns = b.insns[:last]
	}
}

// Errorf adds an error to those that [Builder.Program] returns.
func (b *Builder) Errorf(format string, args ...any) {
	b.errs = append(b.errs, fmt.Errorf(format, args...))
}

// Program returns what was emitted, or all that is wrong with it: an error that
// wraps [ErrTooFar] where a jump goes too far.
func (b *Builder) Program() (bpf.Instructions, error) {
	for l := range b.used {
		if !b.bound[l] {
			b.Errorf("label %q is used and not bound", l)
		}
	}
	for l := range b.bound {
		if !b.used[l] {
			b.Errorf("label %q is bound and not used", l)
		}
	}
	for _, l := range b.latest {
		b.Errorf("label %q is bound behind the last instruction", l)
	}
	if len(b.errs) > 0 {
		slices.SortFunc(b.errs, func(x, y error) int { return strings.Compare(x.Error(), y.Error()) })
		return nil, errors.Join(b.errs...)
	}
	insns := slices.Clone(b.insns)
	referred := make(map[string]bool)
	for i, ins := range insns {
		to := Label(ins.Reference())
		for b.alias[to] != "" {
			to = b.alias[to]
		}
		if to != "" {
			insns[i] = ins.WithReference(string(to))
			referred[string(to)] = true
		}
	}
	for i, ins := range insns {
		if !referred[ins.Symbol()] { // the jumps here were tidied away
			insns[i] = ins.WithSymbol("")
		}
	}
	return insns, reachable(insns)
}

// Fragment returns what was emitted, whose labels may still be unbound: a part of
// a program, to look at.
func (b *Builder) Fragment() (bpf.Instructions, error) {
	return slices.Clone(b.insns), errors.Join(b.errs...)
}

// ErrTooFar is returned for a program in which a jump goes farther than the 16
// bits of its offset hold, which count in units of 8 bytes (struct bpf_insn,
// linux/bpf.h).
var ErrTooFar = errors.New("jump goes too far")

// reachable returns [ErrTooFar] if a jump does.
func reachable(insns bpf.Instructions) error {
	places := make(map[string]bpf.RawInstructionOffset)
	for iter := insns.Iterate(); iter.Next(); {
		places[iter.Ins.Symbol()] = iter.Offset
	}
	for iter := insns.Iterate(); iter.Next(); {
		to := iter.Ins.Reference()
		if to == "" || !iter.Ins.OpCode.Class().IsJump() {
			continue
		}
		if distance := int64(places[to]) - int64(iter.Offset); distance > math.MaxInt16 || distance < math.MinInt16 {
			return ErrTooFar
		}
	}
	return nil
}
