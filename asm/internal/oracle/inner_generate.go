package oracle

import "encoding/binary"

// tunnel appends a tunnel's header and what it carries to a packet of a protocol; nil where
// that is no tunnel's.
func (g *Generator) tunnel(b []byte, protocol byte) []byte {
	switch protocol {
	case ipip:
		return g.ipv4(b)
	case ipv6:
		return g.ipv6(b)
	case gre:
		flags := uint16(0)
		for _, bit := range []uint16{0x8000, 0x2000, 0x1000} {
			if g.chance(2) {
				flags |= bit
			}
		}
		switch {
		case g.chance(8):
			flags = uint16(g.random.Uint32())
		case g.chance(8):
			flags |= 1 << g.random.IntN(16)
		}
		etherType := g.carried()
		b = binary.BigEndian.AppendUint16(b, flags)
		b = binary.BigEndian.AppendUint16(b, etherType)
		for _, bit := range []uint16{0x8000, 0x2000, 0x1000} {
			if flags&bit != 0 {
				b = g.bytes(b, 4)
			}
		}
		return g.carry(b, etherType)
	case udp:
		return g.tunnelInUDP(b)
	}
	return nil
}

// carried is the EtherType of what a tunnel carries.
func (g *Generator) carried() uint16 {
	if g.chance(12) {
		return pick(g, 0x8847, 0x0806, uint16(g.random.Uint32()))
	}
	return pick[uint16](g, etherBridging, etherIPv4, etherIPv6)
}

// carry appends what a tunnel carries.
func (g *Generator) carry(b []byte, etherType uint16) []byte {
	if g.chance(20) {
		etherType = g.carried()
	}
	switch etherType {
	case etherIPv4:
		return g.ipv4(b)
	case etherIPv6:
		return g.ipv6(b)
	}
	return g.structured(b)
}

func (g *Generator) tunnelInUDP(b []byte) []byte {
	port := pick[uint16](g, 4789, 4789, 8472, 6081, 6081, 2152, 2152)
	b = g.bytes(b, 2)
	b = binary.BigEndian.AppendUint16(b, port)
	b = g.bytes(b, 4)
	header := g.bytes(b, 8)
	h := header[len(b):]
	b = header
	lie := g.chance(8)
	switch port {
	case 4789, 8472:
		if !lie {
			h[0] = h[0]&^0x0c | 0x08
		}
		return g.carry(b, etherBridging)
	case 6081:
		etherType := g.carried()
		binary.BigEndian.PutUint16(h[2:], etherType)
		options := pick(g, 0, 0, 1, 3, g.random.IntN(64))
		h[0] = byte(options)
		if lie {
			h[0] = byte(g.random.Uint32())
		}
		return g.carry(g.bytes(b, 4*options), etherType)
	}
	flags := byte(g.random.IntN(8))
	if !lie {
		h[0], h[1] = 0x30|flags, 255
	}
	if flags != 0 {
		b = g.bytes(b, 4)
		extensions := 0
		if flags&4 != 0 {
			extensions = pick(g, 0, 1, 1, 2, 3, 4, 5)
		}
		b[len(b)-1] = byte(extensions)
		for ; extensions > 0; extensions-- {
			length := pick(g, 1, 1, 1, 2, 3)
			if g.chance(50) {
				length = g.random.IntN(256)
			}
			at := len(b)
			b = g.bytes(b, max(1, 4*length))
			b[at] = byte(length)
			b[len(b)-1] = byte(extensions - 1)
		}
	}
	return g.carry(b, pick[uint16](g, etherIPv4, etherIPv4, etherIPv6))
}
