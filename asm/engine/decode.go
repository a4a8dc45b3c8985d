package engine

import (
	"encoding/binary"

	"github.com/xdplog/xdplog/asm/wire"
)

// EtherTypes, and the TPIDs of the two kinds of tags.
const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	tpidC     = 0x8100 // IEEE 802.1Q customer tag
	tpidS     = 0x88a8 // IEEE 802.1ad service tag
)

// IANA protocol numbers.
const (
	protoHopByHop    = 0
	protoTCP         = 6
	protoUDP         = 17
	protoRouting     = 43
	protoFragment    = 44
	protoAH          = 51
	protoDestination = 60
	protoSCTP        = 132
)

var order = binary.BigEndian

// Decode sets of a record what the bytes of a frame say, from the Ethernet header
// on, and zeroes the rest. The frame may be cut.
func Decode(r *wire.Record, frame []byte) {
	*r = wire.Record{}
	if len(frame) < 14 {
		return
	}
	r.EtherType = order.Uint16(frame[12:])
	rest := frame[14:]
	for _, id := range [...]*uint16{&r.OuterVLAN, &r.InnerVLAN} {
		if r.EtherType != tpidC && r.EtherType != tpidS || len(rest) < 4 {
			break
		}
		*id = order.Uint16(rest) & 0xfff
		r.TagsFate++
		r.EtherType = order.Uint16(rest[2:])
		rest = rest[4:]
	}
	network(r, rest)
}

// network decodes what stands behind an Ethernet header and its tags.
func network(r *wire.Record, b []byte) {
	switch r.EtherType {
	case etherIPv4:
		ipv4(r, b)
	case etherIPv6:
		ipv6(r, b)
	}
}

// ipv4 decodes from the IPv4 header on (RFC 791, 3.1). Whatever is not a whole one
// leaves the record as that of a frame that is not IP.
func ipv4(r *wire.Record, b []byte) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return
	}
	length := int(b[0]&0xf) * 4
	if length < 20 || length > len(b) {
		return
	}
	r.Flags = wire.FlagIPv4
	r.Source[10], r.Source[11] = 0xff, 0xff // v4-mapped: RFC 4291, 2.5.5.2
	r.Destination[10], r.Destination[11] = 0xff, 0xff
	copy(r.Source[12:], b[12:16])
	copy(r.Destination[12:], b[16:20])
	r.TTL = b[8]
	r.Protocol = b[9]
	if order.Uint16(b[6:])&0x1fff != 0 {
		r.Flags |= wire.FlagFragment
		return
	}
	transport(r, b[length:])
}

// ipv6 decodes from the IPv6 header on (RFC 8200, 3), and up to eight extension
// headers behind it.
func ipv6(r *wire.Record, b []byte) {
	if len(b) < 40 || b[0]>>4 != 6 {
		return
	}
	r.Flags = wire.FlagIPv6
	copy(r.Source[:], b[8:24])
	copy(r.Destination[:], b[24:40])
	r.Protocol = b[6]
	r.TTL = b[7]
	b = b[40:]
	for range 8 {
		met, ok := extension(r.Protocol)
		if !ok {
			break
		}
		r.Flags |= met
		length := 8
		switch {
		case len(b) < length:
		case met == wire.FlagAuthentication: // RFC 4302, 2.2: in 4 bytes, without the first 8
			length += int(b[1]) * 4
		case met != wire.FlagFragmentHeader: // in 8 bytes, without the first 8
			length += int(b[1]) * 8
		case order.Uint16(b[2:])&0xfff8 != 0:
			r.Protocol = b[0]
			r.Flags |= wire.FlagFragment
			return
		}
		if length > len(b) {
			r.Flags |= wire.FlagCut
			return
		}
		r.Protocol = b[0]
		b = b[length:]
	}
	transport(r, b)
}

// extension is the flag of an extension header, if the protocol is one.
func extension(protocol uint8) (met wire.Flags, ok bool) {
	switch protocol {
	case protoHopByHop:
		return wire.FlagHopByHop, true
	case protoRouting:
		return wire.FlagRouting, true
	case protoFragment:
		return wire.FlagFragmentHeader, true
	case protoAH:
		return wire.FlagAuthentication, true
	case protoDestination:
		return wire.FlagDestination, true
	}
	return 0, false
}

// transport reads the ports, and TCP's flags, of protocols that have them.
func transport(r *wire.Record, b []byte) {
	switch r.Protocol {
	case protoTCP, protoUDP, protoSCTP:
	default:
		return
	}
	if len(b) < 4 {
		r.Flags |= wire.FlagCut
		return
	}
	r.SourcePort = order.Uint16(b)
	r.DestinationPort = order.Uint16(b[2:])
	r.Flags |= wire.FlagPorts
	if r.Protocol == protoTCP && len(b) > 13 {
		r.TCPFlags = b[13]
		r.Flags |= wire.FlagTCP
	}
}
