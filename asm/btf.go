package asm

import "github.com/cilium/ebpf/btf"

// function is the BTF of the program's only function, by which other tools
// find it and attach to it (fentry, fexit): int xdplog(struct xdp_md *ctx).
func function() *btf.Func {
	u32 := &btf.Int{Name: "__u32", Size: 4, Encoding: btf.Unsigned}
	md := &btf.Struct{Name: "xdp_md"} // linux/bpf.h
	for _, name := range []string{
		"data", "data_end", "data_meta", "ingress_ifindex", "rx_queue_index", "egress_ifindex",
	} {
		md.Members = append(md.Members, btf.Member{Name: name, Type: u32, Offset: btf.Bits(8 * md.Size)})
		md.Size += u32.Size
	}
	return &btf.Func{
		Name:    ProgramName,
		Linkage: btf.GlobalFunc,
		Type: &btf.FuncProto{
			Return: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed},
			Params: []btf.FuncParam{{Name: "ctx", Type: &btf.Pointer{Target: md}}},
		},
	}
}
