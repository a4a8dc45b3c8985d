package asm

import (
	"runtime"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// packetRing is a [sharedRing] of entries of any length: a record, and the first bytes
// of its packet, which the program copies there itself. See [wire.Entry].
//
// An entry may reach over the ring's end, behind which there is room for the longest:
// so it lies in one piece, for the program's helper, which copies in one piece, and for
// the reader, which hands it out where it lies.
type packetRing struct {
	bytes   int // of each CPU's ring, a power of two
	snapLen int
	cpus    int
	keep    bool // entries are written over, see keep.go
	wide    bool
}

// spare is what is always free at head, so that a record can be begun there.
func (r packetRing) spare() int { return wire.EntrySize + recordSize(r.wide) }

func newPacketRing(cfg Config, buffer int) (transport, error) {
	return packetRing{bytes: buffer, snapLen: cfg.leastBytes(), cpus: cfg.CPUs, keep: cfg.Keep, wide: cfg.wide()}, nil
}

func (r packetRing) maps() map[string]*ebpf.MapSpec {
	specs := sharedRing{slots: 1, cpus: r.cpus}.maps()
	behind := recordSize(r.wide) - wire.RecordSize // the first cache line
	specs[wire.EventsMap].ValueSize = uint32(wire.PacketRingBytes(r.bytes, behind+r.snapLen)+7) &^ 7
	return specs
}

func (r packetRing) begin(b *builder) {
	b.findRing()
	b.Note("ring.head", bpf.LoadMem(bpf.R1, bpf.R0, int16(layout.OffHead), bpf.DWord))
	b.Emit(
		bpf.And.Imm(bpf.R1, int32(r.bytes-1)&^7), // of 8 it is a multiple, which the verifier doesn't know
		bpf.Mov.Reg(record, bpf.R0),
		bpf.Add.Imm(record, int32(wire.RingSize+wire.EntrySize)),
		bpf.Add.Reg(record, bpf.R1),
	)
}

// Registers when a record is complete: nobody asks the packet's headers any more.
const (
	size = header // how many bytes of the packet are kept
	need = end    // how many bytes of the ring the entry takes
)

func (r packetRing) submit(b *builder, lost label) {
	short, copied, awake := b.Fresh("short_packet"), b.Fresh("entry_complete"), b.Fresh("awake")
	b.Roles(map[bpf.Register]string{size: "size", need: "need"})
	b.recordLength(size)
	b.place.copyable(b, size)
	b.JumpIf(size, bpf.JLE, int32(r.snapLen), short)
	b.Emit(bpf.Mov.Imm(size, int32(r.snapLen)))
	b.Block(short)
	b.Emit(
		bpf.Mov.Reg(need, size),
		bpf.Add.Imm(need, int32(r.spare()+7)),
		bpf.And.Imm(need, ^7),
	)

	r.room(b, lost)
	r.sizeQueue(b)
	r.before(b)
	b.JumpIf(size, bpf.JLE, 0, copied)                 // by which Linux 6.1, too, sees that behind it is 1 or more
	b.Emit(bpf.Add.Imm(record, int32(b.recordSize()))) // behind it
	b.place.packet(b, record, size)
	b.Emit(bpf.Sub.Imm(record, int32(b.recordSize())))
	b.JumpIf(bpf.R0, bpf.JEq, 0, copied)
	b.Emit(bpf.Mov.Imm(bpf.R1, 0)) // never: the packet has these bytes
	b.Note("entry.size_queue", bpf.StoreMem(record, int16(layout.OffEntrySize)-int16(wire.EntrySize), bpf.R1, bpf.Word))
	b.Emit(bpf.Mov.Imm(need, int32(r.spare())))
	b.Block(copied)

	b.Note("ring", bpf.LoadMem(bpf.R1, stack, layout.RingSlot, bpf.DWord))
	b.Note("ring.head", bpf.LoadMem(bpf.R4, bpf.R1, int16(layout.OffHead), bpf.DWord))
	b.publishEntry()
	r.wake(b, awake)
	b.Block(awake)
	b.Roles(nil)
}

// publishEntry makes the entry visible by increasing the head of the ring at r1, which
// is in r4, as [builder.publish] does.
func (b *builder) publishEntry() {
	if runtime.GOARCH == "amd64" {
		b.Emit(
			bpf.Mov.Reg(bpf.R2, bpf.R4),
			bpf.Add.Reg(bpf.R2, need),
		)
		b.Note("ring.head", bpf.StoreMem(bpf.R1, int16(layout.OffHead), bpf.R2, bpf.DWord))
		return
	}
	b.Emit(bpf.Mov.Reg(bpf.R2, need))
	b.Note("ring.head", fetchAdd(bpf.R1, int16(layout.OffHead), bpf.R2))
}

// sizeQueue writes into the entry how many bytes of the packet there are, and by which
// queue it came.
func (r packetRing) sizeQueue(b *builder) {
	what := size
	if b.place.queue(b, bpf.R1) {
		named := b.Fresh("queue_has_room")
		b.JumpIf(bpf.R1, bpf.JLE, wire.MaxQueue, named)
		b.Emit(bpf.Mov.Imm(bpf.R1, 0))
		b.Block(named)
		b.Emit(
			bpf.LSh.Imm(bpf.R1, wire.QueueShift),
			bpf.Or.Reg(bpf.R1, size),
		)
		what = bpf.R1
	}
	b.Note("entry.size_queue", bpf.StoreMem(record, int16(layout.OffEntrySize)-int16(wire.EntrySize), what, bpf.Word))
}

// room goes to lost where the ring has none for the entry.
func (r packetRing) room(b *builder, lost label) {
	if r.keep {
		r.roomToKeep(b, lost)
		return
	}
	b.Note("ring", bpf.LoadMem(bpf.R1, stack, layout.RingSlot, bpf.DWord))
	b.Note("ring.head", bpf.LoadMem(bpf.R2, bpf.R1, int16(layout.OffHead), bpf.DWord))
	b.Note("ring.tail", bpf.LoadMem(bpf.R3, bpf.R1, int16(layout.OffTail), bpf.DWord))
	b.Emit(
		bpf.Sub.Reg(bpf.R2, bpf.R3), // in use
		bpf.Mov.Reg(bpf.R3, need),
		bpf.Add.Imm(bpf.R3, int32(r.spare())),
		bpf.Mov.Imm(bpf.R4, int32(r.bytes)),
		bpf.Sub.Reg(bpf.R4, bpf.R3), // may be in use: less than 0 where the entry is larger than the ring
	)
	b.JumpIf(bpf.R4, bpf.JSLT, 0, lost)
	b.JumpIfReg(bpf.R2, bpf.JGT, bpf.R4, lost) // also of a tail that makes no sense
}

// before writes into the entry what came before it.
func (r packetRing) before(b *builder) {
	if r.keep {
		r.linkBack(b)
		return
	}
	b.Note("counters", bpf.LoadMem(bpf.R1, stack, layout.CountersSlot, bpf.DWord))
	b.Note("counters.lost", bpf.LoadMem(bpf.R1, bpf.R1, int16(layout.OffLost), bpf.DWord))
	b.Note("entry.lost", bpf.StoreMem(record, int16(layout.OffEntryLost)-int16(wire.EntrySize), bpf.R1, bpf.Word))
}

// wake rings the bell where the mark is one of the bytes of this entry, and else goes to
// awake. The head was in r4, and the ring is in r1.
func (r packetRing) wake(b *builder, awake label) {
	if r.keep {
		r.wakeOnHit(b, awake)
		return
	}
	b.Note("ring.wake", bpf.LoadMem(bpf.R3, bpf.R1, int16(layout.OffWake), bpf.DWord))
	b.Emit(
		bpf.Sub.Imm(bpf.R3, 1),
		bpf.Sub.Reg(bpf.R3, bpf.R4),
	)
	b.JumpIfReg(bpf.R3, bpf.JGE, need, awake)
	b.ring(record)
}
