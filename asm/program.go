// Package asm assembles the XDP program of xdplog: instruction by instruction,
// in Go.
//
// A program that is compiled ahead can't know the filter, the transport and the
// sampling of the day: it would ask for each packet what is known before the
// first, or need a compiler where it runs. So [Program] makes the very program
// that a [Config] asks for, and its maps, as a value that cilium/ebpf loads. The
// packet is parsed straight into a wire.Record, the filter is asked as jumps over
// that record, and what costs most comes last.
//
// The records are for package reader, which sleeps where nothing comes and is woken
// by a doorbell. Any other reader needs [WakePoller], or it sees nothing; that of a
// shared ring does as wire.Ring says.
//
// What always holds: the program lets every packet pass unchanged, each one that
// it sees is counted as what became of it, and every byte of a record is
// written. [FilterProgram] is parser and filter alone, for programs of others. The package is pure: it opens no file and needs no kernel, and equal
// configs give equal programs.
package asm

import (
	"errors"
	"fmt"
	"maps"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/internal/match"
	"github.com/xdplog/xdplog/asm/wire"
)

// ProgramName is the program's name: in the spec's Programs, in the kernel, and
// of the function in its BTF.
const ProgramName = "xdplog"

// Program returns the program and its maps. The spec is the caller's own.
// Program itself fails only on a Config that makes no sense.
func Program(cfg Config) (*ebpf.CollectionSpec, error) {
	if err := cfg.Check(); err != nil {
		return nil, fmt.Errorf("assemble program: %w", err)
	}
	way, err := cfg.transport()
	if err != nil {
		return nil, fmt.Errorf("assemble program: %w", err)
	}
	spec, err := program(cfg, cfg.stands(), way)
	if err != nil {
		return nil, fmt.Errorf("assemble program: %w", err)
	}
	return spec, nil
}

// program is the programs of a config, each in its place, with their maps.
func program(cfg Config, stands []place, way transport) (*ebpf.CollectionSpec, error) {
	coll := &ebpf.CollectionSpec{Maps: way.maps(), Programs: make(map[string]*ebpf.ProgramSpec)}
	coll.Maps[wire.CountersMap] = countersMap(len(stands))
	coll.Maps[wire.ReaderMap] = readerMap(cfg.Buffer)
	told := coll.Maps[wire.ReaderMap]
	if cfg.Transport == Mmap && cfg.SnapLen > 0 && cfg.reports() {
		told.Contents = append(told.Contents, ebpf.MapKV{Key: wire.ReaderSnapLen, Value: uint64(cfg.leastBytes())})
	}
	if cfg.Keep {
		maps.Copy(coll.Maps, graceMaps())
		told.Contents = append(told.Contents, ebpf.MapKV{Key: wire.ReaderKeep, Value: uint64(1)})
	}
	if cfg.wide() {
		told.Contents = append(told.Contents, ebpf.MapKV{Key: wire.ReaderWide, Value: uint64(1)})
	}
	if cfg.Count != nil {
		maps.Copy(coll.Maps, cfg.Count.maps(cfg.CPUs))
		told.Contents = append(told.Contents, ebpf.MapKV{Key: wire.ReaderCount, Value: uint64(cfg.Count.By) + 1})
	}
	for slot, at := range stands {
		maps.Copy(coll.Maps, at.maps()) // the same of each kind
		insns, tables, err := instructions(cfg, at, way, uint8(slot))
		if errors.Is(err, assemble.ErrTooFar) { // nothing but a filter makes a program that long
			err = ErrTooLarge
		}
		err = rejection(err)
		if err != nil {
			return nil, err
		}
		maps.Copy(coll.Maps, tables) // the same for each
		coll.Programs[ProgramOf(slot)] = programSpec(at, ProgramName, insns)
	}
	return coll, nil
}

// programSpec is a program in its place. The notes beside instructions become BTF line
// info, which must begin where the function does.
func programSpec(at place, name string, insns bpf.Instructions) *ebpf.ProgramSpec {
	context := at.context()
	insns[0] = btf.WithFuncMetadata(insns[0].WithSymbol(name), function(name, context)).WithSource(bpf.Comment(context.Name))
	program := at.spec()
	program.Name = name
	program.License = "Dual MIT/GPL" // bpf_perf_event_output is for GPL programs alone
	program.Instructions = insns
	return program
}

// rejection is the one of several errors that says that a filter contradicts itself, where
// one does: the others are about what was not emitted because of it.
func rejection(err error) error {
	all, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	for _, one := range all.Unwrap() {
		if errors.Is(one, match.ErrRejectsAll) {
			return one
		}
	}
	return err
}

// ProgramOf is the key of a program in the spec's Programs, by the number that its
// records bear: see [Config.Interfaces]. That of the first is [ProgramName]. In the
// kernel all bear that name.
func ProgramOf(slot int) string {
	if slot == 0 {
		return ProgramName
	}
	return fmt.Sprintf("%s_%d", ProgramName, slot)
}

// readerMap is what a reader is told, and where it says that it is there.
func readerMap(buffer int) *ebpf.MapSpec {
	return &ebpf.MapSpec{
		Name:       wire.ReaderMap,
		Type:       ebpf.Hash,
		KeySize:    4,
		ValueSize:  8,
		MaxEntries: wire.ReaderKeys + 4 + MaxInterfaces,
		Contents:   []ebpf.MapKV{{Key: wire.ReaderBuffer, Value: uint64(buffer)}},
	}
}

// Labels of the program.
const (
	notIP      label = "not_ip"
	parsed     label = "match"
	matched    label = "matched"
	sampledOut label = "sampled_out"
	lost       label = "lost"
	pass       label = "pass"
	untagged   label = "ether_type"
)

// instructions is the program. Where tags may be beside packets it is made for such that
// are parsed where they lie, and made again if bytes of them are asked for.
func instructions(cfg Config, at place, way transport, slot uint8) (insns bpf.Instructions, tables map[string]*ebpf.MapSpec, err error) {
	if a, ok := at.(asked); ok && !cfg.Inner {
		first := a
		first.inPlace, first.looked = true, new(bool)
		if insns, tables, err = instructionsAt(cfg, first, way, slot); !*first.looked {
			return insns, tables, err
		}
	}
	return instructionsAt(cfg, at, way, slot)
}

// instructionsAt is the program in a place.
func instructionsAt(cfg Config, at place, way transport, slot uint8) (insns bpf.Instructions, tables map[string]*ebpf.MapSpec, err error) {
	wanted, err := cfg.Wanted()
	if err != nil {
		return nil, nil, err
	}
	b := newBuilder(at)
	b.slot, b.wide, b.hashes = slot, cfg.wide(), cfg.Hash
	b.prologue()
	way.begin(b)

	b.parse()
	if wanted != nil && cfg.Replay {
		b.decided(matched, pass)
	}
	if wanted != nil {
		tables = match.Compile(b.Builder, b.place, wanted, pass)
	}
	b.Roles(nil)

	if wanted != nil && cfg.Replay {
		b.Block(matched)
	}
	if cfg.Until != nil {
		more := b.until(cfg.Until)
		if tables == nil {
			tables = make(map[string]*ebpf.MapSpec)
		}
		maps.Copy(tables, more)
	}
	if cfg.Count != nil {
		b.complete(cfg.Clock)
		b.tally(*cfg.Count)
	}
	b.sample(cfg.Sample, sampledOut)
	if cfg.Count == nil {
		b.complete(cfg.Clock)
	}
	way.submit(b, lost)
	b.count("captured", layout.OffCaptured)
	b.countBytes("captured_bytes", layout.OffCapturedBytes)
	b.Jump(pass)

	if cfg.Sample.N > 1 {
		b.Block(sampledOut)
		if cfg.Count == nil {
			b.length()
		}
		b.count("sampled_out", layout.OffSampledOut)
		b.countBytes("sampled_out_bytes", layout.OffSampledOutBytes)
		b.Jump(pass)
	}

	if cfg.reports() {
		b.Block(lost)
		b.count("lost", layout.OffLost)
		b.countBytes("lost_bytes", layout.OffLostBytes)
	}

	b.Block(pass)
	b.Emit(
		bpf.Mov.Imm(bpf.R0, b.place.pass()),
		bpf.Return(),
	)
	b.outOfReach()
	insns, err = b.Program()
	return insns, tables, err
}

// prologue sets the registers that keep their role, and counts the packet.
func (b *builder) prologue() {
	b.Emit(bpf.Mov.Reg(ctx, bpf.R1))
	b.place.skip(b, pass)
	b.counters(pass)
	b.place.begin(b)
}
