package match

import (
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/layout"
)

// arp compares the addresses of an ARP or RARP packet, of which t has all the
// nets if it is not nil. An address that is cut off ends the filter when it is
// asked for, so that the first net is asked for alone: what it did not miss, the
// others won't.
func (m *matcher) arp(nets []filter.Net4, t *table) step {
	return m.decide(func(yes, no assemble.Label) {
		here := false // whether r1 points to the packet
		load := func(f layout.Field) {
			if m.known == nil {
				return
			}
			if !here {
				m.networkHeader()
			}
			here = t == nil // a look-up takes r1
			m.reach(bpf.R1, int32(f.Offset)+int32(f.Size.Sizeof()), m.short)
			m.Note(f.Name, bpf.LoadMem(bpf.R0, bpf.R1, f.Offset, f.Size))
		}
		switch nets[0].Direction {
		case filter.Source:
			load(layout.ARPSender)
			m.arpIn(nets, t, yes)
		case filter.Destination:
			load(layout.ARPTarget)
			m.arpIn(nets, t, yes)
		case filter.Both:
			for _, n := range nets {
				other := m.Fresh("other")
				load(layout.ARPSender)
				m.arpIs(n, false, other)
				load(layout.ARPTarget)
				m.arpIs(n, true, yes)
				m.land(other)
			}
		default:
			load(layout.ARPSender)
			m.arpIs(nets[0], true, yes)
			load(layout.ARPTarget)
			m.arpIn(nets, t, yes)
			if len(nets) > 1 {
				load(layout.ARPSender)
				m.arpIn(nets[1:], t, yes)
			}
		}
		m.goTo(no)
	})
}

// arpIn jumps if the address in r0 is in one of the nets.
func (m *matcher) arpIn(nets []filter.Net4, t *table, yes assemble.Label) {
	if t != nil && m.known != nil {
		m.Emit(bpf.StoreMem(stack, t.data(), bpf.R0, bpf.Word))
		m.find(t, true, yes)
		return
	}
	for _, n := range nets {
		m.arpIs(n, true, yes)
	}
}

// arpIs jumps if whether the address in r0 is in the net is as sense says.
func (m *matcher) arpIs(n filter.Net4, sense bool, to assemble.Label) {
	if m.known == nil {
		return
	}
	op, address := bpf.JEq, bpf.R0
	if !sense {
		op = bpf.JNE
	}
	if n.Mask != 0xffffffff {
		address = bpf.R2
		m.Emit(
			bpf.Mov.Reg(bpf.R2, bpf.R0),
			bpf.And.Imm32(bpf.R2, int32(network(n.Mask))),
		)
	}
	m.jumpOn(op.Imm32(address, int32(network(n.Address)), ""), to)
}
