package asm

import (
	"maps"
	"unsafe"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// replay lists the fields of wire.Replay.
var replay = struct{ time, length, iface, verdict layout.RecordField }{
	time:    layout.RecordField{Name: "time", Offset: unsafe.Offsetof(wire.Replay{}.Time), Size: bpf.DWord},
	length:  layout.RecordField{Name: "length", Offset: unsafe.Offsetof(wire.Replay{}.Length), Size: bpf.Word},
	iface:   layout.RecordField{Name: "interface", Offset: unsafe.Offsetof(wire.Replay{}.Interface), Size: bpf.Word},
	verdict: layout.RecordField{Name: "verdict", Offset: unsafe.Offsetof(wire.Replay{}.Verdict), Size: bpf.Word},
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

// recorded is a place where no program stands: it is run on recorded packets
// (BPF_PROG_TEST_RUN), of which it is told what they do not say.
type recorded struct{ xdpSlot }

func newRecorded(cfg Config) place { return recorded{cfg.slot()} }

func (r recorded) maps() map[string]*ebpf.MapSpec {
	all := map[string]*ebpf.MapSpec{wire.ReplayMap: replayMap()}
	maps.Copy(all, r.xdpSlot.maps())
	return all
}

// Length implements [match.Place].
func (recorded) Length(b *assemble.Builder) { told(b, bpf.R0, replay.length) }

func (recorded) iface(b *builder, dst bpf.Register) { told(b.Builder, dst, replay.iface) }

func (recorded) time(b *builder, _ Clock) { told(b.Builder, bpf.R0, replay.time) }

// told leaves in a register what is said of a recorded packet.
func told(b *assemble.Builder, dst bpf.Register, f layout.RecordField) {
	b.Emit(bpf.LoadMapValue(dst, 0, 0).WithReference(wire.ReplayMap))
	b.Note("replay."+f.Name, bpf.LoadMem(dst, dst, int16(f.Offset), f.Size))
}

// decided jumps where the verdict of the filter on a recorded packet is known.
// The registers of the parser stay as they are.
func (b *builder) decided(matches, differs label) {
	told(b.Builder, bpf.R0, replay.verdict)
	b.JumpIf(bpf.R0, bpf.JEq, wire.Matches, matches)
	b.JumpIf(bpf.R0, bpf.JEq, wire.Differs, differs)
}
