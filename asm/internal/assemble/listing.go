package assemble

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	bpf "github.com/cilium/ebpf/asm"
)

// namesKey marks instructions among which registers have passing roles.
type namesKey struct{}

// Listing writes a program for people to read: registers by role, loads and
// stores with their width, jumps to labels, and beside an access the name of
// what it reads or writes. An instruction's number counts in the 8 bytes that
// the kernel counts in, as the verifier's log and bpftool do.
func Listing(w io.Writer, insns bpf.Instructions) error {
	var text strings.Builder
	for iter := insns.Iterate(); iter.Next(); {
		ins := iter.Ins
		if symbol := ins.Symbol(); symbol != "" {
			if iter.Index > 0 {
				text.WriteByte('\n')
			}
			fmt.Fprintf(&text, "%s:\n", symbol)
		}
		line := fmt.Sprintf("%5d  %s", iter.Offset, Statement(*ins))
		if note := ins.Source(); note != nil {
			line = fmt.Sprintf("%-45s ; %v", line, note)
		}
		text.WriteString(line)
		text.WriteByte('\n')
	}
	if _, err := io.WriteString(w, text.String()); err != nil {
		return fmt.Errorf("write listing: %w", err)
	}
	return nil
}

// Naming is how registers are called: by their roles, where they have one.
type Naming map[bpf.Register]string

func namesAt(ins bpf.Instruction) Naming {
	if names, ok := ins.Metadata.Get(namesKey{}).(*Naming); ok {
		return *names
	}
	return nil
}

func (n Naming) of(r bpf.Register) string {
	if name, ok := n[r]; ok {
		return name
	}
	return fmt.Sprintf("r%d", uint8(r))
}

// Statement is one instruction in the notation of the kernel's own verifier
// log: u64 arithmetic, or u32 where it says so.
func Statement(ins bpf.Instruction) string {
	names := namesAt(ins)
	dst, src := names.of(ins.Dst), names.of(ins.Src)
	op := ins.OpCode
	operand := src
	if op.Source() == bpf.ImmSource {
		operand = constant(ins.Constant)
		if class := op.Class(); class == bpf.ALUClass || class == bpf.Jump32Class {
			operand = constant(int64(uint32(ins.Constant)))
		}
	}
	switch op.Class() {
	case bpf.LdClass:
		if ins.IsLoadFromMap() {
			if ins.Src == bpf.PseudoMapValue {
				return fmt.Sprintf("%s = value of map %s + %d", dst, ins.Reference(), ins.Constant>>32)
			}
			return fmt.Sprintf("%s = map %s", dst, ins.Reference())
		}
		if op.IsDWordLoad() {
			return fmt.Sprintf("%s = %s", dst, constant(ins.Constant))
		}
	case bpf.LdXClass:
		return fmt.Sprintf("%s = %s", dst, memory(op.Size(), src, ins.Offset))
	case bpf.StClass:
		return fmt.Sprintf("%s = %s", memory(op.Size(), dst, ins.Offset), constant(ins.Constant))
	case bpf.StXClass:
		if op.Mode() == bpf.AtomicMode {
			return readModifyWrite(ins, dst, src)
		}
		return fmt.Sprintf("%s = %s", memory(op.Size(), dst, ins.Offset), src)
	case bpf.ALUClass, bpf.ALU64Class:
		return arithmetic(ins, dst, operand)
	case bpf.JumpClass, bpf.Jump32Class:
		return jump(ins, dst, operand)
	}
	return fmt.Sprintf("? %v", ins)
}

// readModifyWrite is an atomic change of memory; one that fetches also sets a
// register to what was there before: its source, or r0.
func readModifyWrite(ins bpf.Instruction, dst, src string) string {
	at := memory(ins.OpCode.Size(), dst, ins.Offset)
	switch op := ins.OpCode.AtomicOp(); op {
	case bpf.AddAtomic:
		return fmt.Sprintf("atomic %s += %s", at, src)
	case bpf.AndAtomic:
		return fmt.Sprintf("atomic %s &= %s", at, src)
	case bpf.OrAtomic:
		return fmt.Sprintf("atomic %s |= %s", at, src)
	case bpf.XorAtomic:
		return fmt.Sprintf("atomic %s ^= %s", at, src)
	case bpf.FetchAdd, bpf.FetchAnd, bpf.FetchOr, bpf.FetchXor, bpf.Xchg:
		return fmt.Sprintf("%s = atomic %v of %s and %s", src, op, at, src)
	case bpf.CmpXchg:
		return fmt.Sprintf("r0 = atomic %v of %s and %s", op, at, src)
	default:
		return fmt.Sprintf("? %v", ins)
	}
}

func memory(size bpf.Size, base string, offset int16) string {
	return fmt.Sprintf("u%d [%s%+d]", 8*size.Sizeof(), base, offset)
}

// constant is a number in the base in which one would recognise it.
func constant(value int64) string {
	if value > -1024 && value < 1024 {
		return fmt.Sprint(value)
	}
	return fmt.Sprintf("%#x", value)
}

// signs of the operators that have one.
var signs = map[bpf.ALUOp]string{
	bpf.Add: "+", bpf.Sub: "-", bpf.Mul: "*", bpf.Div: "/", bpf.Or: "|", bpf.And: "&",
	bpf.LSh: "<<", bpf.RSh: ">>", bpf.Mod: "%", bpf.Xor: "^", bpf.ArSh: "s>>",
}

func arithmetic(ins bpf.Instruction, dst, operand string) string {
	width := ""
	if ins.OpCode.Class() == bpf.ALUClass {
		width = "u32 "
	}
	switch op := ins.OpCode.ALUOp(); op {
	case bpf.Mov:
		return fmt.Sprintf("%s = %s%s", dst, width, operand)
	case bpf.Neg:
		return fmt.Sprintf("%s = %s-%s", dst, width, dst)
	case bpf.Swap:
		order := "be"
		if ins.OpCode.Endianness() == bpf.LE {
			order = "le"
		}
		if ins.OpCode.Class() == bpf.ALU64Class {
			order = "swap"
		}
		return fmt.Sprintf("%s = %s%d %s", dst, order, ins.Constant, dst)
	default:
		sign, ok := signs[op]
		if !ok {
			return fmt.Sprintf("? %v", ins)
		}
		return fmt.Sprintf("%s %s= %s%s", dst, sign, width, operand)
	}
}

// comparisons of the conditional jumps.
var comparisons = map[bpf.JumpOp]string{
	bpf.JEq: "==", bpf.JNE: "!=", bpf.JGT: ">", bpf.JGE: ">=", bpf.JLT: "<", bpf.JLE: "<=", bpf.JSet: "&",
	bpf.JSGT: "s>", bpf.JSGE: "s>=", bpf.JSLT: "s<", bpf.JSLE: "s<=",
}

// helper is the kernel's name of a helper, bpf_ktime_get_ns, of which
// cilium/ebpf makes FnKtimeGetNs.
func helper(f bpf.BuiltinFunc) string {
	var name strings.Builder
	for _, r := range strings.TrimPrefix(f.String(), "Fn") {
		if unicode.IsUpper(r) {
			name.WriteByte('_')
		}
		name.WriteRune(unicode.ToLower(r))
	}
	return "bpf" + name.String()
}

func jump(ins bpf.Instruction, dst, operand string) string {
	switch op := ins.OpCode.JumpOp(); op {
	case bpf.Exit:
		return "exit"
	case bpf.Call:
		if ins.Src == bpf.PseudoKfuncCall {
			return fmt.Sprintf("call function %d of the kernel's BTF", ins.Constant)
		}
		return "call " + helper(bpf.BuiltinFunc(ins.Constant))
	case bpf.Ja:
		return fmt.Sprintf("goto %s", ins.Reference())
	default:
		sign, ok := comparisons[op]
		if !ok {
			return fmt.Sprintf("? %v", ins)
		}
		width := ""
		if ins.OpCode.Class() == bpf.Jump32Class {
			width = "u32 "
		}
		return fmt.Sprintf("if %s%s %s %s goto %s", width, dst, sign, operand, ins.Reference())
	}
}
