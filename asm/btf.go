package asm

import "github.com/cilium/ebpf/btf"

// function is the BTF of the program's only function, by which other tools
// find it and attach to it (fentry, fexit): int xdplog(struct xdp_md *ctx), or
// with the context of another place.
func function(name string, context *btf.Struct) *btf.Func {
	return &btf.Func{
		Name:    name,
		Linkage: btf.GlobalFunc,
		Type: &btf.FuncProto{
			Return: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed},
			Params: []btf.FuncParam{{Name: "ctx", Type: &btf.Pointer{Target: context}}},
		},
	}
}

// contextOf is a struct of words.
func contextOf(name string, words ...string) *btf.Struct {
	u32 := &btf.Int{Name: "__u32", Size: 4, Encoding: btf.Unsigned}
	context := &btf.Struct{Name: name}
	for _, word := range words {
		context.Members = append(context.Members, btf.Member{Name: word, Type: u32, Offset: btf.Bits(8 * context.Size)})
		context.Size += u32.Size
	}
	return context
}
