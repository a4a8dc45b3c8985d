package asm

import (
	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/wire"
)

// The doorbell wakes a reader that sleeps without end because nothing came for
// a while: a ring buffer of its own, as a perf buffer can't be told to wake its
// reader for one record. It is rung only when the reader has said that it
// sleeps, and once for each time that it said so.

// doorbellSize is the smallest ring buffer: a page, of whatever size it is.
const doorbellSize = 64 << 10

// asleepSize is the size of the word by which the reader says that it sleeps.
const asleepSize = 8

func doorbellMap() *ebpf.MapSpec {
	return &ebpf.MapSpec{Name: wire.DoorbellMap, Type: ebpf.RingBuf, MaxEntries: doorbellSize}
}

func asleepMap() *ebpf.MapSpec {
	return &ebpf.MapSpec{Name: wire.AsleepMap, Type: ebpf.Array, KeySize: 4, ValueSize: asleepSize, MaxEntries: 1}
}

// addWaking adds the maps by which a sleeping reader is woken, if that is who.
func (w Wake) addWaking(specs map[string]*ebpf.MapSpec) map[string]*ebpf.MapSpec {
	if w == WakeReader {
		specs[wire.AsleepMap], specs[wire.DoorbellMap] = asleepMap(), doorbellMap()
	}
	return specs
}

// wakeSleeper rings the doorbell if the reader says that it sleeps, and takes
// the word back, so that the next record does not ring again. Of two CPUs that
// do so at once both ring, which does no harm.
func (b *builder) wakeSleeper() {
	awake := b.Fresh("awake")
	b.Emit(bpf.LoadMapValue(bpf.R1, 0, 0).WithReference(wire.AsleepMap))
	b.Note("asleep", bpf.LoadMem(bpf.R2, bpf.R1, 0, bpf.DWord))
	b.JumpIf(bpf.R2, bpf.JEq, 0, awake)
	b.Emit(bpf.Mov.Imm(bpf.R2, 0))
	b.Note("asleep", bpf.StoreMem(bpf.R1, 0, bpf.R2, bpf.DWord))
	b.ring(bpf.R1)
	b.Block(awake)
}

// ring rings the doorbell, with 8 bytes from a place in memory: they say nothing.
func (b *builder) ring(from bpf.Register) {
	b.Emit(
		bpf.Mov.Reg(bpf.R2, from),
		bpf.LoadMapPtr(bpf.R1, 0).WithReference(wire.DoorbellMap),
		bpf.Mov.Imm(bpf.R3, 8),
		bpf.Mov.Imm(bpf.R4, ringbufForceWakeup),
		bpf.FnRingbufOutput.Call(),
	)
}
