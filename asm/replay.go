package asm

import (
	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/wire"
)

// replay lists the fields of wire.Replay.
var replay = struct{ time, length, iface, verdict recordField }{
	time:    recordField{"time", wire.OffReplayTime, bpf.DWord},
	length:  recordField{"length", wire.OffReplayLength, bpf.Word},
	iface:   recordField{"interface", wire.OffReplayInterface, bpf.Word},
	verdict: recordField{"verdict", wire.OffReplayVerdict, bpf.Word},
}

// replayMap holds the wire.Replay of the packet that the program is run on.
func replayMap() *ebpf.MapSpec {
	return &ebpf.MapSpec{
		Name:       wire.ReplayMap,
		Type:       ebpf.Array,
		KeySize:    4,
		ValueSize:  uint32(wire.ReplaySize),
		MaxEntries: 1,
		Flags:      flagMmapable,
	}
}

// recorded leaves in a register what is said of a recorded packet.
func (b *builder) recorded(dst bpf.Register, f recordField) {
	b.emit(bpf.LoadMapValue(dst, 0, 0).WithReference(wire.ReplayMap))
	b.note("replay."+f.name, bpf.LoadMem(dst, dst, int16(f.offset), f.size))
}

// decided jumps where the verdict of the filter on a recorded packet is known.
// The registers of the parser stay as they are.
func (b *builder) decided(matches, differs label) {
	b.recorded(bpf.R0, replay.verdict)
	b.jumpIf(bpf.R0, bpf.JEq, wire.Matches, matches)
	b.jumpIf(bpf.R0, bpf.JEq, wire.Differs, differs)
}
