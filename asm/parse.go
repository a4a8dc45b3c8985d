package asm

import (
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// parse decodes the packet into the record. What is written here is its flow graph.
func (b *builder) parse() {
	b.Roles(layout.ParseRoles())
	b.clearScalars()
	switch {
	case b.inner:
		b.beginOutside()
	case b.wide:
		b.clearOutside(bpf.R1) // as clearScalars leaves it
	}
	b.Emit(bpf.Mov.Imm(flags, 0))
	b.ethernet(notIP)
	second := b.Fresh("second_tag")
	a, beside := b.place.(asked)
	beside = beside && a.inPlace
	if beside {
		a.tagFirst(b, second)
	}
	b.vlan(0, untagged, untagged)
	if beside {
		b.Block(second)
	}
	b.vlan(1, untagged, untagged)

	b.Block(untagged)
	b.store(layout.Rec.EtherType, next)
	outer, done := headersOf(""), parsed
	if b.inner {
		done = tunnelled
	}
	b.JumpIf(next, bpf.JEq, layout.EtherIPv4, outer.ipv4)
	b.JumpIf(next, bpf.JEq, layout.EtherIPv6, outer.ipv6)
	b.Jump(notIP)

	b.network(outer, bounds{maxBefore, maxHeaders}, notIP, done)

	b.Block(notIP)
	b.Emit(bpf.Mov.Imm(next, 0))
	b.clearAddresses()
	if b.inner {
		b.Jump(parsed)
		b.tunnels()
	}

	b.Block(parsed)
	b.decoded()
}

// headers are the labels of a packet's headers from IP on, and of what becomes of them.
type headers struct{ ipv4, ipv6, walked, ports, fragment, cut label }

func headersOf(prefix label) headers {
	return headers{
		prefix + "ipv4", prefix + "ipv6", prefix + "extensions_walked", prefix + "transport",
		prefix + "later_fragment", prefix + "cut_short",
	}
}

// bounds are how far into the frame an IP header begins, at most, and what follows it.
type bounds struct{ network, transport int32 }

// network decodes from the IP header on. What is none goes to malformed, a packet whose ports
// may be read to done, and any other to parsed.
func (b *builder) network(h headers, most bounds, malformed, done label) {
	b.Block(h.ipv4)
	b.ipv4(h.fragment, malformed)
	b.Jump(h.ports)

	b.Block(h.ipv6)
	b.settle(most.network)
	b.ipv6(malformed)
	for range 8 {
		b.extension(h.walked, h.fragment, h.cut)
	}

	b.Block(h.walked)
	b.settle(most.transport)

	b.Block(h.ports)
	b.transport(done, h.cut)
	b.Jump(parsed)

	b.Block(h.fragment)
	b.settle(most.transport)
	b.Emit(bpf.Or.Imm(flags, int32(wire.FlagFragment)))
	b.Jump(parsed)

	b.Block(h.cut)
	b.settle(most.transport)
	b.Emit(bpf.Or.Imm(flags, int32(wire.FlagCut)))
	b.Jump(parsed)

	b.outOfReach()
}
