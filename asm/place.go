package asm

import (
	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/xdplog/xdplog/asm/internal/match"
)

// place is all in which places differ where a program can stand: how a packet's
// bytes are had, and its length, and what the program returns.
type place interface {
	match.Place

	// spec is the program without its instructions, maps and name.
	spec() *ebpf.ProgramSpec

	// context is the BTF of what the program is given a pointer to.
	context() *btf.Struct

	// maps are what the place's code refers to by name.
	maps() map[string]*ebpf.MapSpec

	// begin leaves in header and end what of the packet can be read directly,
	// from the context, which is in ctx.
	begin(b *builder)

	// settle makes the verifier forget by which of many ways header got where it
	// is, so that it looks at what follows once and not once a way.
	settle(b *builder)

	// iface leaves in a register the index of the interface that the packet
	// belongs to.
	iface(b *builder, dst bpf.Register)

	// time leaves in r0 when the packet was seen, in ns, by a clock.
	time(b *builder, clock Clock)

	// pass is what the program returns: the packet goes on as if nobody had looked.
	pass() int32
}

// position names a place.
type position uint8

const (
	inXDPSlot position = iota
	nowhere            // see [Config.Replay]
)

// places are all there are. Another one is its own file, and a line here.
var places = [...]func(Config) place{
	inXDPSlot: newXDPSlot,
	nowhere:   newRecorded,
}

// place returns where the program of a config is to stand.
func (cfg Config) place() place {
	at := inXDPSlot
	if cfg.Replay {
		at = nowhere
	}
	return places[at](cfg)
}

func (b *builder) settle() { b.place.settle(b) }
