package assemble

import (
	"errors"
	"os"
	"strings"
	"testing"

	bpf "github.com/cilium/ebpf/asm"
)

// named is an instruction as a builder leaves it.
func named(ins bpf.Instruction) bpf.Instruction {
	b := New(testRoles)
	b.Emit(ins)
	return b.insns[0]
}

func TestStatement(t *testing.T) {
	const r1, r2, to = bpf.R1, bpf.R2, "there"
	store := func(src bpf.Register, size bpf.Size) bpf.Instruction { return bpf.StoreMem(record, 8, src, size) }
	for _, test := range []struct {
		ins  bpf.Instruction
		want string
	}{
		// moves and arithmetic, in 64 and 32 bits
		{bpf.Mov.Imm(r1, 7), "r1 = 7"},
		{bpf.Mov.Imm(r1, -1), "r1 = -1"},
		{bpf.Mov.Imm(r1, 0x1fff), "r1 = 0x1fff"},
		{bpf.Mov.Reg(header, end), "header = end"},
		{bpf.Mov.Reg(r1, stack), "r1 = stack"},
		{bpf.Mov.Imm32(r1, 7), "r1 = u32 7"},
		{bpf.Mov.Reg32(r1, r2), "r1 = u32 r2"},
		{bpf.Add.Imm(header, 14), "header += 14"},
		{bpf.Add.Imm(r1, -64), "r1 += -64"},
		{bpf.Add.Reg(r1, r2), "r1 += r2"},
		{bpf.Add.Imm32(r1, 1), "r1 += u32 1"},
		{bpf.Add.Reg32(r1, r2), "r1 += u32 r2"},
		{bpf.Sub.Reg(r1, r2), "r1 -= r2"},
		{bpf.Mul.Imm(r1, 3), "r1 *= 3"},
		{bpf.Div.Reg32(r1, r2), "r1 /= u32 r2"},
		{bpf.Mod.Imm(r1, 10), "r1 %= 10"},
		{bpf.Or.Imm(r1, 16), "r1 |= 16"},
		{bpf.And.Imm(r1, 0xfff8), "r1 &= 0xfff8"},
		{bpf.And.Imm32(r1, 15), "r1 &= u32 15"},
		{bpf.Xor.Reg(r1, r2), "r1 ^= r2"},
		{bpf.LSh.Imm(r1, 2), "r1 <<= 2"},
		{bpf.RSh.Imm(r1, 4), "r1 >>= 4"},
		{bpf.ArSh.Imm(r1, 4), "r1 s>>= 4"},
		{bpf.Neg.Imm(r1, 0), "r1 = -r1"},
		{bpf.Neg.Imm32(r1, 0), "r1 = u32 -r1"},

		// byte order, which cilium's own listing prints alike for all widths
		{bpf.HostTo(bpf.BE, r1, bpf.Half), "r1 = be16 r1"},
		{bpf.HostTo(bpf.BE, r1, bpf.Word), "r1 = be32 r1"},
		{bpf.HostTo(bpf.BE, r1, bpf.DWord), "r1 = be64 r1"},
		{bpf.HostTo(bpf.LE, r1, bpf.Half), "r1 = le16 r1"},
		{bpf.HostTo(bpf.LE, r1, bpf.DWord), "r1 = le64 r1"},
		{bpf.BSwap(r1, bpf.Half), "r1 = swap16 r1"},
		{bpf.BSwap(r1, bpf.Word), "r1 = swap32 r1"},
		{bpf.BSwap(r1, bpf.DWord), "r1 = swap64 r1"},

		// memory, in all widths
		{bpf.LoadMem(r1, header, 9, bpf.Byte), "r1 = u8 [header+9]"},
		{bpf.LoadMem(r1, header, 12, bpf.Half), "r1 = u16 [header+12]"},
		{bpf.LoadMem(header, ctx, 0, bpf.Word), "header = u32 [ctx+0]"},
		{bpf.LoadMem(r1, stack, -72, bpf.DWord), "r1 = u64 [stack-72]"},
		{store(r1, bpf.Byte), "u8 [record+8] = r1"},
		{store(r1, bpf.Half), "u16 [record+8] = r1"},
		{store(r1, bpf.Word), "u32 [record+8] = r1"},
		{store(r1, bpf.DWord), "u64 [record+8] = r1"},
		{bpf.StoreImm(record, 63, 2, bpf.Byte), "u8 [record+63] = 2"},
		{bpf.StoreImm(record, 16, -65536, bpf.Word), "u32 [record+16] = -0x10000"},

		// atomics: only those that fetch change a register
		{bpf.AddAtomic.Mem(r1, r2, bpf.DWord, 8), "atomic u64 [r1+8] += r2"},
		{bpf.AndAtomic.Mem(r1, r2, bpf.DWord, 8), "atomic u64 [r1+8] &= r2"},
		{bpf.OrAtomic.Mem(r1, r2, bpf.Word, 8), "atomic u32 [r1+8] |= r2"},
		{bpf.XorAtomic.Mem(r1, r2, bpf.Word, 8), "atomic u32 [r1+8] ^= r2"},
		{bpf.FetchAdd.Mem(r1, r2, bpf.Word, 8), "r2 = atomic FetchAdd of u32 [r1+8] and r2"},
		{bpf.Xchg.Mem(r1, r2, bpf.DWord, -8), "r2 = atomic Xchg of u64 [r1-8] and r2"},
		{bpf.CmpXchg.Mem(r1, r2, bpf.DWord, 0), "r0 = atomic CmpXchg of u64 [r1+0] and r2"},

		// what takes two slots
		{bpf.LoadImm(bpf.R3, 0xffffffff, bpf.DWord), "r3 = 0xffffffff"},
		{bpf.LoadImm(bpf.R3, -1, bpf.DWord), "r3 = -1"},
		{bpf.LoadMapPtr(r1, 0).WithReference("events"), "r1 = map events"},
		{bpf.LoadMapValue(r1, 0, 8).WithReference("data"), "r1 = value of map data + 8"},

		// jumps, in 64 and 32 bits
		{bpf.Ja.Label(to), "goto there"},
		{bpf.JEq.Imm(next, 0x86dd, to), "if r5 == 0x86dd goto there"},
		{bpf.JNE.Imm(r1, 0, to), "if r1 != 0 goto there"},
		{bpf.JGT.Reg(r1, end, to), "if r1 > end goto there"},
		{bpf.JGE.Imm(r1, 1, to), "if r1 >= 1 goto there"},
		{bpf.JLT.Imm(r1, 20, to), "if r1 < 20 goto there"},
		{bpf.JLE.Imm(r1, 20, to), "if r1 <= 20 goto there"},
		{bpf.JSet.Imm(r1, 8, to), "if r1 & 8 goto there"},
		{bpf.JSGT.Imm(r1, -1, to), "if r1 s> -1 goto there"},
		{bpf.JSGE.Reg(r1, r2, to), "if r1 s>= r2 goto there"},
		{bpf.JSLT.Imm(r1, 0, to), "if r1 s< 0 goto there"},
		{bpf.JSLE.Imm(r1, 0, to), "if r1 s<= 0 goto there"},
		{bpf.JEq.Imm32(r1, -2, to), "if u32 r1 == 0xfffffffe goto there"},
		{bpf.JGT.Reg32(r1, r2, to), "if u32 r1 > r2 goto there"},
		{bpf.FnKtimeGetNs.Call(), "call bpf_ktime_get_ns"},
		{bpf.Return(), "exit"},
	} {
		if got := Statement(named(test.ins)); got != test.want {
			t.Errorf("%v:\n got %q\nwant %q", test.ins, got, test.want)
		}
	}
}

// TestStatementUnknown: what the printer does not know it must not guess.
func TestStatementUnknown(t *testing.T) {
	for _, ins := range []bpf.Instruction{
		bpf.LoadAbs(0, bpf.Half),
		bpf.LoadAcquire(bpf.R1, bpf.R2, bpf.DWord, 8),
		bpf.StoreRelease(bpf.R1, bpf.R2, bpf.DWord, 8),
		{OpCode: bpf.OpCode(bpf.JumpClass).SetJumpOp(bpf.JCOND)},
	} {
		if got := Statement(ins); !strings.HasPrefix(got, "? ") {
			t.Errorf("%v is shown as %q", ins, got)
		}
	}
}

func TestListingNames(t *testing.T) {
	b := New(testRoles)
	b.Roles(Naming{next: "next"})
	b.Emit(bpf.Mov.Imm(next, 0))
	b.Roles(nil)
	b.Emit(bpf.Mov.Imm(next, 0))
	b.Emit(bpf.LoadImm(bpf.R1, 0, bpf.DWord)) // two slots
	b.Block("out")
	b.Note("why", bpf.Mov.Imm(bpf.R0, 2))
	b.Emit(bpf.Return())
	var listing strings.Builder
	if err := Listing(&listing, b.insns); err != nil {
		t.Fatal(err)
	}
	want := "" +
		"    0  next = 0\n" +
		"    1  r5 = 0\n" +
		"    2  r1 = 0\n" +
		"\nout:\n" +
		"    4  r0 = 2                                 ; why\n" +
		"    5  exit\n"
	if listing.String() != want {
		t.Errorf("listing\n%s\nwant\n%s", listing.String(), want)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestListingWriteError(t *testing.T) {
	if err := Listing(full{}, bpf.Instructions{bpf.Return()}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v, want %v", err, os.ErrClosed)
	}
}
