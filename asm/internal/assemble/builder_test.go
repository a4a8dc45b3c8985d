package assemble

import (
	"errors"
	"strings"
	"testing"

	bpf "github.com/cilium/ebpf/asm"
)

// Registers as a program might call them.
const (
	ctx    = bpf.R6
	header = bpf.R7
	end    = bpf.R8
	record = bpf.R9
	stack  = bpf.R10
	next   = bpf.R5
)

var testRoles = Naming{ctx: "ctx", header: "header", end: "end", record: "record", stack: "stack"}

func TestBuilderRejects(t *testing.T) {
	exit := func(b *Builder) { b.Emit(bpf.Return()) }
	for _, test := range []struct {
		name string
		emit func(*Builder)
		errs []string // in this order
	}{
		{"nothing wrong", func(b *Builder) {
			b.Jump("out")
			b.Block("out")
			exit(b)
		}, nil},
		{"unbound", func(b *Builder) {
			b.Jump("nowhere")
			exit(b)
		}, []string{`label "nowhere" is used and not bound`}},
		{"unused", func(b *Builder) {
			b.Block("here")
			exit(b)
		}, []string{`label "here" is bound and not used`}},
		{"rebound", func(b *Builder) {
			b.Jump("twice")
			b.Block("twice")
			exit(b)
			b.Block("twice")
			exit(b)
		}, []string{`label "twice" is bound twice`}},
		{"behind the last instruction", func(b *Builder) {
			b.Jump("end")
			b.Block("end")
		}, []string{`label "end" is bound behind the last instruction`}},
		{"store of a double word", func(b *Builder) {
			b.Emit(bpf.StoreImm(record, 0, 0, bpf.DWord))
			exit(b)
		}, []string{"instruction 0 is invalid"}},
		{"conditional jumps", func(b *Builder) {
			b.JumpIf(next, bpf.JEq, 1, "equal")
			b.JumpIfReg(next, bpf.JGT, end, "greater")
			exit(b)
		}, []string{`label "equal" is used and not bound`, `label "greater" is used and not bound`}},
		{"all together", func(b *Builder) {
			b.Block("unused")
			b.Jump("unbound")
			b.Block("twice")
			b.Block("twice")
			b.Emit(bpf.StoreImm(record, 0, 0, bpf.DWord))
			b.Jump("twice")
			b.Jump("behind")
			b.Block("behind")
		}, []string{
			"instruction 1 is invalid",
			`label "behind" is bound behind the last instruction`,
			`label "twice" is bound twice`,
			`label "unbound" is used and not bound`,
			`label "unused" is bound and not used`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 20 { // labels live in maps: the order must not be theirs
				b := New(testRoles)
				test.emit(b)
				insns, err := b.Program()
				if len(test.errs) == 0 {
					if err != nil {
						t.Fatalf("error %v, want none", err)
					}
					continue
				}
				if err == nil || insns != nil {
					t.Fatalf("%d instructions and error %v, want an error alone", len(insns), err)
				}
				lines := strings.Split(err.Error(), "\n")
				if len(lines) != len(test.errs) {
					t.Fatalf("errors:\n%v\nwant %d", err, len(test.errs))
				}
				for i, line := range lines {
					if !strings.Contains(line, test.errs[i]) {
						t.Fatalf("error %d is %q, want %q", i, line, test.errs[i])
					}
				}
			}
		})
	}
}

// TestTwoLabelsOnOnePlace: an instruction bears one symbol, so that jumps to
// the second label must become jumps to the first.
func TestTwoLabelsOnOnePlace(t *testing.T) {
	b := New(testRoles)
	b.JumpIf(next, bpf.JEq, 1, "second")
	b.JumpIf(next, bpf.JEq, 2, "third")
	b.Jump("first")
	b.Block("first")
	b.Block("second")
	b.Block("third")
	b.Emit(bpf.Return())
	insns, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	for i, ins := range insns[:3] {
		if ins.Reference() != "first" {
			t.Errorf("jump %d goes to %q, want %q", i, ins.Reference(), "first")
		}
	}
	if insns[3].Symbol() != "first" {
		t.Errorf("the place is called %q, want %q", insns[3].Symbol(), "first")
	}
	if b.insns[0].Reference() != "second" {
		t.Error("program changed what the builder holds")
	}
	if _, err := insns.SymbolOffsets(); err != nil {
		t.Error(err)
	}
}

func TestFreshLabelsDiffer(t *testing.T) {
	b := New(testRoles)
	seen := make(map[Label]bool)
	for _, name := range []string{"tag", "tag", "step", "tag"} {
		l := b.Fresh(name)
		if seen[l] {
			t.Errorf("label %q came twice", l)
		}
		seen[l] = true
	}
}

func TestTooFar(t *testing.T) {
	for _, test := range []struct {
		between int
		err     error
	}{{32766, nil}, {32767, ErrTooFar}} {
		b := New(nil)
		b.Jump("out")
		for range test.between {
			b.Emit(bpf.Mov.Imm(bpf.R0, 0))
		}
		b.Block("out")
		b.Emit(bpf.Return())
		if _, err := b.Program(); !errors.Is(err, test.err) {
			t.Errorf("over %d instructions: error %v, want %v", test.between, err, test.err)
		}
	}
}

// TestRepeats: what a register holds is known behind conditional jumps, and
// only where no other way comes in.
func TestRepeats(t *testing.T) {
	load, other := bpf.LoadMem(bpf.R0, record, 8, bpf.Word), bpf.LoadMem(bpf.R0, record, 12, bpf.Word)
	b := New(nil)
	b.Emit(load)
	b.Branch(bpf.JEq.Imm(bpf.R0, 1, ""), "in")
	if !b.Repeats(load) || b.Repeats(other) {
		t.Error("behind a conditional jump: want the load before it, and no other")
	}
	b.Block("in")
	if b.Repeats(load) {
		t.Error("at a label: a way from elsewhere is forgotten")
	}
	b.Branch(bpf.JEq.Imm(bpf.R0, 2, ""), "out")
	if b.Repeats(load) {
		t.Error("behind a label: a way from elsewhere is forgotten")
	}
}
