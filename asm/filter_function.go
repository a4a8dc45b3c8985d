package asm

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// FilterStack is how many bytes of the stack a [FilterFunction] takes, at most. Linux has
// 512 for a program and the functions that it is in.
const FilterStack = 256

// FilterFunction is [FilterProgram] as a function that a program of the caller's calls: its
// instructions, to be appended to that program's, and the maps that they refer to, to be put
// among that program's. Its contract is that of BPF functions (Linux 4.16), and a little more:
//
//   - Its name is the symbol of its first instruction: asm.Call.Label(name) calls it.
//   - It takes the program's context in r1: an xdp_md or __sk_buff that nobody changed.
//   - It returns FilterConfig's Match or Otherwise in r0. r1 to r5 are gone, as after any call;
//     r6 to r9 are as they were. It takes [FilterStack] bytes of the stack at most.
//   - It reads the packet and changes nothing of it, nor moves it: pointers into the packet
//     that the caller has stay good, as far as the caller has compared them with its end.
//   - It jumps nowhere but to its own instructions, and calls helpers that look up maps or read
//     packets. It has no tail calls.
//   - All its other symbols, and its maps, are called as it is, with a dot behind: so several
//     of them go into a program.
//
// It bears BTF where FilterConfig.BTF says so: the kernel wants it of each function or of none.
func FilterFunction(name string, cfg FilterConfig) (bpf.Instructions, map[string]*ebpf.MapSpec, error) {
	insns, tables, err := filterFunction(name, cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("assemble filter function: %w", err)
	}
	return insns, tables, nil
}

func filterFunction(name string, cfg FilterConfig) (bpf.Instructions, map[string]*ebpf.MapSpec, error) {
	if name == "" {
		return nil, nil, errors.New("it has no name")
	}
	at, insns, tables, err := filterParts(cfg)
	if err != nil {
		return nil, nil, err
	}
	own := func(symbol string) string { return name + "." + symbol }
	for i, ins := range insns {
		if symbol := ins.Symbol(); symbol != "" {
			ins = ins.WithSymbol(own(symbol))
		}
		if reference := ins.Reference(); reference != "" {
			ins = ins.WithReference(own(reference))
		}
		if !cfg.BTF {
			ins = ins.WithSource(nil)
		}
		insns[i] = ins
	}
	insns[0] = insns[0].WithSymbol(name)
	if cfg.BTF {
		context := at.context()
		static := function(name, context)
		static.Linkage = btf.StaticFunc
		insns[0] = btf.WithFuncMetadata(insns[0], static).WithSource(bpf.Comment(context.Name))
	}
	owned := make(map[string]*ebpf.MapSpec, len(tables))
	for key, table := range tables {
		owned[own(key)] = table
	}
	return insns, owned, nil
}
