package asm

import (
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/layout"
)

// headerless is tc on an interface whose packets begin with their IP header, as those
// of tunnels do. The copy of such a packet gets an Ethernet header with its type alone:
// so the parser and the filter see what they know. Its length, and its bytes where they
// are reported, are the packet's own.
type headerless struct{ trafficControl }

// skbProtocol is the EtherType, in network order.
var skbProtocol = layout.Field{Name: "__sk_buff.protocol", Offset: 16, Size: bpf.Word}

// begin copies the packet's beginning; it is also where the program goes on from
// copyAll, once.
func (h headerless) begin(b *builder) {
	b.copying(h.most())
	b.findCopy()
	skbLen.LoadRaw(b.Builder, record, ctx)
	b.atMost(h.most(), 1)
	b.Emit(bpf.Mov.Reg(header, end))

	b.Emit(bpf.Mov.Imm(bpf.R1, 0))
	for offset := int16(0); offset < layout.EtherType.Offset; offset += 2 {
		b.Emit(bpf.StoreMem(header, offset, bpf.R1, bpf.Half))
	}
	skbProtocol.LoadRaw(b.Builder, bpf.R1, ctx)
	b.Note(layout.EtherType.Name, bpf.StoreMem(header, layout.EtherType.Offset, bpf.R1, bpf.Half))
	b.loadBytes(0, layout.EtherLen, func() { b.Emit(bpf.Mov.Reg(bpf.R4, record)) })
	b.Emit(
		bpf.Add.Reg(end, record),
		bpf.Add.Imm(end, layout.EtherLen),
	)
	b.Jump(parse)

	b.Block(parse)
}

// Length implements [match.Place]: no tag is beside such a packet.
func (headerless) Length(b *assemble.Builder) { skbLen.LoadRaw(b, bpf.R0, ctx) }

func (h headerless) fate(b *builder) { h.fateBehind(b, layout.EtherLen) }

// Further implements [match.Place].
func (h headerless) Further(b *assemble.Builder, otherwise assemble.Label) {
	h.notYet(b, otherwise)
	b.Jump(copyAll)
}

// Copy implements [match.Place]. What is before the packet is never asked for: it is in
// the copy.
func (h headerless) Copy(b *assemble.Builder, slot int16, size int32) {
	b.Emit(bpf.Sub.Imm(bpf.R0, layout.EtherLen))
	h.trafficControl.Copy(b, slot, size)
}
