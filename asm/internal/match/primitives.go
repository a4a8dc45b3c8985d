package match

import (
	"encoding/binary"

	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// flag asks whether one of the record's flags is set.
func (m *matcher) flag(f wire.Flags) step {
	return m.question(hasFlag(f))
}

// is asks whether a scalar of the record has a value.
func (m *matcher) is(f layout.RecordField, value uint32) step {
	return m.question(question{field: f, op: bpf.JEq, value: value})
}

func (m *matcher) question(q question) step {
	return func(sense bool, to assemble.Label) { m.ask(q, sense, to) }
}

// etherType: the TPIDs of the tags are in the frame, not in the record.
func (m *matcher) etherType(n filter.EtherType) step {
	behind := m.is(layout.Rec.EtherType, uint32(n.Value))
	if n.Value != layout.TPIDC && n.Value != layout.TPIDS {
		return behind
	}
	at := func(offset int) step {
		load := filter.Load{Layer: filter.EtherLayer, Offset: filter.Number(offset), Size: 2}
		there := m.comparison(filter.Equal, load, filter.Number(n.Value))
		if m.place.Inner() { // else it is no frame, and has no type there
			frame := m.question(question{field: layout.Outer.Payload, op: bpf.JEq, value: uint32(wire.IPPayload)})
			return m.all(m.not(frame), there)
		}
		return there
	}
	return m.anyOf(behind, at(int(layout.EtherType.Offset)), m.all(m.is(layout.Rec.Tags, 2), at(int(layout.EtherType.Offset)+layout.TagLen)))
}

func (m *matcher) vlanID(n filter.VLAN) step {
	tagged := m.question(question{field: layout.Rec.Tags, op: bpf.JNE})
	if n.Any {
		return tagged
	}
	outer := m.is(layout.Rec.OuterVLAN, uint32(n.ID))
	inner := m.all(m.is(layout.Rec.Tags, 2), m.is(layout.Rec.InnerVLAN, uint32(n.ID)))
	return m.all(tagged, m.anyOf(outer, inner))
}

// inTunnel asks the record's second half.
func (m *matcher) inTunnel(n filter.InTunnel) step {
	in := m.is(layout.Outer.Tunnel, uint32(n.Kind))
	if n.Any {
		return in
	}
	return m.all(in, m.is(layout.Outer.HasID, 1), m.is(layout.Outer.ID, n.ID))
}

// etherAddress compares six bytes: four and two.
func (m *matcher) etherAddress(n filter.EtherAddress) step {
	at := func(offset int16, there bool) step {
		return m.decide(func(yes, no assemble.Label) {
			if !there {
				m.ethernet()
				m.frameStart()
				m.reach(bpf.R1, int32(offset)+6, m.abort)
			}
			m.Emit(bpf.LoadMem(bpf.R0, bpf.R1, offset, bpf.Word))
			m.jumpOn(bpf.JNE.Imm32(bpf.R0, int32(binary.NativeEndian.Uint32(n.Address[:])), ""), no)
			m.Emit(bpf.LoadMem(bpf.R0, bpf.R1, offset+4, bpf.Half))
			m.jumpOn(bpf.JNE.Imm32(bpf.R0, int32(binary.NativeEndian.Uint16(n.Address[4:])), ""), no)
			m.goTo(yes)
		})
	}
	// Where the source is, the destination is too: it stands before it.
	return m.either(n.Direction, at(6, false), at(0, n.Direction != filter.Destination))
}

// either combines what is asked of the source and of the destination.
func (m *matcher) either(d filter.Direction, source, destination step) step {
	switch d {
	case filter.Source:
		return source
	case filter.Destination:
		return destination
	case filter.Both:
		return m.all(source, destination)
	default:
		return m.anyOf(source, destination)
	}
}

func (m *matcher) protocol(n filter.Proto) step {
	bears := m.is(layout.Rec.Protocol, uint32(n.Number))
	for _, ext := range layout.Extensions {
		if ext.Protocol == n.Number && n.Version != filter.IPv4 {
			bears = m.anyOf(bears, m.flag(ext.Flag))
		}
	}
	switch {
	case n.Version != filter.AnyIP:
		return m.all(m.flag(versionFlag(n.Version)), bears)
	case n.Number == 0: // also what the record of a frame says that is not IP
		return m.all(m.flag(wire.FlagIPv4|wire.FlagIPv6), bears)
	default:
		return bears
	}
}

func versionFlag(v filter.Version) wire.Flags {
	if v == filter.IPv6 {
		return wire.FlagIPv6
	}
	return wire.FlagIPv4
}

// network is a number as the host loads it from a packet.
func network(value uint32) uint32 {
	return binary.NativeEndian.Uint32(binary.BigEndian.AppendUint32(nil, value))
}

// always is a step that is true.
func (m *matcher) always(sense bool, to assemble.Label) {
	if sense {
		m.goTo(to)
	}
}
