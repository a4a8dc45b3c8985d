package asm

import (
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/filter"
)

// EtherTypes of the protocols that carry IPv4 addresses beside IPv4.
const (
	etherARP  = 0x0806
	etherRARP = 0x8035
)

// Addresses in an ARP or RARP packet, RFC 826, of Ethernet and IPv4. They stay
// in network byte order.
var (
	arpSender = field{"arp.sender", 14, bpf.Word}
	arpTarget = field{"arp.target", 24, bpf.Word}
)

// arp compares the addresses of an ARP or RARP packet, of which t has all the
// nets if it is not nil. An address that is cut off ends the filter when it is
// asked for, so that the first net is asked for alone: what it did not miss, the
// others won't.
func (m *matcher) arp(nets []filter.Net4, t *table) step {
	return m.decide(func(yes, no label) {
		here := false // whether r1 points to the packet
		load := func(f field) {
			if m.known == nil {
				return
			}
			if !here {
				m.networkHeader()
			}
			here = t == nil // a look-up takes r1
			m.reach(bpf.R1, int32(f.offset)+int32(f.size.Sizeof()), m.abort)
			m.note(f.name, bpf.LoadMem(bpf.R0, bpf.R1, f.offset, f.size))
		}
		switch nets[0].Direction {
		case filter.Source:
			load(arpSender)
			m.arpIn(nets, t, yes)
		case filter.Destination:
			load(arpTarget)
			m.arpIn(nets, t, yes)
		case filter.Both:
			for _, n := range nets {
				other := m.fresh("other")
				load(arpSender)
				m.arpIs(n, false, other)
				load(arpTarget)
				m.arpIs(n, true, yes)
				m.land(other)
			}
		default:
			load(arpSender)
			m.arpIs(nets[0], true, yes)
			load(arpTarget)
			m.arpIn(nets, t, yes)
			if len(nets) > 1 {
				load(arpSender)
				m.arpIn(nets[1:], t, yes)
			}
		}
		m.goTo(no)
	})
}

// arpIn jumps if the address in r0 is in one of the nets.
func (m *matcher) arpIn(nets []filter.Net4, t *table, yes label) {
	if t != nil && m.known != nil {
		m.emit(bpf.StoreMem(stack, t.data(), bpf.R0, bpf.Word))
		m.find(t, true, yes)
		return
	}
	for _, n := range nets {
		m.arpIs(n, true, yes)
	}
}

// arpIs jumps if whether the address in r0 is in the net is as sense says.
func (m *matcher) arpIs(n filter.Net4, sense bool, to label) {
	if m.known == nil {
		return
	}
	op, address := bpf.JEq, bpf.R0
	if !sense {
		op = bpf.JNE
	}
	if n.Mask != 0xffffffff {
		address = bpf.R2
		m.emit(
			bpf.Mov.Reg(bpf.R2, bpf.R0),
			bpf.And.Imm32(bpf.R2, int32(network(n.Mask))),
		)
	}
	m.jumpOn(op.Imm32(address, int32(network(n.Address)), ""), to)
}
