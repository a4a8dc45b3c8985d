package asm

import (
	"fmt"
	"math/bits"
	"runtime"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// sharedRing makes the record in this CPU's ring, which the reader has mapped, and
// publishes it by moving the ring's head. The program runs with softirqs off,
// so it is the only one to write on its CPU, and the reader is the only one to
// write the tail: that is all the synchronisation there is.
//
// The reader's are the slots from tail up to head, at most all but one. The slot
// at head is the program's, in which it makes a record also before it knows
// whether the packet matches or the ring has room: it is only not published.
//
// Whatever the reader writes into the ring, the program stays inside: every
// index is masked, and a tail that makes no sense is a full ring.
type sharedRing struct {
	slots int // of each CPU, a power of two
	cpus  int
	wide  bool
}

func newSharedRing(cfg Config) (transport, error) {
	if cfg.Wake != WakeReader {
		return nil, fmt.Errorf("transport %v is read by package reader alone: it wakes no %v", cfg.Transport, cfg.Wake)
	}
	buffer, err := cfg.ownBuffer(maxRing)
	if err != nil {
		return nil, err
	}
	if cfg.SnapLen > 0 {
		return newPacketRing(cfg, buffer)
	}
	return sharedRing{slots: buffer / recordSize(cfg.wide()), cpus: cfg.CPUs, wide: cfg.wide()}, nil
}

// Flags of BPF_MAP_CREATE (linux/bpf.h).
const flagMmapable = 1 << 10 // BPF_F_MMAPABLE

func (r sharedRing) maps() map[string]*ebpf.MapSpec {
	return map[string]*ebpf.MapSpec{
		wire.EventsMap: {
			Name:       wire.EventsMap,
			Type:       ebpf.Array,
			KeySize:    4,
			ValueSize:  uint32(wire.RingBytes(r.slots * recordSize(r.wide) / wire.RecordSize)),
			MaxEntries: uint32(r.cpus),
			Flags:      flagMmapable,
		},
		wire.DoorbellMap: doorbellMap(),
	}
}

// findRing leaves this CPU's ring in r0, and on the stack.
func (b *builder) findRing() {
	b.Emit(
		bpf.FnGetSmpProcessorId.Call(),
		bpf.StoreMem(stack, layout.RingSlot, bpf.R0, bpf.Word), // key
		bpf.Mov.Reg(bpf.R2, stack),
		bpf.Add.Imm(bpf.R2, int32(layout.RingSlot)),
		bpf.LoadMapPtr(bpf.R1, 0).WithReference(wire.EventsMap),
		bpf.FnMapLookupElem.Call(),
	)
	b.JumpIf(bpf.R0, bpf.JEq, 0, pass) // a CPU without a ring: see Config.CPUs
	b.Note("ring", bpf.StoreMem(stack, layout.RingSlot, bpf.R0, bpf.DWord))
}

func (r sharedRing) begin(b *builder) {
	b.findRing()

	// record = the slot at head, which is never the reader's
	b.Note("ring.head", bpf.LoadMem(bpf.R1, bpf.R0, int16(layout.OffHead), bpf.DWord))
	b.Emit(
		bpf.And.Imm(bpf.R1, int32(r.slots-1)),
		bpf.LSh.Imm(bpf.R1, int32(bits.TrailingZeros(uint(recordSize(r.wide))))),
		bpf.Mov.Reg(record, bpf.R0),
		bpf.Add.Imm(record, int32(wire.RingSize)),
		bpf.Add.Reg(record, bpf.R1),
	)
}

func (r sharedRing) submit(b *builder, lost label) {
	awake := b.Fresh("awake")
	b.Note("ring", bpf.LoadMem(bpf.R1, stack, layout.RingSlot, bpf.DWord))
	b.Note("ring.head", bpf.LoadMem(bpf.R2, bpf.R1, int16(layout.OffHead), bpf.DWord))
	b.Note("ring.tail", bpf.LoadMem(bpf.R3, bpf.R1, int16(layout.OffTail), bpf.DWord))
	b.Emit(
		bpf.Mov.Reg(bpf.R4, bpf.R2),
		bpf.Sub.Reg(bpf.R4, bpf.R3),
	)
	b.JumpIf(bpf.R4, bpf.JGE, int32(r.slots-1), lost)
	b.publish()
	b.Note("ring.wake", bpf.LoadMem(bpf.R3, bpf.R1, int16(layout.OffWake), bpf.DWord))
	b.JumpIfReg(bpf.R2, bpf.JNE, bpf.R3, awake)
	b.ring(record)
	b.Block(awake)
}

// publish makes the record visible by increasing the head of the ring at r1,
// which is in r2. The record's bytes must be visible before: on amd64 stores
// become visible in their order; elsewhere it takes an atomic that fetches
// (Linux 5.12), which is fully ordered.
func (b *builder) publish() {
	if runtime.GOARCH == "amd64" {
		b.Emit(bpf.Add.Imm(bpf.R2, 1))
		b.Note("ring.head", bpf.StoreMem(bpf.R1, int16(layout.OffHead), bpf.R2, bpf.DWord))
		return
	}
	b.Emit(bpf.Mov.Imm(bpf.R2, 1))
	b.Note("ring.head", fetchAdd(bpf.R1, int16(layout.OffHead), bpf.R2))
	b.Emit(bpf.Add.Imm(bpf.R2, 1))
}

// fetchAdd adds src to memory and leaves there what was in it. cilium/ebpf
// v0.22.0 leaves the operation out of an atomic's encoding.
func fetchAdd(dst bpf.Register, offset int16, src bpf.Register) bpf.Instruction {
	ins := bpf.FetchAdd.Mem(dst, src, bpf.DWord, offset)
	ins.Constant = int64(bpf.FetchAdd >> 8) // BPF_ADD | BPF_FETCH
	return ins
}
