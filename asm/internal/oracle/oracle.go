// Package oracle says, in plain Go, what the generated program must say of a
// frame, and builds frames to ask both about. It is for tests alone.
//
// It is written from the design's "What an event says" and knows nothing of
// the generated code, so that the two agree only where both are right.
package oracle

import (
	"encoding/binary"

	"github.com/xdplog/xdplog/asm/wire"
)

// IANA protocol numbers.
const (
	hopByHop    = 0
	tcp         = 6
	udp         = 17
	routing     = 43
	fragment    = 44
	auth        = 51
	destination = 60
	sctp        = 132
)

// mostExtensions is how many IPv6 extension headers are walked.
const mostExtensions = 8

// Decode returns the record of a frame, without time and interface. Of a frame
// of more than one buffer, frame is the first one, which is all that an XDP
// program can read directly, and length the bytes in all of them.
//
// Where the design is silent:
//   - A tag that is cut is not counted, and its TPID is the EtherType.
//   - A frame without a whole IP header has no flags, protocol, TTL, or addresses.
//   - Lengths in the IP header are not asked: what is in the frame counts.
//   - An extension header that is cut is itself the protocol, and has its flag.
//   - A fragment header with offset 0 is walked like any other; that of a later
//     fragment ends the walk, and what it announces is the protocol.
//   - TCP's flags are there as soon as their byte is.
func Decode(frame []byte, length int) wire.Record {
	r := wire.Record{LengthSlot: uint32(length)}
	decodeFrame(&r, frame)
	return r
}

// decodeFrame returns what stands behind the IP header and extension headers that are whole, or
// nil where that can't be told, or belongs to a later fragment. It does not say so where a
// tag is cut.
func decodeFrame(r *wire.Record, frame []byte) []byte {
	if len(frame) < 14 {
		return nil
	}
	etherType, rest := uint16At(frame, 12), frame[14:]
	for r.Tags() < 2 && (etherType == 0x8100 || etherType == 0x88a8) && len(rest) >= 4 {
		id := uint16At(rest, 0) & 0x0fff
		if r.Tags() == 0 {
			r.OuterVLAN = id
		} else {
			r.InnerVLAN = id
		}
		r.TagsFate++
		etherType, rest = uint16At(rest, 2), rest[4:]
	}
	return decodeNetwork(r, etherType, rest)
}

func decodeNetwork(r *wire.Record, etherType uint16, b []byte) []byte {
	r.EtherType = etherType
	switch etherType {
	case 0x0800:
		return decodeIPv4(r, b)
	case 0x86dd:
		return decodeIPv6(r, b)
	}
	return nil
}

// Default reports whether the default filter, "tcp or udp", lets r through.
func Default(r *wire.Record) bool {
	ip := r.Flags&(wire.FlagIPv4|wire.FlagIPv6) != 0
	return ip && (r.Protocol == tcp || r.Protocol == udp)
}

func decodeIPv4(r *wire.Record, b []byte) []byte {
	if len(b) < 20 || b[0]>>4 != 4 {
		return nil
	}
	headerLen := 4 * int(b[0]&0x0f)
	if headerLen < 20 || headerLen > len(b) {
		return nil
	}
	r.Flags = wire.FlagIPv4
	r.TTL = b[8]
	r.Protocol = b[9]
	r.Source = v4Mapped(b[12:16])
	r.Destination = v4Mapped(b[16:20])
	if offset := uint16At(b, 6) & 0x1fff; offset != 0 {
		r.Flags |= wire.FlagFragment
		return nil
	}
	decodeTransport(r, b[headerLen:])
	return b[headerLen:]
}

func decodeIPv6(r *wire.Record, b []byte) []byte {
	if len(b) < 40 || b[0]>>4 != 6 {
		return nil
	}
	r.Flags = wire.FlagIPv6
	r.Protocol = b[6]
	r.TTL = b[7]
	copy(r.Source[:], b[8:24])
	copy(r.Destination[:], b[24:40])

	b = b[40:]
	for range mostExtensions {
		n, ok := extensionLen(r.Protocol, b)
		if !ok {
			break
		}
		r.Flags |= met(r.Protocol)
		if n > len(b) {
			r.Flags |= wire.FlagCut
			return nil
		}
		later := r.Protocol == fragment && uint16At(b, 2)>>3 != 0
		r.Protocol, b = b[0], b[n:]
		if later {
			r.Flags |= wire.FlagFragment
			return nil
		}
	}
	decodeTransport(r, b)
	return b
}

// extensionLen returns the length of the extension header that b begins with,
// at least 8, or not ok where protocol is not one. It is more than b where the
// header is cut.
func extensionLen(protocol uint8, b []byte) (n int, ok bool) {
	const shortest = 8
	switch protocol {
	case hopByHop, routing, destination, fragment, auth:
	default:
		return 0, false
	}
	switch {
	case len(b) < shortest || protocol == fragment:
		return shortest, true
	case protocol == auth:
		return 4 * (2 + int(b[1])), true // RFC 4302, 2.2
	default:
		return 8 * (1 + int(b[1])), true // RFC 8200, 4.3
	}
}

// met is the flag of the extension header of that number.
func met(protocol uint8) wire.Flags {
	switch protocol {
	case hopByHop:
		return wire.FlagHopByHop
	case routing:
		return wire.FlagRouting
	case fragment:
		return wire.FlagFragmentHeader
	case auth:
		return wire.FlagAuthentication
	default:
		return wire.FlagDestination
	}
}

func decodeTransport(r *wire.Record, b []byte) {
	switch r.Protocol {
	case tcp, udp, sctp:
	default:
		return
	}
	if len(b) < 4 {
		r.Flags |= wire.FlagCut
		return
	}
	r.Flags |= wire.FlagPorts
	r.SourcePort = uint16At(b, 0)
	r.DestinationPort = uint16At(b, 2)
	if r.Protocol == tcp && len(b) > 13 {
		r.Flags |= wire.FlagTCP
		r.TCPFlags = b[13]
	}
}

func uint16At(b []byte, offset int) uint16 { return binary.BigEndian.Uint16(b[offset:]) }

func v4Mapped(b []byte) (a [16]byte) {
	a[10], a[11] = 0xff, 0xff
	copy(a[12:], b)
	return a
}
