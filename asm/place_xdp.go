package asm

import (
	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// xdpSlot is an interface's XDP slot: the program runs on each packet that the
// interface receives, before all else (native), or where the network stack
// begins (generic).
//
// Of a packet in several buffers the first can be read directly. Drivers put the
// headers there, but for some: mlx5 may leave it empty. So where a header is not in it,
// the packet is read from a copy (bpf_xdp_load_bytes).
type xdpSlot struct {
	copied
	frags  bool           // packets may have several buffers: Linux 5.18
	copies bool           // of such, headers are read in all buffers
	way    wire.Direction // to be said in records

	device uint32            // the one that it is for, natively; 0: any
	stamp  []bpf.Instruction // asks the device for the time, see Metadata; nil: it is not asked
	hashed []bpf.Instruction // the same for the hash
}

// flagHasFrags is BPF_F_XDP_HAS_FRAGS (linux/bpf.h, 5.18).
const flagHasFrags = 1 << 5

// xdpPass is XDP_PASS (linux/bpf.h).
const xdpPass = 2

// Fields of struct xdp_md (linux/bpf.h), the program's context.
var (
	mdData    = layout.Field{Name: "xdp_md.data", Offset: 0, Size: bpf.Word}
	mdDataEnd = layout.Field{Name: "xdp_md.data_end", Offset: 4, Size: bpf.Word}
	mdIngress = layout.Field{Name: "xdp_md.ingress_ifindex", Offset: 12, Size: bpf.Word}
	mdQueue   = layout.Field{Name: "xdp_md.rx_queue_index", Offset: 16, Size: bpf.Word}
)

func newXDPSlot(cfg Config) place {
	s := cfg.slot()
	s.way = cfg.said(wire.In)
	return s
}

// slot is that of a config, wherever the packets come from.
func (cfg Config) slot() xdpSlot {
	return xdpSlot{copied: copied{cfg.Inner}, frags: !cfg.NoFrags, copies: !cfg.NoFrags && !cfg.FirstBuffer}
}

// context is struct xdp_md (linux/bpf.h, 5.8).
func (xdpSlot) context() *btf.Struct {
	return contextOf("xdp_md", "data", "data_end", "data_meta", "ingress_ifindex", "rx_queue_index", "egress_ifindex")
}

func (s xdpSlot) maps() map[string]*ebpf.MapSpec {
	if !s.copies {
		return nil
	}
	return s.copied.maps()
}

func (s xdpSlot) spec() *ebpf.ProgramSpec {
	program := &ebpf.ProgramSpec{Type: ebpf.XDP, SectionName: "xdp"}
	if s.frags {
		program.Flags |= flagHasFrags
	}
	if s.device != 0 {
		program.Flags |= flagDevBound
		program.Ifindex = s.device
	}
	return program
}

// begin is also where the program goes on from copyAll, once, as at tc.
func (s xdpSlot) begin(b *builder) {
	mdData.LoadRaw(b.Builder, header, ctx)
	mdDataEnd.LoadRaw(b.Builder, end, ctx)
	if !s.copies {
		return
	}
	b.inPlace()
	b.Jump(parse)

	b.Block(copyAll)
	b.Emit(bpf.Mov.Imm(header, s.most()))
	b.copyBeginning(s.most(), func() {})
	b.Jump(parse)

	b.Block(parse)
}

// copyBeginning copies as much of the packet as header says, which is most at most, and leaves header
// and end of the copy. place may move where in it the packet begins, which is in r3; it takes r1.
func (b *builder) copyBeginning(most int32, place func()) {
	// end will be the copy, record how long it is.
	b.findCopy()
	b.Emit(
		bpf.Mov.Reg(bpf.R1, ctx),
		bpf.FnXdpGetBuffLen.Call(),
		bpf.Mov.Reg(record, bpf.R0),
	)
	b.atMost(most, 1)
	b.Emit(
		bpf.Mov.Reg(header, end),
		bpf.Mov.Reg(bpf.R3, header),
	)
	place()
	b.Emit(
		bpf.Mov.Reg(bpf.R1, ctx),
		bpf.Mov.Imm(bpf.R2, 0),
		bpf.Mov.Reg(bpf.R4, record),
		bpf.FnXdpLoadBytes.Call(),
	)
	b.JumpIf(bpf.R0, bpf.JNE, 0, pass)
	b.Emit(bpf.Add.Reg(end, record))
}

// Start implements [match.Place].
func (s xdpSlot) Start(b *assemble.Builder, dst bpf.Register) {
	if s.copies {
		s.copied.Start(b, dst)
		return
	}
	mdData.LoadRaw(b, dst, ctx)
}

func (s xdpSlot) within(b *builder, reg bpf.Register, otherwise label) {
	if s.copies {
		s.copied.within(b, reg, otherwise)
		return
	}
	b.JumpIfReg(reg, bpf.JGT, end, otherwise)
}

// maxWalk has room for maxHeaders, as a mask.
const maxWalk = 1<<15 - 4

func (s xdpSlot) settle(b *builder, most int32) {
	if s.copies {
		s.copied.settle(b, most)
		return
	}
	s.Start(b.Builder, bpf.R1)
	b.Emit(bpf.Sub.Reg(header, bpf.R1))
	b.aligned(maxWalk)
	b.Emit(bpf.Add.Reg(header, bpf.R1))
}

// maxDirect is what the verifier can track of a packet's bytes (MAX_PACKET_OFF,
// kernel/bpf/verifier.c), less what is added to it.
const maxDirect = 0xff00

// xdpNear is how much drivers put into the first buffer, as a rule, where there are
// several.
const xdpNear = 512

// Limits implements [match.Place].
func (s xdpSlot) Limits() (near uint32, direct int32) {
	if s.copies {
		return xdpNear, s.most()
	}
	return xdpNear, maxDirect
}

// Length implements [match.Place].
func (s xdpSlot) Length(b *assemble.Builder) {
	if s.frags {
		b.Emit(
			bpf.Mov.Reg(bpf.R1, ctx),
			bpf.FnXdpGetBuffLen.Call(), // 5.18: over all of a packet's buffers, not the first alone,
		)
		return
	}
	s.Start(b, bpf.R1)
	b.Emit(
		bpf.Mov.Reg(bpf.R0, end),
		bpf.Sub.Reg(bpf.R0, bpf.R1),
	)
}

// Fragmented implements [match.Place].
func (s xdpSlot) Fragmented() bool { return s.frags }

// Further implements [match.Place].
func (s xdpSlot) Further(b *assemble.Builder, otherwise assemble.Label) {
	if s.copies {
		s.further(b, s, otherwise)
		return
	}
	b.Jump(otherwise)
}

// Copy implements [match.Place] by bpf_xdp_load_bytes (5.18).
func (xdpSlot) Copy(b *assemble.Builder, slot int16, size int32) {
	b.Emit(
		bpf.Mov.Reg(bpf.R1, ctx),
		bpf.Mov.Reg(bpf.R2, bpf.R0),
		bpf.Mov.Reg(bpf.R3, stack),
		bpf.Add.Imm(bpf.R3, int32(slot)),
		bpf.Mov.Imm(bpf.R4, size),
		bpf.FnXdpLoadBytes.Call(),
	)
}

func (xdpSlot) queue(b *builder, dst bpf.Register) bool {
	mdQueue.LoadRaw(b.Builder, dst, ctx)
	b.Emit(bpf.Add.Imm(dst, 1))
	return true
}

func (s xdpSlot) iface(b *builder, dst bpf.Register) {
	if s.device != 0 { // it sees the packets of no other
		b.Emit(bpf.Mov.Imm(dst, int32(s.device)))
		return
	}
	mdIngress.LoadRaw(b.Builder, dst, ctx)
}

func (s xdpSlot) time(b *builder, clock Clock) {
	if clock == HardwareClock && s.stamp != nil {
		b.deviceTime(func(none label) { s.hardwareTime(b, none) })
		return
	}
	b.now(clock)
}

func (s xdpSlot) fate(b *builder) {
	if s.way != wire.NoDirection {
		b.addFate(uint8(s.way) << wire.DirectionShift)
		b.store(layout.Rec.Tags, bpf.R1)
	}
}

func (s xdpSlot) rxHash(b *builder) {
	if s.hashed != nil {
		b.deviceHash(s.hashed)
	}
}

func (xdpSlot) sampled(*builder) bpf.BuiltinFunc { return bpf.FnPerfEventOutput }

// maxLoad is how much bpf_xdp_load_bytes copies at most, and up to where in a packet
// (bpf_xdp_pointer, net/core/filter.c): BIG TCP's are longer.
const maxLoad = 1<<16 - 1

// copyable is what the helper copies.
func (s xdpSlot) copyable(b *builder, size bpf.Register) {
	if !s.frags {
		return
	}
	within := b.Fresh("within_64_KiB")
	b.JumpIf(size, bpf.JLE, maxLoad, within)
	b.Emit(bpf.Mov.Imm(size, maxLoad))
	b.Block(within)
}

// packet is by bpf_xdp_load_bytes where packets may have several buffers. Where they
// have one, it is copied as any memory of the kernel's.
func (s xdpSlot) packet(b *builder, to, size bpf.Register) {
	if s.frags {
		b.Emit(
			bpf.Mov.Reg(bpf.R1, ctx),
			bpf.Mov.Imm(bpf.R2, 0),
			bpf.Mov.Reg(bpf.R3, to),
			bpf.Mov.Reg(bpf.R4, size),
			bpf.FnXdpLoadBytes.Call(),
		)
		return
	}
	b.place.Start(b.Builder, bpf.R3)
	b.Emit(
		bpf.Mov.Reg(bpf.R1, to),
		bpf.Mov.Reg(bpf.R2, size),
		bpf.FnProbeReadKernel.Call(),
	)
}

func (xdpSlot) skip(*builder, label) {}

func (xdpSlot) pass() int32 { return xdpPass }
