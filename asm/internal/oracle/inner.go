package oracle

import (
	"encoding/binary"

	"github.com/xdplog/xdplog/asm/wire"
)

// IANA protocol numbers of tunnels, and EtherTypes of what is in them.
const (
	ipip = 4
	ipv6 = 41
	gre  = 47

	etherIPv4     = 0x0800
	etherIPv6     = 0x86dd
	etherBridging = 0x6558
)

// Bounds: where a tunnel's header, or the UDP header before it, begins at most, and how many
// extension headers of GTP-U there are.
const (
	mostBefore        = 512
	mostGTPExtensions = 4
)

// DecodeInner is [Decode] of the packet in a tunnel, where the frame has one, with what is said
// of the frame itself beside it.
//
// Where the design is silent:
//   - A tunnel's header is believed as far as it is known: what a receiver has to ignore is
//     ignored, what it has to refuse is no tunnel.
//   - Of UDP the destination port tells, and that header has to be whole.
//   - In GTP-U the first four bits of what it carries are IP's version.
//   - The inner packet counts where its Ethernet header with tags, and an IP header that this
//     announces, are whole and well-formed. Else there is no tunnel.
func DecodeInner(frame []byte, length int) wire.WideRecord {
	var r wire.WideRecord
	r.LengthSlot = uint32(length)
	rest := decodeFrame(&r.Record, frame)
	at := len(frame) - len(rest)
	if rest == nil || at > mostBefore {
		return r
	}
	c := cursor{rest: rest, whole: true}
	outer, etherType := tunnel(&r.Record, &c)
	if outer.Tunnel == wire.NoTunnel || !c.whole {
		return r
	}
	outer.Offset = uint16(len(frame) - len(c.rest))

	var inner wire.Record
	if etherType == etherBridging {
		outer.Payload = wire.EthernetPayload
		decodeFrame(&inner, c.rest)
	} else {
		outer.Payload = wire.IPPayload
		decodeNetwork(&inner, etherType, c.rest)
	}
	if !wellFormed(&inner, &outer, c.rest) {
		return r
	}
	outer.Source, outer.Destination = r.Source, r.Destination
	outer.SourcePort, outer.DestinationPort = r.SourcePort, r.DestinationPort
	outer.OuterVLAN, outer.InnerVLAN, outer.Tags = r.OuterVLAN, r.InnerVLAN, r.TagsFate
	outer.EtherType, outer.Flags = r.EtherType, r.Flags
	outer.Protocol, outer.TTL = r.Protocol, r.TTL
	inner.LengthSlot = r.LengthSlot
	return wire.WideRecord{Record: inner, Outer: outer}
}

// wellFormed says whether an inner packet's headers up to IP are.
func wellFormed(inner *wire.Record, outer *wire.Outer, packet []byte) bool {
	if inner.Flags&(wire.FlagIPv4|wire.FlagIPv6) != 0 {
		return true
	}
	switch {
	case outer.Payload == wire.IPPayload, len(packet) < 14:
		return false
	case inner.EtherType == etherIPv4, inner.EtherType == etherIPv6:
		return false
	case inner.Tags() < 2 && (inner.EtherType == 0x8100 || inner.EtherType == 0x88a8): // it is cut
		return false
	}
	return true
}

// cursor goes through headers. From the first one on that is not there it is not whole, and
// gives zeros.
type cursor struct {
	rest  []byte
	whole bool
}

func (c *cursor) take(n int) []byte {
	if len(c.rest) < n {
		c.whole = false
		c.rest = nil
	}
	if !c.whole {
		return make([]byte, n)
	}
	taken := c.rest[:n]
	c.rest = c.rest[n:]
	return taken
}

// tunnel steps over a tunnel's header, of a packet whose headers up to IP are known.
func tunnel(r *wire.Record, c *cursor) (o wire.Outer, etherType uint16) {
	none := wire.Outer{}
	identified := func(t wire.Tunnel, id uint32) wire.Outer { return wire.Outer{Tunnel: t, ID: id, HasID: 1} }
	switch {
	case r.Protocol == ipip:
		return wire.Outer{Tunnel: wire.IPIP}, etherIPv4
	case r.Protocol == ipv6:
		return wire.Outer{Tunnel: wire.IP6}, etherIPv6
	case r.Protocol == gre:
		header := c.take(4)
		flags := uint16At(header, 0)
		etherType = uint16At(header, 2)
		const refused = 1<<14 | 1<<11 | 1<<10 | 7 // routing, strict source route, a reserved bit, version
		if flags&refused != 0 || etherType != etherIPv4 && etherType != etherIPv6 && etherType != etherBridging {
			return none, 0
		}
		o = wire.Outer{Tunnel: wire.GRE}
		if flags>>15&1 == 1 {
			c.take(4)
		}
		if flags>>13&1 == 1 {
			o = identified(wire.GRE, binary.BigEndian.Uint32(c.take(4)))
		}
		if flags>>12&1 == 1 {
			c.take(4)
		}
		return o, etherType
	case r.Protocol != udp || r.Flags&wire.FlagPorts == 0:
		return none, 0
	}

	c.take(8)
	switch r.DestinationPort {
	case 4789, 8472:
		header := c.take(8)
		if header[0]&0x0c == 0x08 {
			return identified(wire.VXLAN, binary.BigEndian.Uint32(header[4:])>>8), etherBridging
		}
	case 6081:
		header := c.take(8)
		etherType = uint16At(header, 2)
		known := etherType == etherIPv4 || etherType == etherIPv6 || etherType == etherBridging
		if version := header[0] >> 6; version == 0 && known {
			c.take(4 * int(header[0]%64))
			return identified(wire.Geneve, binary.BigEndian.Uint32(header[4:])>>8), etherType
		}
	case 2152:
		header := c.take(8)
		if header[0]>>4 != 0b0011 || header[1] != 0xff || !skipGTP(header[0], c) || len(c.rest) == 0 {
			return none, 0
		}
		o = identified(wire.GTPU, binary.BigEndian.Uint32(header[4:]))
		switch c.rest[0] >> 4 {
		case 4:
			return o, etherIPv4
		case 6:
			return o, etherIPv6
		}
	}
	return none, 0
}

// skipGTP steps over what a GTP-U header says stands behind it.
func skipGTP(flags byte, c *cursor) bool {
	if flags%8 == 0 {
		return true
	}
	next := c.take(4)[3]
	if flags&4 == 0 {
		next = 0
	}
	for n := 0; next != 0; n++ {
		length := c.take(1)[0]
		if n == mostGTPExtensions || length == 0 {
			return false
		}
		content := c.take(4*int(length) - 1)
		next = content[len(content)-1]
	}
	return c.whole
}
