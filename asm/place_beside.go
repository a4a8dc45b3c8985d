package asm

import (
	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// beside is the end of another XDP program (fexit, Linux 5.7): ours runs when that has
// decided, sees what it decided, and nothing of it can change. Its context is not the
// other's but an array of words: a pointer to the kernel's own struct xdp_buff, and
// the verdict. Fields of that struct can be loaded, where the kernel's BTF says that
// they are; the packet's bytes can't, and are copied (bpf_probe_read_kernel, 5.5).
// So it is parsed from a copy of its beginning, and where that is not enough from a
// longer one, as at tc.
//
// It sees the packet as the other program leaves it, and of one in several buffers
// the first, as XDP does.
type beside struct {
	copied
	kernel    Kernel
	index     uint32 // of the interface whose packets are wanted; 0: all
	namespace uint32 // inode of its network namespace; 0: all
	verdicts  uint8  // a bit for each wire.Verdict that is wanted; 0: all
}

func newBeside(cfg Config) place {
	p := beside{copied: copied{cfg.Inner}, kernel: cfg.Kernel, index: cfg.Index}
	if cfg.Kernel.Net != 0 {
		p.namespace = cfg.Namespace
	}
	for _, v := range cfg.Verdicts {
		p.verdicts |= 1 << v
	}
	return p
}

// Kernel is where the kernel that a program is to be loaded into has the fields that
// a program [Beside] another one reads, in bytes. Its BTF tells: package loader asks.
type Kernel struct {
	Data, DataEnd, RXQ uint16 // in struct xdp_buff
	HardStart          uint16
	FrameSize, Flags   uint16 // 0: packets have one buffer (before Linux 5.18)
	Device             uint16 // in struct xdp_rxq_info
	Index              uint16 // in struct net_device
	Net                uint16 // in struct net_device; 0: not known, and namespaces are not told apart
	NetInode           uint16 // in struct net
	SharedInfo         uint16 // size of struct skb_shared_info, as it is aligned behind a packet
	FragmentsSize      uint16 // in it
}

// xdpHasFrags is XDP_FLAGS_HAS_FRAGS, of struct xdp_buff (include/net/xdp.h, 5.18).
const xdpHasFrags = 1 << 0

// Words of the context.
const (
	besideBuffer  = 0
	besideVerdict = 8
)

func (beside) context() *btf.Struct { return contextOf("xdp_md", "data") }

func (beside) spec() *ebpf.ProgramSpec {
	return &ebpf.ProgramSpec{Type: ebpf.Tracing, AttachType: ebpf.AttachTraceFExit, SectionName: "fexit"}
}

// buffer leaves in a register a field of struct xdp_buff.
func (p beside) buffer(b *assemble.Builder, dst bpf.Register, name string, offset uint16, size bpf.Size) {
	b.Note("xdp_buff", bpf.LoadMem(dst, ctx, besideBuffer, bpf.DWord))
	b.Note("xdp_buff."+name, bpf.LoadMem(dst, dst, int16(offset), size))
}

// skip lets go of what another interface receives, which has the same program: one of another
// number, or of the same number in another network namespace.
func (p beside) skip(b *builder, otherwise label) {
	if p.index != 0 {
		p.iface(b, bpf.R0)
		b.JumpIf(bpf.R0, bpf.JNE, int32(p.index), otherwise)
	}
	if p.namespace != 0 {
		p.device(b, bpf.R0)
		b.Note("net_device.nd_net", bpf.LoadMem(bpf.R0, bpf.R0, int16(p.kernel.Net), bpf.DWord))
		b.Note("net.ns.inum", bpf.LoadMem(bpf.R0, bpf.R0, int16(p.kernel.NetInode), bpf.Word))
		b.Emit(bpf.Mov.Imm32(bpf.R1, int32(p.namespace))) // which is over 2^31
		b.JumpIfReg(bpf.R0, bpf.JNE, bpf.R1, otherwise)
	}
}

// begin copies the packet's beginning; it is also where the program goes on from
// copyAll, as at tc.
func (p beside) begin(b *builder) {
	if p.verdicts != 0 {
		p.choose(b)
	}
	b.copying(p.usual(), p.most())
	b.findCopy()
	p.buffer(b.Builder, bpf.R3, "data", p.kernel.Data, bpf.DWord)
	p.buffer(b.Builder, record, "data_end", p.kernel.DataEnd, bpf.DWord)
	b.Emit(bpf.Sub.Reg(record, bpf.R3))
	b.atMost(p.most(), 0)
	b.Emit(
		bpf.Mov.Reg(bpf.R1, end),
		bpf.Mov.Reg(bpf.R2, record),
		bpf.FnProbeReadKernel.Call(),
	)
	b.JumpIf(bpf.R0, bpf.JNE, 0, pass) // never: the packet is there
	b.Emit(
		bpf.Mov.Reg(header, end),
		bpf.Add.Reg(end, record),
	)
}

// usual is less than elsewhere: the helper copies word by word, which is the most of what
// a run takes. It has the headers of nearly all packets, and as much again in tunnels.
func (p beside) usual() int32 {
	if p.inner {
		return copyUsual
	}
	return copyUsual / 2
}

// choose lets go on what the other program has decided as is wanted.
func (p beside) choose(b *builder) {
	p.verdict(b)
	b.Emit(
		bpf.Mov.Imm(bpf.R0, 1),
		bpf.LSh.Reg(bpf.R0, bpf.R1),
		bpf.And.Imm(bpf.R0, int32(p.verdicts)),
	)
	b.JumpIf(bpf.R0, bpf.JEq, 0, pass)
}

// verdict leaves in r1 what the other program decided, as a wire.Verdict. What is none
// of the actions the kernel takes for XDP_ABORTED.
func (beside) verdict(b *builder) {
	known := b.Fresh("verdict_known")
	b.Note("verdict", bpf.LoadMem(bpf.R1, ctx, besideVerdict, bpf.DWord))
	b.Emit(
		bpf.Mov.Reg32(bpf.R1, bpf.R1), // an int
		bpf.Add.Imm(bpf.R1, int32(wire.Aborted)),
	)
	b.JumpIf(bpf.R1, bpf.JLE, int32(wire.Redirect), known)
	b.Emit(bpf.Mov.Imm(bpf.R1, int32(wire.Aborted)))
	b.Block(known)
}

// Limits implements [match.Place]: as at tc.
func (p beside) Limits() (near uint32, direct int32) { return 0, p.most() }

// Length implements [match.Place]: over all buffers of a packet, where it has several.
func (p beside) Length(b *assemble.Builder) {
	p.first(b)
	if p.kernel.Flags == 0 {
		return
	}
	const slot = layout.FilterSlot - 8 // where the filter's keys are, which are used up
	one := b.Fresh("one_buffer")
	p.buffer(b, bpf.R1, "flags", p.kernel.Flags, bpf.Word)
	b.Emit(bpf.And.Imm(bpf.R1, xdpHasFrags))
	b.JumpIf(bpf.R1, bpf.JEq, 0, one)
	p.buffer(b, bpf.R3, "data_hard_start", p.kernel.HardStart, bpf.DWord)
	p.buffer(b, bpf.R2, "frame_sz", p.kernel.FrameSize, bpf.Word)
	b.Emit(
		bpf.Add.Reg(bpf.R3, bpf.R2),
		bpf.Sub.Imm(bpf.R3, int32(p.kernel.SharedInfo)-int32(p.kernel.FragmentsSize)),
		bpf.Mov.Imm(bpf.R2, 4),
		bpf.Mov.Reg(bpf.R1, stack),
		bpf.Add.Imm(bpf.R1, int32(slot)),
		bpf.FnProbeReadKernel.Call(),
	)
	p.first(b)
	b.Note("skb_shared_info.xdp_frags_size", bpf.LoadMem(bpf.R1, stack, slot, bpf.Word))
	b.Emit(bpf.Add.Reg(bpf.R0, bpf.R1))
	b.Block(one)
}

// first leaves in r0 how long the first buffer is.
func (p beside) first(b *assemble.Builder) {
	p.buffer(b, bpf.R0, "data_end", p.kernel.DataEnd, bpf.DWord)
	p.buffer(b, bpf.R1, "data", p.kernel.Data, bpf.DWord)
	b.Emit(bpf.Sub.Reg(bpf.R0, bpf.R1))
}

// Fragmented implements [match.Place]: what is behind the copy is read by Copy.
func (beside) Fragmented() bool { return true }

// Further implements [match.Place].
func (p beside) Further(b *assemble.Builder, otherwise assemble.Label) { p.further(b, p, otherwise) }

// Copy implements [match.Place] in the first buffer.
func (p beside) Copy(b *assemble.Builder, slot int16, size int32) {
	inside, end := b.Fresh("inside"), b.Fresh("copied")
	b.Emit(bpf.Mov.Reg(bpf.R4, bpf.R0))
	p.first(b)
	b.Emit(
		bpf.Mov.Reg(bpf.R1, bpf.R4),
		bpf.Add.Imm(bpf.R1, size),
	)
	b.JumpIfReg(bpf.R1, bpf.JLE, bpf.R0, inside)
	b.Emit(bpf.Mov.Imm(bpf.R0, 1))
	b.Jump(end)
	b.Block(inside)
	p.buffer(b, bpf.R3, "data", p.kernel.Data, bpf.DWord)
	b.Emit(
		bpf.Add.Reg(bpf.R3, bpf.R4),
		bpf.Mov.Reg(bpf.R1, stack),
		bpf.Add.Imm(bpf.R1, int32(slot)),
		bpf.Mov.Imm(bpf.R2, size),
		bpf.FnProbeReadKernel.Call(),
	)
	b.Block(end)
}

// queue would be in the kernel's struct.
func (beside) queue(*builder, bpf.Register) bool { return false }

// device is rxq->dev.
func (p beside) device(b *builder, dst bpf.Register) {
	p.buffer(b.Builder, dst, "rxq", p.kernel.RXQ, bpf.DWord)
	b.Note("xdp_rxq_info.dev", bpf.LoadMem(dst, dst, int16(p.kernel.Device), bpf.DWord))
}

// iface is rxq->dev->ifindex.
func (p beside) iface(b *builder, dst bpf.Register) {
	p.device(b, dst)
	b.Note("net_device.ifindex", bpf.LoadMem(dst, dst, int16(p.kernel.Index), bpf.Word))
}

func (beside) time(b *builder, clock Clock) { b.now(clock) }

// fate is the verdict.
func (p beside) fate(b *builder) {
	p.verdict(b)
	b.Emit(bpf.LSh.Imm(bpf.R1, wire.VerdictShift))
	layout.Rec.Tags.Load(b.Builder, bpf.R2)
	b.Emit(bpf.Or.Reg(bpf.R1, bpf.R2))
	b.store(layout.Rec.Tags, bpf.R1)
}

// rxHash is not known: the driver answers the programs that were made for it alone.
func (beside) rxHash(*builder) {}

// sampled has packet bytes copied by bpf_xdp_output (Linux 5.6) from the kernel's own
// struct, in place of bpf_perf_event_output.
func (beside) sampled(b *builder) bpf.BuiltinFunc {
	b.Note("xdp_buff", bpf.LoadMem(bpf.R1, ctx, besideBuffer, bpf.DWord))
	return bpf.FnXdpOutput
}

// copyable is what the first buffer has.
func (p beside) copyable(b *builder, size bpf.Register) {
	there := b.Fresh("in_first_buffer")
	p.first(b.Builder)
	b.JumpIfReg(size, bpf.JLE, bpf.R0, there)
	b.Emit(bpf.Mov.Reg(size, bpf.R0))
	b.Block(there)
}

func (p beside) packet(b *builder, to, size bpf.Register) {
	p.buffer(b.Builder, bpf.R3, "data", p.kernel.Data, bpf.DWord)
	b.Emit(
		bpf.Mov.Reg(bpf.R1, to),
		bpf.Mov.Reg(bpf.R2, size),
		bpf.FnProbeReadKernel.Call(),
	)
}

// pass is for the verifier: nobody asks a program at the end of another.
func (beside) pass() int32 { return 0 }
