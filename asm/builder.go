package asm

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	bpf "github.com/cilium/ebpf/asm"
)

// label names a place in the program.
type label string

// builder collects instructions. Errors are kept until [builder.program], so
// that the code which emits reads as the program that it emits.
type builder struct {
	insns  bpf.Instructions
	bound  map[label]bool
	used   map[label]bool
	alias  map[label]label // what another label is bound to as well, or jumps on to
	latest []label         // bound to the next instruction
	serial map[string]int  // of fresh labels, by name
	names  *naming         // of registers with a passing role
	replay bool            // packets are recorded ones: see Config.Replay
	errs   []error
}

func newBuilder() *builder {
	return &builder{
		bound:  make(map[label]bool),
		used:   make(map[label]bool),
		alias:  make(map[label]label),
		serial: make(map[string]int),
	}
}

// emit appends instructions.
func (b *builder) emit(insns ...bpf.Instruction) {
	for _, ins := range insns {
		if ins.OpCode == bpf.InvalidOpCode {
			b.errorf("instruction %d is invalid: %v", len(b.insns), ins)
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
		if b.names != nil {
			ins.Metadata.Set(namesKey{}, b.names)
		}
		b.insns = append(b.insns, ins)
	}
}

// note emits one instruction, with what a listing says beside it.
func (b *builder) note(text string, ins bpf.Instruction) {
	b.emit(ins.WithSource(bpf.Comment(text)))
}

// block binds a label to the next instruction.
func (b *builder) block(l label) {
	if b.bound[l] {
		b.errorf("label %q is bound twice", l)
	}
	b.bound[l] = true
	b.latest = append(b.latest, l)
}

// fresh returns a label that nothing else bears.
func (b *builder) fresh(name string) label {
	b.serial[name]++
	return label(fmt.Sprintf("%s_%d", name, b.serial[name]))
}

// jump jumps. Who would jump here only to jump on goes there at once, and if
// nobody else comes here, nothing is emitted.
func (b *builder) jump(to label) {
	b.used[to] = true
	for _, l := range b.latest {
		b.alias[l] = to
	}
	alone := len(b.latest) > 0 && b.endsInJump()
	b.latest = nil
	if !alone {
		b.emit(bpf.Ja.Label(string(to)))
	}
}

func (b *builder) endsInJump() bool {
	last := len(b.insns) - 1
	return last >= 0 && b.insns[last].OpCode == bpf.Ja.Label("").OpCode
}

// inverse of the conditions that have one.
var inverse = map[bpf.JumpOp]bpf.JumpOp{
	bpf.JEq: bpf.JNE, bpf.JNE: bpf.JEq, bpf.JGT: bpf.JLE, bpf.JLE: bpf.JGT, bpf.JGE: bpf.JLT, bpf.JLT: bpf.JGE,
}

// jumpIf jumps if "reg op value" holds in 64 bits.
func (b *builder) jumpIf(reg bpf.Register, op bpf.JumpOp, value int32, to label) {
	b.used[to] = true
	b.emit(op.Imm(reg, value, string(to)))
}

// jumpIfReg jumps if "reg op other" holds in 64 bits.
func (b *builder) jumpIfReg(reg bpf.Register, op bpf.JumpOp, other bpf.Register, to label) {
	b.used[to] = true
	b.emit(op.Reg(reg, other, string(to)))
}

// tidy rewrites jumps that only step over each other, before a label is bound:
// a jump to the label itself goes away, and a condition that skips another jump
// becomes that jump under the opposite condition.
func (b *builder) tidy(l label) {
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
		b.tidy(l)
		return
	}
	opposite, ok := inverse[before.OpCode.JumpOp()]
	if ok && before.Reference() == string(l) {
		before.OpCode = before.OpCode.SetJumpOp(opposite)
		b.insns[last-1] = before.WithReference(skipped.Reference())
		b.insns = b.insns[:last]
	}
}

func (b *builder) errorf(format string, args ...any) {
	b.errs = append(b.errs, fmt.Errorf(format, args...))
}

// program returns what was emitted, or all that is wrong with it.
func (b *builder) program() (bpf.Instructions, error) {
	for l := range b.used {
		if !b.bound[l] {
			b.errorf("label %q is used and not bound", l)
		}
	}
	for l := range b.bound {
		if !b.used[l] {
			b.errorf("label %q is bound and not used", l)
		}
	}
	for _, l := range b.latest {
		b.errorf("label %q is bound behind the last instruction", l)
	}
	if len(b.errs) > 0 {
		slices.SortFunc(b.errs, func(x, y error) int { return strings.Compare(x.Error(), y.Error()) })
		return nil, errors.Join(b.errs...)
	}
	insns := slices.Clone(b.insns)
	referred := make(map[string]bool)
	for i, ins := range insns {
		to := label(ins.Reference())
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

// ErrTooLarge is returned for a filter whose code is larger than jumps reach.
var ErrTooLarge = errors.New("filter is too large: split or simplify it")

// reachable returns [ErrTooLarge] if a jump goes farther than its 16 bits, which
// count in units of 8 bytes. Nothing but a filter makes a program that long.
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
		if int64(places[to])-int64(iter.Offset) > math.MaxInt16 {
			return ErrTooLarge
		}
	}
	return nil
}
