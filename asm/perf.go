package asm

import (
	"slices"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// perfBuffer copies the record into the perf ring of this CPU, and the packet
// behind it where that is wanted.
type perfBuffer struct {
	snapLen int // bytes of the packet, see unpadded; 0: none
	wake    Wake
}

func newPerfBuffer(cfg Config) (transport, error) {
	if cfg.Buffer != 0 {
		if _, err := cfg.buffer(MaxBuffer); err != nil {
			return nil, err
		}
	}
	return perfBuffer{snapLen: unpadded(cfg.leastBytes(), recordSize(cfg.wide())), wake: cfg.Wake}, nil
}

// leastBytes is SnapLen, or what it takes to put a tag in its place that may be beside a packet.
func (cfg Config) leastBytes() int {
	if cfg.SnapLen > 0 && slices.ContainsFunc(cfg.Programs(), func(at Place) bool { return at != XDP || len(cfg.Metadata) > 0 }) {
		return max(cfg.SnapLen, wire.MinTagged)
	}
	return cfg.SnapLen
}

// perfHeader is what precedes the record in a sample: struct
// perf_event_header, and the size of the raw data (perf_event_open(2)).
const perfHeader = 8 + 4

// Flags of bpf_perf_event_output (linux/bpf.h): BPF_F_CURRENT_CPU selects the
// buffer of the CPU that the program runs on, and the bits of
// BPF_F_CTXLEN_MASK say how much of the packet follows.
const (
	currentCPU  = 0xffffffff
	packetShift = 32
)

// unpadded rounds a number of packet bytes up to one behind which the kernel
// puts no padding: samples are multiples of 8. So all that follows the record
// of a packet that is cut is of the packet, and where it is not cut, its length
// tells where the padding begins: see [wire.Record.Packet].
func unpadded(snapLen, record int) int {
	if snapLen == 0 {
		return 0
	}
	before := perfHeader + record
	whole := min(max(snapLen, wire.MinPacket), MaxSnapLen-(record-wire.RecordSize))
	return whole + -(before+whole)&7
}

func (p perfBuffer) maps() map[string]*ebpf.MapSpec {
	return p.wake.addWaking(map[string]*ebpf.MapSpec{
		wire.EventsMap: {
			Name: wire.EventsMap,
			Type: ebpf.PerfEventArray, // one entry per possible CPU, set by cilium/ebpf
		},
	})
}

func (perfBuffer) begin(b *builder) { b.onStack() }

func (p perfBuffer) submit(b *builder, lost label) {
	b.Emit(
		bpf.Mov.Reg(bpf.R1, ctx),
		bpf.LoadMapPtr(bpf.R2, 0).WithReference(wire.EventsMap),
	)
	p.flags(b)
	b.Emit(
		bpf.Mov.Reg(bpf.R4, record),
		bpf.Mov.Imm(bpf.R5, int32(b.recordSize())),
	)
	output := bpf.FnPerfEventOutput
	if p.snapLen > 0 {
		output = b.place.sampled(b)
	}
	b.Emit(output.Call())
	b.JumpIf(bpf.R0, bpf.JNE, 0, lost) // the ring is full, or nobody opened it
	if p.wake == WakeReader {
		b.wakeSleeper()
	}
}

// flags leaves in r3 the flags of the helper. It refuses to copy more than the
// packet has, over all of its buffers (bpf_xdp_event_output).
func (p perfBuffer) flags(b *builder) {
	if p.snapLen == 0 {
		b.Emit(bpf.LoadImm(bpf.R3, currentCPU, bpf.DWord))
		return
	}
	whole := b.Fresh("whole_packet")
	layout.Rec.Length.Load(b.Builder, bpf.R3)
	if b.slot != 0 {
		b.Emit(bpf.And.Imm(bpf.R3, wire.MaxLength))
	}
	b.place.ahead(b, bpf.R3)
	b.JumpIf(bpf.R3, bpf.JLE, int32(p.snapLen), whole)
	b.Emit(bpf.Mov.Imm(bpf.R3, int32(p.snapLen)))
	b.Block(whole)
	b.Emit(
		bpf.LSh.Imm(bpf.R3, packetShift),
		bpf.LoadImm(bpf.R0, currentCPU, bpf.DWord),
		bpf.Or.Reg(bpf.R3, bpf.R0),
	)
}
