package asm

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/layout"
)

// Transport is the way of a record from the program to its reader. Each has a
// doorbell that is a ring buffer, so that all of them need Linux 5.8.
type Transport uint8

const (
	Perf    Transport = iota // a perf buffer per CPU
	Ringbuf                  // the kernel's ring buffer, one for all CPUs
	Mmap                     // a ring per CPU in shared memory (not on amd64: Linux 5.12)
)

// transports are all there are. Another one is its own file, and a line here.
var transports = [...]struct {
	name    string
	of      func(Config) (transport, error)
	snapLen int
}{
	Perf:    {"perf", newPerfBuffer, MaxSnapLen},
	Ringbuf: {"ringbuf", newRingBuffer, 0},
	Mmap:    {"mmap", newSharedRing, maxRingSnapLen},
}

// MaxSnapLen is the largest [Config.SnapLen] of a transport in bytes: 0 of one that
// carries no packet bytes.
func (t Transport) MaxSnapLen() int {
	if int(t) < len(transports) {
		return transports[t].snapLen
	}
	return 0
}

// String is the name that [ParseTransport] takes.
func (t Transport) String() string {
	if int(t) < len(transports) {
		return transports[t].name
	}
	return fmt.Sprintf("transport %d", uint8(t))
}

// ParseTransport returns the transport with a name: perf, ringbuf or mmap.
func ParseTransport(name string) (Transport, error) {
	var names []string
	for t, known := range transports {
		if name == known.name {
			return Transport(t), nil
		}
		names = append(names, known.name)
	}
	last := len(names) - 1
	return 0, fmt.Errorf("unknown transport %q: %s or %s", name, strings.Join(names[:last], ", "), names[last])
}

// Transports are all there are.
func Transports() []Transport {
	all := make([]Transport, len(transports))
	for t := range transports {
		all[t] = Transport(t)
	}
	return all
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

func (cfg Config) transport() (transport, error) {
	if int(cfg.Transport) >= len(transports) {
		return nil, fmt.Errorf("unknown %v", cfg.Transport)
	}
	if most := cfg.Transport.MaxSnapLen(); cfg.SnapLen > 0 && most == 0 {
		return nil, fmt.Errorf("transport %v carries no packet bytes, %v and %v do", cfg.Transport, Perf, Mmap)
	} else if cfg.SnapLen < 0 || cfg.SnapLen > most {
		return nil, fmt.Errorf("%d bytes of a packet to keep: at most %d", cfg.SnapLen, most)
	}
	if !cfg.reports() {
		return silent{}, nil
	}
	return transports[cfg.Transport].of(cfg)
}

// buffer is the size of each CPU's buffer, which may have at most so many bytes.
func (cfg Config) buffer(most int) (int, error) {
	buffer := cfg.Buffer
	if buffer == 0 {
		buffer = DefaultBuffer
	}
	if buffer < MinBuffer || buffer > most {
		return 0, fmt.Errorf("transport %v has buffers of %d to %d bytes per CPU, not of %d", cfg.Transport, MinBuffer, most, buffer)
	}
	return powerOfTwo(buffer), nil
}

// ownBuffer is the same of a transport whose buffers are maps of the program's.
func (cfg Config) ownBuffer(most int) (int, error) {
	if cfg.CPUs < 1 {
		return 0, fmt.Errorf("transport %v needs the number of possible CPUs", cfg.Transport)
	}
	return cfg.buffer(most)
}

// powerOfTwo rounds n up to a power of two.
func powerOfTwo(n int) int { return 1 << bits.Len(uint(n-1)) }

// onStack makes the record on the stack, for helpers that copy it.
func (b *builder) onStack() {
	slot := layout.RecordSlot
	if b.wide {
		slot = layout.WideRecordSlot
	}
	b.Emit(
		bpf.Mov.Reg(record, stack),
		bpf.Add.Imm(record, int32(slot)),
	)
}
