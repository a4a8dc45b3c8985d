package asm

import (
	"math/bits"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/internal/match"
)

// copied is what places have in common whose packets can't always be read where they
// lie. There the packet's beginning, up to the longest chain of headers, is copied into
// memory of the CPU's, where a header is not in reach, and the program begins anew with
// that, once. It is the same parser: the verifier follows it with pointers into the
// packet, and with pointers into the copy.
type copied struct {
	inner bool // the program looks into tunnels
}

// The copy of a packet's beginning.
const (
	copyMap = "copy" // one buffer a CPU

	// copyUsual has the headers of nearly all packets.
	copyUsual = 256

	// copyAlign has what follows the Ethernet header begin at a multiple of 4, as
	// it does where packets lie (NET_IP_ALIGN).
	copyAlign = 2
)

// most has the headers of all packets, see maxHeaders, and what a filter asks for near them.
func (c copied) most() int32 {
	if c.inner {
		return maxInside + xdpNear + 16
	}
	return maxHeaders + xdpNear + 16
}

// Inner implements [match.Place].
func (c copied) Inner() bool { return c.inner }

// Labels of the places'.
const (
	copyAll label = "copy_all"
	parse   label = "parse"
)

func (c copied) maps() map[string]*ebpf.MapSpec {
	return map[string]*ebpf.MapSpec{copyMap: {
		Name:       copyMap,
		Type:       ebpf.PerCPUArray,
		KeySize:    4,
		ValueSize:  uint32(c.most()) + 64, // for a tag, and for what the verifier, who does not correlate lengths, takes for possible
		MaxEntries: 1,
	}}
}

// inPlace has the packet be read where it lies, from header on.
func (b *builder) inPlace() {
	b.Note("start", bpf.StoreMem(stack, layout.StartSlot, header, bpf.DWord))
	b.Emit(bpf.Mov.Imm(bpf.R0, 0))
	b.Note("copied", bpf.StoreMem(stack, layout.CopiedSlot, bpf.R0, bpf.DWord))
}

// copying begins the copy of every packet's beginning, where packets can't be read in place: the
// usual length first, and from copyAll on, once, the most. header is then how much, at most;
// end will be the copy, record how long it is.
func (b *builder) copying(usual, most int32) {
	copyIt := b.Fresh("copy")
	b.Emit(bpf.Mov.Imm(header, usual))
	b.Jump(copyIt)

	b.Block(copyAll)
	b.Emit(bpf.Mov.Imm(header, most))
	b.Jump(copyIt) // which is next: older verifiers let no other edge than a jump lead back

	b.Block(copyIt)
}

// findCopy leaves in end where this CPU's copy is to be, of as many bytes as header says.
func (b *builder) findCopy() {
	b.Note("copied", bpf.StoreMem(stack, layout.CopiedSlot, header, bpf.DWord))
	b.Emit(
		bpf.Mov.Imm(bpf.R0, 0),
		bpf.StoreMem(stack, layout.StartSlot, bpf.R0, bpf.Word), // key
		bpf.Mov.Reg(bpf.R2, stack),
		bpf.Add.Imm(bpf.R2, int32(layout.StartSlot)),
		bpf.LoadMapPtr(bpf.R1, 0).WithReference(copyMap),
		bpf.FnMapLookupElem.Call(),
	)
	b.JumpIf(bpf.R0, bpf.JEq, 0, pass) // never; the verifier wants it
	b.Emit(bpf.Add.Imm(bpf.R0, copyAlign))
	b.Note("start", bpf.StoreMem(stack, layout.StartSlot, bpf.R0, bpf.DWord))
	b.Emit(bpf.Mov.Reg(end, bpf.R0))
}

// atMost has record be no more than header, which is most at most. The verifier is told
// that it is least or more, and doesn't see two ways, of which it would follow each to the end.
func (b *builder) atMost(most, least int32) {
	b.Emit(
		bpf.Sub.Reg(record, header),
		bpf.Mov.Reg(bpf.R1, record),
		bpf.ArSh.Imm(bpf.R1, 63), // all bits where that is below 0
		bpf.And.Reg(record, bpf.R1),
		bpf.Add.Reg(record, header),
	)
	b.JumpIf(record, bpf.JGT, most, pass) // never
	b.JumpIf(record, bpf.JLT, least, pass)
}

// ahead adds nothing: the packet is the first that the helper copies, as a rule.
func (copied) ahead(*builder, bpf.Register) {}

// Start implements [match.Place].
func (copied) Start(b *assemble.Builder, dst bpf.Register) {
	b.Note("start", bpf.LoadMem(dst, stack, layout.StartSlot, bpf.DWord))
}

// within has everything copied where that was not done yet. What does so stands apart, in
// [builder.outOfReach]: a packet whose headers are in reach only falls through.
func (c copied) within(b *builder, reg bpf.Register, otherwise label) {
	for _, s := range b.short {
		if s.otherwise == otherwise {
			b.JumpIfReg(reg, bpf.JGT, end, s.at)
			return
		}
	}
	at := b.Fresh("short")
	b.short = append(b.short, short{at, otherwise, c})
	b.JumpIfReg(reg, bpf.JGT, end, at)
}

// short is where a packet goes on of which something is not in reach.
type short struct {
	at, otherwise label
	copied        copied
}

// outOfReach is what within has left to be done until then. Nothing falls into it.
func (b *builder) outOfReach() {
	for _, s := range b.short {
		b.Block(s.at)
		s.copied.notYet(b.Builder, s.otherwise)
		b.Jump(copyAll)
	}
	b.short = nil
}

// notYet jumps where everything was copied. It takes r0.
func (c copied) notYet(b *assemble.Builder, otherwise label) {
	b.Note("copied", bpf.LoadMem(bpf.R0, stack, layout.CopiedSlot, bpf.DWord))
	b.JumpIf(bpf.R0, bpf.JEq, c.most(), otherwise)
}

// settle also bounds how far header is, for the copy has an end that the verifier
// knows: a header that is farther there is none.
func (c copied) settle(b *builder, most int32) {
	c.Start(b.Builder, bpf.R1)
	b.Emit(bpf.Sub.Reg(header, bpf.R1))
	b.aligned(1<<bits.Len32(uint32(most)) - 4)
	if most > maxBefore {
		b.JumpIf(header, bpf.JGT, most, pass) // never
	}
	b.Emit(bpf.Add.Reg(header, bpf.R1))
}

// further is [match.Place.Further]: it has everything copied where there is more, and
// that was not done yet.
func (c copied) further(b *assemble.Builder, at match.Place, otherwise label) {
	c.notYet(b, otherwise)
	at.Length(b)
	at.Start(b, bpf.R1)
	b.Emit(
		bpf.Mov.Reg(bpf.R2, end),
		bpf.Sub.Reg(bpf.R2, bpf.R1),
	)
	b.JumpIfReg(bpf.R0, bpf.JLE, bpf.R2, otherwise)
	b.Jump(copyAll)
}
