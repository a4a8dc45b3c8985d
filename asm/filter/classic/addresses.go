package classic

import (
	"encoding/binary"

	"golang.org/x/net/bpf"

	"github.com/xdplog/xdplog/asm/filter"
)

// hasAddresses4 asks whether a packet is one of the scope's.
func (m *matcher) hasAddresses4(scope filter.Scope) step {
	switch {
	case m.kind == ipv4:
		return m.always(scope == filter.AnyScope || scope == filter.IPScope)
	case m.kind != arp || scope == filter.IPScope:
		return m.always(false)
	case scope == filter.ARPScope:
		return m.isType(typeARP)
	case scope == filter.RARPScope:
		return m.isType(typeRARP)
	}
	return m.always(true)
}

// addresses4 is where they are, behind the tags.
func (m *matcher) addresses4() (source, destination uint32) {
	if m.kind == arp {
		return 14, 24
	}
	return 12, 16
}

// net4 compares addresses of a packet that has them.
func (m *matcher) net4(n filter.Net4) step {
	in := func(offset uint32) step {
		return m.is(func() {
			m.load(network, offset, 4)
			m.mask(n.Mask)
		}, bpf.JumpEqual, n.Address)
	}
	source, destination := m.addresses4()
	return m.either(n.Direction, in(source), in(destination))
}

// net6 compares as many words of a header's addresses as the prefix is long.
func (m *matcher) net6(n filter.Net6) step {
	address := n.Prefix.Masked().Addr().As16()
	in := func(header uint32) step {
		var words []step
		for at, bits := uint32(0), n.Prefix.Bits(); bits > 0; at, bits = at+4, bits-32 {
			words = append(words, m.is(func() {
				m.load(network, header+at, 4)
				m.mask(allBits << max(0, 32-bits))
			}, bpf.JumpEqual, binary.BigEndian.Uint32(address[at:])))
		}
		return m.all(words...)
	}
	return m.either(n.Direction, in(8), in(24))
}

const (
	protoTCP  = 6
	protoUDP  = 17
	protoSCTP = 132
)

// hasPorts asks whether the packet has ports of a protocol, 0 for any of the three,
// unless they are cut off.
func (m *matcher) hasPorts(number uint8) step {
	is := func(number uint8) step { return m.isProtocol(filter.Proto{Number: number}) }
	switch number {
	case 0:
		return m.all(m.anyOf(is(protoTCP), is(protoUDP), is(protoSCTP)), m.first())
	case protoTCP, protoUDP, protoSCTP:
		return m.all(is(number), m.first())
	}
	return m.always(false) // a tree that was made by hand
}

// port compares ports of a packet that has them.
func (m *matcher) port(n filter.Port) step {
	in := func(offset uint32) step {
		load := func() { m.load(transport, offset, 2) }
		if n.Low == n.High {
			return m.is(load, bpf.JumpEqual, uint32(n.Low))
		}
		return m.all(
			m.is(load, bpf.JumpGreaterOrEqual, uint32(n.Low)),
			m.is(load, bpf.JumpLessOrEqual, uint32(n.High)),
		)
	}
	return m.either(n.Direction, in(0), in(2))
}

// rows is true if the packet is in one of a table's rows: see [filter.Rows]. Once it is
// what they are about, and has all bytes, the values are all that is asked.
func (m *matcher) rows(rows []filter.Row) step {
	var asked, found []step
	for _, n := range rows[0] {
		asked = append(asked, m.isAbout(n))
	}
	for _, n := range rows[0] {
		asked = append(asked, m.touch(n))
	}
	for _, row := range rows {
		var values []step
		for _, n := range row {
			values = append(values, m.value(n))
		}
		found = append(found, m.all(values...))
	}
	return m.all(append(asked, m.anyOf(found...))...)
}

// isAbout asks whether the packet has what a node compares, or if it compares nothing,
// whether it is so.
func (m *matcher) isAbout(n filter.Node) step {
	switch n := n.(type) {
	case filter.Net4:
		return m.hasAddresses4(n.Scope)
	case filter.Net6:
		return m.always(m.kind == ipv6)
	case filter.Port:
		return m.hasPorts(n.Protocol)
	}
	return m.node(n)
}

// value compares what the packet has.
func (m *matcher) value(n filter.Node) step {
	switch n := n.(type) {
	case filter.Net4:
		return m.net4(n)
	case filter.Net6:
		return m.net6(n)
	case filter.Port:
		return m.port(n)
	}
	return m.always(true)
}

// touch loads the last byte that a question is about. If it is there, that is true.
func (m *matcher) touch(n filter.Node) step {
	return func(sense bool, to label) {
		switch n := n.(type) {
		case filter.Net4:
			source, destination := m.addresses4()
			if n.Direction == filter.Source {
				destination = source
			}
			m.load(network, destination+3, 1)
		case filter.Port:
			m.load(transport, 3, 1)
		}
		m.always(true)(sense, to)
	}
}
