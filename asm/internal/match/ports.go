package match

import (
	"math"

	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// ports is true if the packet has one of the ports, which are of one protocol
// and direction, and where that is Both only one. It asks what the packet is
// once for all of them.
func (m *matcher) ports(list []filter.Port) step {
	bitmap := ""
	if len(list) >= LookupFrom {
		bitmap = m.portBitmap(list)
	}
	there := m.either(list[0].Direction, m.portIn(layout.Rec.SourcePort, list, bitmap), m.portIn(layout.Rec.DestinationPort, list, bitmap))
	// Without ports it is a later fragment, another protocol, or cut.
	isCut, cut := m.flag(wire.FlagCut), m.cutPort(list, bitmap)
	if list[0].Protocol != 0 {
		return m.all(m.is(layout.Rec.Protocol, uint32(list[0].Protocol)), m.choose(m.flag(wire.FlagPorts), there, m.all(isCut, cut)))
	}
	return m.choose(m.flag(wire.FlagPorts), there, m.all(isCut, m.bearsPorts(), cut))
}

// bearsPorts asks for a protocol that has ports.
func (m *matcher) bearsPorts() step {
	return m.anyOf(m.is(layout.Rec.Protocol, layout.ProtoTCP), m.is(layout.Rec.Protocol, layout.ProtoUDP), m.is(layout.Rec.Protocol, layout.ProtoSCTP))
}

// portIn asks whether a port of the record is in a list, or in its bitmap if
// there is one.
func (m *matcher) portIn(f layout.RecordField, list []filter.Port, bitmap string) step {
	if bitmap != "" {
		return m.decide(func(yes, no assemble.Label) {
			f.Load(m.Builder, bpf.R0)
			m.inBitmap(bitmap, yes, no)
		})
	}
	var steps []step
	for _, p := range list {
		low := m.question(question{field: f, op: bpf.JGE, value: uint32(p.Low)})
		high := m.question(question{field: f, op: bpf.JLE, value: uint32(p.High)})
		switch {
		case p.Low == p.High:
			steps = append(steps, m.is(f, uint32(p.Low)))
		case p.Low == 0:
			steps = append(steps, high)
		default:
			steps = append(steps, m.all(low, high))
		}
	}
	return m.anyOf(steps...)
}

// cutPort decides on a packet that ends before the fourth byte behind the IP
// header, which header still points to: the source port may be there. To ask
// for the destination port ends the filter.
func (m *matcher) cutPort(list []filter.Port, bitmap string) step {
	return m.decide(func(yes, no assemble.Label) {
		switch list[0].Direction {
		case filter.Destination:
			m.goTo(m.abort)
			return
		case filter.Either: // if it is not the first port, that one's destination is asked for next
			list, bitmap, no = list[:1], "", m.abort
		case filter.Both:
			yes = m.abort
		}
		if yes == no {
			m.goTo(no)
			return
		}
		m.reach(header, 2, m.abort)
		layout.SourcePort.Load(m.Builder, bpf.R0, header)
		if bitmap != "" {
			m.Emit(bpf.And.Imm(bpf.R0, math.MaxUint16)) // it is no more; older verifiers don't know
			m.inBitmap(bitmap, yes, no)
			return
		}
		for _, p := range list {
			if p.Low == p.High {
				m.jumpOn(bpf.JEq.Imm32(bpf.R0, int32(p.Low), ""), yes)
				continue
			}
			below := m.Fresh("below")
			m.jumpOn(bpf.JLT.Imm32(bpf.R0, int32(p.Low), ""), below)
			m.jumpOn(bpf.JLE.Imm32(bpf.R0, int32(p.High), ""), yes)
			m.land(below)
		}
		m.goTo(no)
	})
}

// inBitmap asks whether the bit of the port in r0 is set.
func (m *matcher) inBitmap(name string, yes, no assemble.Label) {
	m.Emit(
		bpf.Mov.Reg(bpf.R2, bpf.R0),
		bpf.RSh.Imm(bpf.R2, 3),
		bpf.LoadMapValue(bpf.R1, 0, 0).WithReference(name),
		bpf.Add.Reg(bpf.R1, bpf.R2),
		bpf.LoadMem(bpf.R1, bpf.R1, 0, bpf.Byte),
		bpf.And.Imm(bpf.R0, 7),
		bpf.RSh.Reg(bpf.R1, bpf.R0),
		bpf.And.Imm(bpf.R1, 1),
	)
	m.jumpOn(bpf.JNE.Imm(bpf.R1, 0, ""), yes)
	m.goTo(no)
}
