package asm

import (
	"strings"
	"testing"

	bpf "github.com/cilium/ebpf/asm"
)

func TestBuilderRejects(t *testing.T) {
	exit := func(b *builder) { b.emit(bpf.Return()) }
	for _, test := range []struct {
		name string
		emit func(*builder)
		errs []string // in this order
	}{
		{"nothing wrong", func(b *builder) {
			b.jump("out")
			b.block("out")
			exit(b)
		}, nil},
		{"unbound", func(b *builder) {
			b.jump("nowhere")
			exit(b)
		}, []string{`label "nowhere" is used and not bound`}},
		{"unused", func(b *builder) {
			b.block("here")
			exit(b)
		}, []string{`label "here" is bound and not used`}},
		{"rebound", func(b *builder) {
			b.jump("twice")
			b.block("twice")
			exit(b)
			b.block("twice")
			exit(b)
		}, []string{`label "twice" is bound twice`}},
		{"behind the last instruction", func(b *builder) {
			b.jump("end")
			b.block("end")
		}, []string{`label "end" is bound behind the last instruction`}},
		{"store of a double word", func(b *builder) {
			b.emit(bpf.StoreImm(record, 0, 0, bpf.DWord))
			exit(b)
		}, []string{"instruction 0 is invalid"}},
		{"conditional jumps", func(b *builder) {
			b.jumpIf(next, bpf.JEq, 1, "equal")
			b.jumpIfReg(next, bpf.JGT, end, "greater")
			exit(b)
		}, []string{`label "equal" is used and not bound`, `label "greater" is used and not bound`}},
		{"all together", func(b *builder) {
			b.block("unused")
			b.jump("unbound")
			b.block("twice")
			b.block("twice")
			b.emit(bpf.StoreImm(record, 0, 0, bpf.DWord))
			b.jump("twice")
			b.jump("behind")
			b.block("behind")
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
				b := newBuilder()
				test.emit(b)
				insns, err := b.program()
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
	b := newBuilder()
	b.jumpIf(next, bpf.JEq, 1, "second")
	b.jumpIf(next, bpf.JEq, 2, "third")
	b.jump("first")
	b.block("first")
	b.block("second")
	b.block("third")
	b.emit(bpf.Return())
	insns, err := b.program()
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
	b := newBuilder()
	seen := make(map[label]bool)
	for _, name := range []string{"tag", "tag", "step", "tag"} {
		l := b.fresh(name)
		if seen[l] {
			t.Errorf("label %q came twice", l)
		}
		seen[l] = true
	}
}
