package asm

import (
	"errors"
	"fmt"
	"maps"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/match"
)

// FilterProgramName is the name of a [FilterProgram]: in the spec's Programs and in the
// kernel.
const FilterProgramName = "filter"

// FilterConfig says what a [FilterProgram] asks, and what it returns.
type FilterConfig struct {
	// Filter is asked. There is no default.
	Filter *filter.Filter

	// Place is [XDP], [TCIngress], [TCEgress] or [Socket]. Default: XDP.
	Place Place

	// Match is returned for packets that match, and Otherwise for all others: of
	// XDP_DROP, XDP_PASS and so on (linux/bpf.h), TC_ACT_OK, TC_ACT_SHOT and so on
	// (linux/pkt_cls.h), or for a socket how many bytes it receives, 0 and -1, which is all.
	// They must differ.
	Match, Otherwise int32

	// BTF says of a [FilterFunction] that it is for a program whose functions have BTF, as
	// those have that clang -g compiles. A program always has it.
	BTF bool

	// NoFrags and FirstBuffer are those of [Config].
	NoFrags, FirstBuffer bool
}

// FilterProgram returns a program that decides on packets and does nothing else, and the
// maps that it looks things up in: the parser and the filter of [Program], with a return
// value that is the caller's. It reports and counts nothing, writes nothing to packets,
// and returns in all cases. To attach it is the caller's, too: package loader is for
// programs that let everything pass.
//
// A filter that matches no packet is [ErrRejectsAll], one that is too large for a program
// [ErrTooLarge].
func FilterProgram(cfg FilterConfig) (*ebpf.CollectionSpec, error) {
	spec, err := filterProgram(cfg)
	if err != nil {
		return nil, fmt.Errorf("assemble filter program: %w", err)
	}
	return spec, nil
}

func filterProgram(cfg FilterConfig) (*ebpf.CollectionSpec, error) {
	at, insns, tables, err := filterParts(cfg)
	if err != nil {
		return nil, err
	}
	return &ebpf.CollectionSpec{
		Maps:     tables,
		Programs: map[string]*ebpf.ProgramSpec{FilterProgramName: programSpec(at, FilterProgramName, insns)},
	}, nil
}

// filterParts are what programs and functions are made of.
func filterParts(cfg FilterConfig) (at place, insns bpf.Instructions, all map[string]*ebpf.MapSpec, err error) {
	switch {
	case cfg.Place != XDP && cfg.Place != TCIngress && cfg.Place != TCEgress && cfg.Place != Socket:
		return nil, nil, nil, fmt.Errorf("nobody is asked for a verdict at %v", cfg.Place)
	case cfg.Match == cfg.Otherwise:
		return nil, nil, nil, errors.New("what it returns for packets that match, and for others, is the same")
	}
	if err := cfg.Filter.Check(); err != nil {
		return nil, nil, nil, err
	}
	if filter.AsksTunnel(cfg.Filter.Root) {
		return nil, nil, nil, filter.ErrNoTunnels
	}
	at = places[cfg.Place].of(Config{NoFrags: cfg.NoFrags, FirstBuffer: cfg.FirstBuffer})
	insns, tables, err := filterInstructions(cfg, at)
	if errors.Is(err, assemble.ErrTooFar) {
		err = ErrTooLarge
	}
	if err != nil {
		return nil, nil, nil, err
	}
	all = make(map[string]*ebpf.MapSpec)
	maps.Copy(all, at.maps())
	maps.Copy(all, tables)
	return at, insns, all, nil
}

func filterInstructions(cfg FilterConfig, at place) (insns bpf.Instructions, tables map[string]*ebpf.MapSpec, err error) {
	b := newBuilder(at)
	b.Emit(bpf.Mov.Reg(ctx, bpf.R1))
	b.place.skip(b, pass)
	b.place.begin(b)
	b.onStack()
	b.parse()
	tables = match.Compile(b.Builder, b.place, cfg.Filter, pass)
	b.Roles(nil)
	b.Emit(
		bpf.Mov.Imm(bpf.R0, cfg.Match),
		bpf.Return(),
	)
	if b.JumpsTo(pass) { // else all packets match
		b.Block(pass)
		b.Emit(
			bpf.Mov.Imm(bpf.R0, cfg.Otherwise),
			bpf.Return(),
		)
	}
	insns, err = b.Program()
	return insns, tables, err
}
