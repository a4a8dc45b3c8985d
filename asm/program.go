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

	"github.com/xdplog/xdplog/asm/wire"
)

// ProgramName is the program's name: in the spec's Programs, in the kernel, and
// of the function in its BTF.
const ProgramName = "xdplog"

// flagHasFrags is BPF_F_XDP_HAS_FRAGS (linux/bpf.h, 5.18).
const flagHasFrags = 1 << 5

// xdpPass is XDP_PASS (linux/bpf.h): the packet goes on as if nobody had looked.
const xdpPass = 2

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
	program := &ebpf.ProgramSpec{
		Name:         ProgramName,
		Type:         ebpf.XDP,
		SectionName:  "xdp",
		License:      "Dual MIT/GPL", // bpf_perf_event_output is for GPL programs alone
		Instructions: insns,
	}
	if !cfg.NoFrags {
		program.Flags |= flagHasFrags
	}
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
	match      label = "match"
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
	b := newBuilder()
	b.replay = cfg.Replay
	b.prologue()
	way.begin(b)

	b.names = &parseRoles
	b.clearScalars()
	b.emit(bpf.Mov.Imm(flags, 0))
	b.ethernet(notIP)
	b.vlan(0, untagged, untagged)
	b.vlan(1, untagged, untagged)

	b.block(untagged)
	b.store(rec.etherType, next)
	b.jumpIf(next, bpf.JEq, etherIPv4, ipv4Block)
	b.jumpIf(next, bpf.JEq, etherIPv6, ipv6Block)
	b.jump(notIP)

	b.block(ipv4Block)
	b.ipv4(fragment, notIP)
	b.jump(ports)

	b.block(ipv6Block)
	b.settle()
	b.ipv6(notIP)
	for range 8 {
		b.extension(walked, fragment, cutShort)
	}

	b.block(walked)
	b.settle()

	b.block(ports)
	b.transport(match, cutShort)
	b.jump(match)

	b.block(fragment)
	b.settle()
	b.emit(bpf.Or.Imm(flags, int32(wire.FlagFragment)))
	b.jump(match)

	b.block(cutShort)
	b.settle()
	b.emit(bpf.Or.Imm(flags, int32(wire.FlagCut)))
	b.jump(match)

	b.block(notIP)
	b.emit(bpf.Mov.Imm(next, 0))
	b.clearAddresses()

	b.block(match)
	b.decoded()
	if wanted != nil && cfg.Replay {
		b.decided(matched, pass)
	}
	if wanted != nil {
		tables = b.compile(wanted, !cfg.NoFrags, pass)
	}
	b.names = nil

	if wanted != nil && cfg.Replay {
		b.block(matched)
	}
	b.sample(cfg.Sample, sampledOut)
	b.complete(cfg.Clock, !cfg.NoFrags)
	way.submit(b, lost)
	b.count("captured", wire.OffCaptured)
	b.jump(pass)

	if cfg.Sample.N > 1 {
		b.block(sampledOut)
		b.count("sampled_out", wire.OffSampledOut)
		b.jump(pass)
	}

	b.block(lost)
	b.count("lost", wire.OffLost)

	b.block(pass)
	b.emit(
		bpf.Mov.Imm(bpf.R0, xdpPass),
		bpf.Return(),
	)
	insns, err = b.program()
	return insns, tables, err
}

// prologue sets the registers that keep their role, and counts the packet.
func (b *builder) prologue() {
	b.emit(bpf.Mov.Reg(ctx, bpf.R1))
	b.counters(pass)
	b.loadContext(header, mdData)
	b.loadContext(end, mdDataEnd)
}
