// Package asm assembles the XDP program of xdplog: instruction by instruction,
// in Go. It is pure: it opens no file and needs no kernel.
//
// The program reports packets and lets every one of them pass unchanged.
package asm

import (
	"fmt"
	"maps"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

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
	insns, tables, err := instructions(cfg, way)
	if err != nil {
		return nil, fmt.Errorf("assemble program: %w", err)
	}
	// The notes beside instructions become BTF line info, which must begin
	// where the function does.
	insns[0] = btf.WithFuncMetadata(insns[0].WithSymbol(ProgramName), function()).WithSource(bpf.Comment("xdp_md"))
	program := cfg.place().spec()
	program.Name = ProgramName
	program.License = "Dual MIT/GPL" // bpf_perf_event_output is for GPL programs alone
	program.Instructions = insns
	specs := way.maps()
	specs[wire.CountersMap] = countersMap()
	if cfg.Replay {
		specs[wire.ReplayMap] = replayMap()
	}
	maps.Copy(specs, tables)
	return &ebpf.CollectionSpec{
		Maps:     specs,
		Programs: map[string]*ebpf.ProgramSpec{ProgramName: program},
	}, nil
}

// Places in the program.
const (
	ipv4Block  label = "ipv4"
	ipv6Block  label = "ipv6"
	walked     label = "extensions_walked"
	ports      label = "transport"
	fragment   label = "later_fragment"
	cutShort   label = "cut_short"
	notIP      label = "not_ip"
	parsed     label = "match"
	matched    label = "matched"
	sampledOut label = "sampled_out"
	lost       label = "lost"
	pass       label = "pass"
	untagged   label = "ether_type"
)

// instructions is the program: what is written here is its flow graph.
func instructions(cfg Config, way transport) (insns bpf.Instructions, tables map[string]*ebpf.MapSpec, err error) {
	wanted, err := cfg.filter()
	if err != nil {
		return nil, nil, err
	}
	b := newBuilder(cfg.place())
	b.prologue()
	way.begin(b)

	b.Roles(layout.ParseRoles())
	b.clearScalars()
	b.Emit(bpf.Mov.Imm(flags, 0))
	b.ethernet(notIP)
	b.vlan(0, untagged, untagged)
	b.vlan(1, untagged, untagged)

	b.Block(untagged)
	b.store(layout.Rec.EtherType, next)
	b.JumpIf(next, bpf.JEq, layout.EtherIPv4, ipv4Block)
	b.JumpIf(next, bpf.JEq, layout.EtherIPv6, ipv6Block)
	b.Jump(notIP)

	b.Block(ipv4Block)
	b.ipv4(fragment, notIP)
	b.Jump(ports)

	b.Block(ipv6Block)
	b.settle()
	b.ipv6(notIP)
	for range 8 {
		b.extension(walked, fragment, cutShort)
	}

	b.Block(walked)
	b.settle()

	b.Block(ports)
	b.transport(parsed, cutShort)
	b.Jump(parsed)

	b.Block(fragment)
	b.settle()
	b.Emit(bpf.Or.Imm(flags, int32(wire.FlagFragment)))
	b.Jump(parsed)

	b.Block(cutShort)
	b.settle()
	b.Emit(bpf.Or.Imm(flags, int32(wire.FlagCut)))
	b.Jump(parsed)

	b.Block(notIP)
	b.Emit(bpf.Mov.Imm(next, 0))
	b.clearAddresses()

	b.Block(parsed)
	b.decoded()
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
	b.sample(cfg.Sample, sampledOut)
	b.complete(cfg.Clock)
	way.submit(b, lost)
	b.count("captured", wire.OffCaptured)
	b.Jump(pass)

	if cfg.Sample.N > 1 {
		b.Block(sampledOut)
		b.count("sampled_out", wire.OffSampledOut)
		b.Jump(pass)
	}

	b.Block(lost)
	b.count("lost", wire.OffLost)

	b.Block(pass)
	b.Emit(
		bpf.Mov.Imm(bpf.R0, b.place.pass()),
		bpf.Return(),
	)
	insns, err = b.Program()
	return insns, tables, err
}

// prologue sets the registers that keep their role, and counts the packet.
func (b *builder) prologue() {
	b.Emit(bpf.Mov.Reg(ctx, bpf.R1))
	b.counters(pass)
	b.place.begin(b)
}
