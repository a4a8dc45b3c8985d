package asm

import (
	"fmt"
	"math/bits"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/wire"
)

// Transport is the way of a record from the program to its reader. Each has a
// doorbell that is a ring buffer, so that all of them need Linux 5.8.
type Transport uint8

const (
	Perf    Transport = iota // a perf buffer per CPU
	Ringbuf                  // the kernel's ring buffer, one for all CPUs
	Mmap                     // a ring per CPU in shared memory (not on amd64: Linux 5.12)
)

var transportNames = [...]string{Perf: "perf", Ringbuf: "ringbuf", Mmap: "mmap"}

// String is the name that [ParseTransport] takes.
func (t Transport) String() string {
	if int(t) < len(transportNames) {
		return transportNames[t]
	}
	return fmt.Sprintf("transport %d", uint8(t))
}

// ParseTransport returns the transport with a name: perf, ringbuf or mmap.
func ParseTransport(name string) (Transport, error) {
	for t, known := range transportNames {
		if name == known {
			return Transport(t), nil
		}
	}
	return 0, fmt.Errorf("unknown transport %q: perf, ringbuf or mmap", name)
}

// transport is all in which the transports differ on the kernel's side.
type transport interface {
	// maps are what the code below refers to by name.
	maps() map[string]*ebpf.MapSpec

	// begin leaves in record where the record is to be made. It runs before
	// the packet is parsed, and may call helpers.
	begin(b *builder)

	// submit hands over the record, or goes to lost.
	submit(b *builder, lost label)
}

// Places on the stack, in bytes from its top.
const (
	recordSlot   = -int16(wire.RecordSize)
	countersSlot = recordSlot - 8   // pointer to this CPU's wire.Counters
	ringSlot     = countersSlot - 8 // mmap: pointer to this CPU's wire.Ring
	filterSlot   = ringSlot         // what is below is the filter's
)

func (cfg Config) transport() (transport, error) {
	if cfg.SnapLen < 0 {
		return nil, fmt.Errorf("packet bytes to keep: %d", cfg.SnapLen)
	}
	if cfg.Transport == Perf {
		return perfBuffer{snapLen: unpadded(cfg.SnapLen)}, nil
	}
	if cfg.SnapLen > 0 {
		return nil, fmt.Errorf("transport %v carries no packet bytes, %v does", cfg.Transport, Perf)
	}
	buffer := cfg.Buffer
	if buffer == 0 {
		buffer = DefaultBuffer
	}
	if cfg.CPUs < 1 {
		return nil, fmt.Errorf("transport %v needs the number of possible CPUs", cfg.Transport)
	}
	most := MaxBuffer
	if cfg.Transport == Mmap {
		most = maxRing
	}
	if buffer < MinBuffer || buffer > most {
		return nil, fmt.Errorf("transport %v has buffers of %d to %d bytes per CPU, not of %d", cfg.Transport, MinBuffer, most, buffer)
	}
	switch cfg.Transport {
	case Ringbuf:
		size := uint64(powerOfTwo(buffer)) * uint64(powerOfTwo(cfg.CPUs))
		if size > MaxBuffer && cfg.Buffer != 0 {
			return nil, fmt.Errorf("transport %v has one buffer of at most %d bytes for all CPUs, not %d for each of %d", cfg.Transport, MaxBuffer, buffer, cfg.CPUs)
		}
		return ringBuffer{size: min(size, MaxBuffer), cpus: cfg.CPUs}, nil
	case Mmap:
		return sharedRing{slots: powerOfTwo(buffer) / wire.RecordSize, cpus: cfg.CPUs}, nil
	}
	return nil, fmt.Errorf("unknown %v", cfg.Transport)
}

// powerOfTwo rounds n up to a power of two.
func powerOfTwo(n int) int { return 1 << bits.Len(uint(n-1)) }

// onStack makes the record on the stack, for helpers that copy it.
func (b *builder) onStack() {
	b.emit(
		bpf.Mov.Reg(record, stack),
		bpf.Add.Imm(record, int32(recordSlot)),
	)
}
