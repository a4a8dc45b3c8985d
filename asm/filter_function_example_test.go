package asm_test

import (
	"log"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/filter"
)

// A program of one's own for XDP that counts what a filter matches, and lets all pass.
func ExampleFilterFunction() {
	const xdpPass = 2
	f, err := filter.Parse("udp port 53")
	if err != nil {
		log.Fatal(err)
	}
	function, maps, err := asm.FilterFunction("is_dns", asm.FilterConfig{Filter: f, Match: 1})
	if err != nil {
		log.Fatal(err)
	}
	maps["count"] = &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}
	program := bpf.Instructions{
		bpf.Call.Label("is_dns"), // r1 is the context still
		bpf.JEq.Imm(bpf.R0, 0, "pass"),
		bpf.StoreImm(bpf.R10, -4, 0, bpf.Word),
		bpf.Mov.Reg(bpf.R2, bpf.R10),
		bpf.Add.Imm(bpf.R2, -4),
		bpf.LoadMapPtr(bpf.R1, 0).WithReference("count"),
		bpf.FnMapLookupElem.Call(),
		bpf.JEq.Imm(bpf.R0, 0, "pass"),
		bpf.Mov.Imm(bpf.R1, 1),
		bpf.AddAtomic.Mem(bpf.R0, bpf.R1, bpf.DWord, 0),
		bpf.Mov.Imm(bpf.R0, xdpPass).WithSymbol("pass"),
		bpf.Return(),
	}
	collection, err := ebpf.NewCollection(&ebpf.CollectionSpec{
		Maps: maps,
		Programs: map[string]*ebpf.ProgramSpec{
			"count_dns": {Type: ebpf.XDP, Instructions: append(program, function...), License: "MIT"},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer collection.Close()
}

// A packet socket's filter, by SO_ATTACH_BPF, for example with link.AttachSocketFilter.
func ExampleFilterProgram_socket() {
	f, err := filter.Parse("tcp port 443 and not vlan 10")
	if err != nil {
		log.Fatal(err)
	}
	spec, err := asm.FilterProgram(asm.FilterConfig{Filter: f, Place: asm.Socket, Match: -1}) // all bytes, or none
	if err != nil {
		log.Fatal(err)
	}
	collection, err := ebpf.NewCollection(spec)
	if err != nil {
		log.Fatal(err)
	}
	defer collection.Close()
}
