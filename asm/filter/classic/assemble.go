package classic

import (
	"math"
	"slices"

	"golang.org/x/net/bpf"
)

// label names a place in the program that is jumped to.
type label int

// item is an instruction, a jump, or where a label is.
type item struct {
	ins bpf.Instruction // of a jump without its distance; nil where the label is
	at  label
}

// code is a part of the program.
type code struct {
	items  []item
	labels *label // how many there are, in all parts
}

func newCode() code { return code{labels: new(label)} }

// part is another part of the same program.
func (c *code) part() code { return code{labels: c.labels} }

func (c *code) fresh() label {
	*c.labels++
	return *c.labels
}

func (c *code) emit(ins bpf.Instruction)           { c.items = append(c.items, item{ins: ins}) }
func (c *code) jump(ins bpf.Instruction, to label) { c.items = append(c.items, item{ins, to}) }
func (c *code) bind(at label)                      { c.items = append(c.items, item{at: at}) }
func (c *code) append(part code)                   { c.items = append(c.items, part.items...) }

// jumpsTo says whether a label is jumped to.
func (c *code) jumpsTo(to label) bool {
	return slices.ContainsFunc(c.items, func(i item) bool { return i.ins != nil && i.at == to })
}

// assemble turns labels into distances. That of a jump on a condition has eight bits.
// Where they do not do it jumps by way of a jump that has 32: one that comes anyway, or
// that of another condition, or its own, which is over it.
func (c *code) assemble() ([]bpf.Instruction, error) {
	c.tidy()
	own := make([]bool, len(c.items))
	var index, target []int
	for again := true; again; {
		again = false
		var labels map[label]int
		index, labels = c.place(own)
		if index[len(c.items)] > MaxInstructions {
			return nil, ErrTooLarge
		}
		target = make([]int, len(c.items))
		way := make(map[label]int) // the next long jump to it
		for i := len(c.items) - 1; i >= 0; i-- {
			it := c.items[i]
			reaches := func(to int) bool { return to-index[i]-1 <= math.MaxUint8 }
			target[i] = labels[it.at]
			switch {
			case it.ins == bpf.Instruction(bpf.Jump{}):
				way[it.at] = index[i]
			case own[i]:
				way[it.at] = index[i] + 1
			case !isConditional(it.ins) || reaches(target[i]):
			case way[it.at] > 0 && reaches(way[it.at]):
				target[i] = way[it.at]
			default:
				own[i], again = true, true
				way[it.at] = index[i] + 1
			}
		}
	}
	var program []bpf.Instruction
	for i, it := range c.items {
		skip := target[i] - index[i] - 1
		if own[i] {
			program = append(program, over(it.ins), bpf.Jump{Skip: uint32(skip - 1)})
		} else if it.ins != nil {
			program = append(program, near(it.ins, skip))
		}
	}
	return program, nil
}

// place says at which instruction each item is, and each label.
func (c *code) place(own []bool) (index []int, places map[label]int) {
	index = make([]int, len(c.items)+1)
	places = make(map[label]int)
	for i, it := range c.items {
		size := 1
		switch {
		case it.ins == nil:
			size = 0
			places[it.at] = index[i]
		case own[i]:
			size = 2
		}
		index[i+1] = index[i] + size
	}
	return index, places
}

// tidy leaves out jumps to what follows them.
func (c *code) tidy() {
	var kept []item // last first
	follows := make(map[label]bool)
	for _, it := range slices.Backward(c.items) {
		switch {
		case it.ins == nil:
			follows[it.at] = true
		case it.ins == bpf.Instruction(bpf.Jump{}) && follows[it.at]:
			continue
		default:
			clear(follows)
		}
		kept = append(kept, it)
	}
	slices.Reverse(kept)
	c.items = kept
}

func isConditional(ins bpf.Instruction) bool {
	switch ins.(type) {
	case bpf.JumpIf, bpf.JumpIfX:
		return true
	}
	return false
}

// near is an instruction, which if it is a jump skips so many.
func near(ins bpf.Instruction, skip int) bpf.Instruction {
	switch ins := ins.(type) {
	case bpf.Jump:
		ins.Skip = uint32(skip)
		return ins
	case bpf.JumpIf:
		ins.SkipTrue = uint8(skip)
		return ins
	case bpf.JumpIfX:
		ins.SkipTrue = uint8(skip)
		return ins
	}
	return ins
}

// over is a jump that skips the next instruction where it would not have jumped.
func over(ins bpf.Instruction) bpf.Instruction {
	switch ins := ins.(type) {
	case bpf.JumpIf:
		ins.SkipFalse = 1
		return ins
	case bpf.JumpIfX:
		ins.SkipFalse = 1
		return ins
	}
	return ins
}
