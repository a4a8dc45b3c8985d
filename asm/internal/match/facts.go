package match

import (
	"maps"

	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// question compares a part of the record with a constant.
type question struct {
	field  layout.RecordField
	offset int16
	mask   uint32 // of the value, where it is not all of it
	op     bpf.JumpOp
	value  uint32
}

// facts are the answers that are certain at a place in the program. They save
// questions, and nothing else hangs on them: to know less is not wrong.
type facts map[question]bool

// mostFacts bounds what is remembered. A list of thousands adds an answer with
// each term, and none of the next terms asks for it.
const mostFacts = 64

// answer is what the facts say to q, also in a roundabout way: what is equal
// to one value is not equal to another.
func (f facts) answer(q question) (answer, ok bool) {
	if answer, ok := f[q]; ok {
		return answer, true
	}
	if q.op != bpf.JEq {
		return false, false
	}
	for other, yes := range f {
		same := other
		same.value = q.value
		if yes && same == q {
			return false, true
		}
	}
	return false, false
}

// with adds an answer, and what follows from it.
func (f facts) with(q question, answer bool) facts {
	if len(f) >= mostFacts {
		return f
	}
	all := make(facts, len(f)+len(rules))
	maps.Copy(all, f)
	all[q] = answer
	if bearing := (question{field: layout.Rec.Protocol, op: bpf.JEq, value: q.value}); answer && q == bearing && q.value != 0 {
		all[hasFlag(ip)] = true // the record of a frame that is not IP says 0
	}
	for _, rule := range rules {
		applies := true
		for _, q := range rule.of {
			answer, ok := all.answer(q)
			applies = applies && ok && answer == rule.are
		}
		if applies {
			all[rule.follows] = rule.is
		}
	}
	return all
}

// and is what both say.
func (f facts) and(other facts) facts {
	both := make(facts)
	for q, answer := range f {
		if answer2, ok := other[q]; ok && answer == answer2 {
			both[q] = answer
		}
	}
	return both
}

const ip = wire.FlagIPv4 | wire.FlagIPv6

// rules are what the parser's records keep to: where all of some answers are
// so, another follows. A rule may stand on those before it.
var rules = []struct {
	of      []question
	are     bool
	follows question
	is      bool
}{
	{[]question{isEtherType(layout.EtherIPv4)}, false, hasFlag(wire.FlagIPv4), false},
	{[]question{isEtherType(layout.EtherIPv6)}, false, hasFlag(wire.FlagIPv6), false},
	{[]question{hasFlag(wire.FlagIPv4)}, true, isEtherType(layout.EtherIPv4), true},
	{[]question{hasFlag(wire.FlagIPv6)}, true, isEtherType(layout.EtherIPv6), true},
	{[]question{hasFlag(wire.FlagIPv4)}, true, hasFlag(wire.FlagIPv6), false},
	{[]question{hasFlag(wire.FlagIPv6)}, true, hasFlag(wire.FlagIPv4), false},
	{[]question{hasFlag(wire.FlagIPv4)}, true, hasFlag(ip), true},
	{[]question{hasFlag(wire.FlagIPv6)}, true, hasFlag(ip), true},
	{[]question{hasFlag(wire.FlagIPv4), hasFlag(wire.FlagIPv6)}, false, hasFlag(ip), false},
	{[]question{hasFlag(ip)}, true, isEtherType(layout.EtherARP), false},
	{[]question{hasFlag(ip)}, true, isEtherType(layout.EtherRARP), false},
	{[]question{hasFlag(ip)}, false, question{field: layout.Rec.Protocol, op: bpf.JEq}, true},
	{[]question{hasFlag(ip)}, false, hasFlag(wire.FlagPorts), false},
	{[]question{hasFlag(ip)}, false, hasFlag(wire.FlagCut), false},
	{[]question{hasFlag(wire.FlagIPv6)}, false, hasFlag(wire.FlagHopByHop), false},
	{[]question{hasFlag(wire.FlagIPv6)}, false, hasFlag(wire.FlagRouting), false},
	{[]question{hasFlag(wire.FlagIPv6)}, false, hasFlag(wire.FlagFragmentHeader), false},
	{[]question{hasFlag(wire.FlagIPv6)}, false, hasFlag(wire.FlagAuthentication), false},
	{[]question{hasFlag(wire.FlagIPv6)}, false, hasFlag(wire.FlagDestination), false},
	{[]question{hasFlag(wire.FlagPorts)}, true, hasFlag(wire.FlagFragment), false},
	{[]question{hasFlag(wire.FlagPorts)}, true, hasFlag(wire.FlagCut), false},
}

func hasFlag(f wire.Flags) question {
	return question{field: layout.Rec.Flags, mask: uint32(f), op: bpf.JNE}
}

func isEtherType(value uint16) question {
	return question{field: layout.Rec.EtherType, op: bpf.JEq, value: uint32(value)}
}
