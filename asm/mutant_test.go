package asm

import (
	"os"
	"testing"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/oracle"
)

// TestMutants asks of the differential test itself whether it would notice a
// mistake: it makes one in each instruction of the program, and expects that
// the verifier refuses the result or the oracle disagrees with it.
//
// It takes minutes, and runs where XDPLOG_MUTANTS=1.
func TestMutants(t *testing.T) {
	if os.Getenv("XDPLOG_MUTANTS") == "" {
		t.Skip("runs where XDPLOG_MUTANTS=1")
	}
	linear, packets := linearSize(t), mutantPackets(t)
	t.Run("all", func(t *testing.T) {
		testMutants(t, Config{All: true}, "", linear, packets)
	})
	t.Run("default", func(t *testing.T) { // the filter; the rest is the same
		testMutants(t, Config{}, parsed, linear, packets)
	})
}

// harmless are statements that may be wrong without any packet showing it.
var harmless = map[string]string{
	"if r0 == 0 goto pass":                 "the only key of an array is always found",
	"next = 0":                             "cleared again where there is no IP",
	"if r1 < 20 goto not_ip":               "a multiple of 4",
	"if next == 6 goto extensions_walked":  "a shortcut: not an extension header anyway",
	"if next == 17 goto extensions_walked": "a shortcut: not an extension header anyway",
	"r1 &= 16":                             "of a fragment's offset, which is 0 where it counts",
	"r1 |= 8":                              "behind the eighth header it is rounded anyway",
	"header &= 0x7ffc":                     "the lowest bit is 0",
	"header &= 28":                         "the same",
	"if header > 0x403e goto pass":         "never: no chain of headers is longer",
	"r0 = 0":                               "how much was copied: only not the most",
	"if r2 == 0 goto awake_1":              "rings for a reader that sleeps, and here none does; so do the next three",
	"r2 = 0":                               "takes the word back by which a reader says that it sleeps",
	"r3 = 8":                               "of the ring",
	"r4 = 2":                               "of the ring",
	"r2 += -88":                            "where the key is there are more zeros",
	"r0 += 2":                              "aligns the copy for other machines",
	"r1 s>>= 63":                           "a difference of lengths has fewer bits",
	"if record > 0x424e goto pass":         "never, it is for the verifier",
	"if record < 1 goto pass":              "no packet is that short",
	"header += 8":                          "behind a later fragment's header: only filters that ask for payload look there",
	"header |= 2":                          "so is where a later fragment's, or a cut, header is; elsewhere it is found",
	"u16 [record+58] = flags":              "the upper half is zero and was cleared",
	"if flags == 0 goto pass":              "without IP the protocol is 0, which is not reported either",
}

// testMutants tries the instructions from a label on.
func testMutants(t *testing.T, cfg Config, from label, linear int, packets []packet) {
	spec, err := Program(cfg)
	if err != nil {
		t.Fatal(err)
	}
	insns := spec.Programs[ProgramName].Instructions
	first := 0
	if from != "" {
		offsets, err := insns.SymbolOffsets()
		if err != nil {
			t.Fatal(err)
		}
		first = offsets[string(from)]
	}
	refused, found, equal := 0, 0, 0
	for i := first; i < len(insns); i++ {
		for _, mutant := range mutants(insns[i]) {
			spec, err := Program(cfg)
			if err != nil {
				t.Fatal(err)
			}
			spec.Programs[ProgramName].Instructions[i] = mutant
			loads, err := tryMutant(t, cfg, spec, linear, packets)
			reason := harmless[assemble.Statement(insns[i])]
			switch {
			case !loads:
				refused++
			case err != nil:
				found++
			case reason != "":
				equal++
			default:
				t.Errorf("instruction %d, %q, could as well be %q", i, assemble.Statement(insns[i]), assemble.Statement(mutant))
			}
		}
	}
	t.Logf("%d refused by the verifier, %d found, %d harmless", refused, found, equal)
}

// tryMutant reports whether a program loads, and what is wrong with it.
func tryMutant(t *testing.T, cfg Config, spec *ebpf.CollectionSpec, linear int, packets []packet) (loads bool, wrong error) {
	t.Run("", func(t *testing.T) { // for its cleanup
		coll, err := ebpf.NewCollection(spec.Copy())
		if err != nil {
			return
		}
		coll.Close()
		loads = true
		m := newMachineOf(t, cfg, spec, linear)
		if wrong = m.check(packets[:batchSize]); wrong == nil {
			wrong = m.lose(packets[:batchSize])
		}
		if wrong == nil {
			wrong = m.check(packets)
		}
	})
	return loads, wrong
}

// mutantPackets are fixtures at their boundaries, and made-up packets.
func mutantPackets(t *testing.T) (packets []packet) {
	for _, fixture := range oracle.Fixtures() {
		for first := range len(fixture.Frame) {
			if first >= oracle.Shortest {
				packets = append(packets, whole(fixture.Frame[:first]))
			}
			packets = append(packets, packet{fixture.Frame, first})
		}
	}
	generator := oracle.NewGenerator(1, longestFrame(t))
	for range 100 {
		var batch [batchSize]packet
		fill(generator, nil, batch[:], true)
		packets = append(packets, batch[:]...)
	}
	// The odd ones find most: they come first.
	for i := range packets {
		j := i * 7919 % len(packets)
		packets[i], packets[j] = packets[j], packets[i]
	}
	return packets
}

// mutants are an instruction with one mistake each.
func mutants(ins bpf.Instruction) (all []bpf.Instruction) {
	change := func(f func(*bpf.Instruction)) {
		mutant := ins
		f(&mutant)
		all = append(all, mutant)
	}
	opposite := map[bpf.JumpOp]bpf.JumpOp{
		bpf.JEq: bpf.JNE, bpf.JNE: bpf.JEq, bpf.JGT: bpf.JGE, bpf.JGE: bpf.JGT, bpf.JLT: bpf.JLE, bpf.JLE: bpf.JLT,
	}
	op := ins.OpCode
	switch class := op.Class(); {
	case class.IsJump():
		if other, ok := opposite[op.JumpOp()]; ok {
			change(func(m *bpf.Instruction) { m.OpCode = op.SetJumpOp(other) })
			if op.Source() == bpf.ImmSource {
				change(func(m *bpf.Instruction) { m.Constant++ })
				change(func(m *bpf.Instruction) { m.Constant-- })
			}
		}
	case class.IsALU():
		if op.ALUOp() == bpf.Swap {
			change(func(m *bpf.Instruction) { m.Constant = 80 - m.Constant%48 })
		} else if op.Source() == bpf.ImmSource {
			change(func(m *bpf.Instruction) { m.Constant++ })
			change(func(m *bpf.Instruction) { m.Constant-- })
			change(func(m *bpf.Instruction) { m.Constant ^= 8 })
		}
	case class.IsLoad() || class.IsStore():
		if op.Mode() != bpf.MemMode {
			break
		}
		change(func(m *bpf.Instruction) { m.Offset++ })
		change(func(m *bpf.Instruction) { m.Offset-- })
		if class == bpf.StClass {
			change(func(m *bpf.Instruction) { m.Constant++ })
		}
		if op.Size() == bpf.Half {
			change(func(m *bpf.Instruction) { m.OpCode = op.SetSize(bpf.Byte) })
		}
	}
	return all
}
