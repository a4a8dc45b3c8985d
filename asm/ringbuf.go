package asm

import (
	"fmt"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/wire"
)

// ringBuffer makes the record in a reserved place of the ring buffer that all
// CPUs share. The record is on the stack until it is known that it is wanted:
// a reservation takes the ring's lock, which the others should not pay for.
type ringBuffer struct {
	size uint64 // bytes
	cpus int    // that may reserve records at the same time
	wake Wake
}

func newRingBuffer(cfg Config) (transport, error) {
	buffer, err := cfg.ownBuffer(MaxBuffer)
	if err != nil {
		return nil, err
	}
	size := uint64(buffer) * uint64(powerOfTwo(cfg.CPUs))
	if size > MaxBuffer && cfg.Buffer != 0 {
		return nil, fmt.Errorf("transport %v has one buffer of at most %d bytes for all CPUs, not %d for each of %d", cfg.Transport, MaxBuffer, cfg.Buffer, cfg.CPUs)
	}
	return ringBuffer{size: min(size, MaxBuffer), cpus: cfg.CPUs, wake: cfg.Wake}, nil
}

// Flags of linux/bpf.h.
const (
	ringbufAdaptive    = 0 // a wake-up for the record that the reader waits for
	ringbufNoWakeup    = 1 // BPF_RB_NO_WAKEUP
	ringbufForceWakeup = 2 // BPF_RB_FORCE_WAKEUP
	ringbufAvailable   = 0 // BPF_RB_AVAIL_DATA
)

func (r ringBuffer) maps() map[string]*ebpf.MapSpec {
	return r.wake.addWaking(map[string]*ebpf.MapSpec{
		wire.EventsMap: {Name: wire.EventsMap, Type: ebpf.RingBuf, MaxEntries: uint32(r.size)},
	})
}

func (ringBuffer) begin(b *builder) { b.onStack() }

func (r ringBuffer) submit(b *builder, lost label) {
	b.Emit(
		bpf.LoadMapPtr(bpf.R1, 0).WithReference(wire.EventsMap),
		bpf.Mov.Imm(bpf.R2, int32(b.recordSize())),
		bpf.Mov.Imm(bpf.R3, 0),
		bpf.FnRingbufReserve.Call(),
	)
	b.JumpIf(bpf.R0, bpf.JEq, 0, lost)
	for i := int16(0); i < int16(b.recordSize()); i += 8 {
		b.Emit(
			bpf.LoadMem(bpf.R1, record, i, bpf.DWord),
			bpf.StoreMem(bpf.R0, i, bpf.R1, bpf.DWord),
		)
	}

	if r.wake == WakePoller {
		b.Emit(
			bpf.Mov.Reg(bpf.R1, bpf.R0),
			bpf.Mov.Imm(bpf.R2, ringbufAdaptive),
			bpf.FnRingbufSubmit.Call(),
		)
		return
	}
	// A wake-up for the record that crosses the mark. Other CPUs may reserve
	// theirs before this one asks how much there is: so as many records count
	// as crossing it as there are CPUs, lest none does.
	wake := b.Fresh("wake")
	mark := r.size / wire.WakeFraction
	b.Emit(
		bpf.Mov.Reg(record, bpf.R0),
		bpf.LoadMapPtr(bpf.R1, 0).WithReference(wire.EventsMap),
		bpf.Mov.Imm(bpf.R2, ringbufAvailable),
		bpf.FnRingbufQuery.Call(),
		bpf.Mov.Imm(bpf.R2, ringbufForceWakeup),
		bpf.Sub.Imm(bpf.R0, int32(mark)),
	)
	b.JumpIf(bpf.R0, bpf.JLT, int32(r.cpus*(b.recordSize()+wire.RingbufHeader)), wake)
	b.Emit(bpf.Mov.Imm(bpf.R2, ringbufNoWakeup))
	b.Block(wake)
	b.Emit(
		bpf.Mov.Reg(bpf.R1, record),
		bpf.FnRingbufSubmit.Call(),
	)
	b.wakeSleeper()
}
