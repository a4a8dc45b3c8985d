package wire

import (
	"encoding/binary"
	"fmt"
	"unsafe"
)

// Tunnel is what a packet travels in.
type Tunnel uint8

const (
	NoTunnel Tunnel = iota
	VXLAN           // RFC 7348: UDP port 4789, and Linux's 8472
	Geneve          // RFC 8926: UDP port 6081
	GRE             // RFC 2784, RFC 2890
	IPIP            // RFC 2003: IPv4, in IPv4 or IPv6
	IP6             // RFC 4213, RFC 2473: IPv6, in IPv4 or IPv6
	GTPU            // 3GPP TS 29.281: UDP port 2152

	Tunnels // how many there are, with none
)

var tunnelNames = [Tunnels]string{"", "vxlan", "geneve", "gre", "ipip", "ip6", "gtpu"}

// String is the tunnel's name in lower case, and "" of none.
func (t Tunnel) String() string {
	if t < Tunnels {
		return tunnelNames[t]
	}
	return fmt.Sprintf("tunnel %d", uint8(t))
}

// Outer is the packet in which an inner one travels: what a [Record] says of it, in the same
// order, and the tunnel's header. The outer packet is none of TCP's, and has no flags of it.
type Outer struct {
	Source          [16]byte
	Destination     [16]byte
	SourcePort      uint16
	DestinationPort uint16
	OuterVLAN       uint16
	InnerVLAN       uint16
	EtherType       uint16
	Flags           Flags
	Protocol        uint8
	HasID           uint8 // 1: the tunnel's header bears an identifier
	TTL             uint8
	Tags            uint8
	ID              uint32  // VNI of VXLAN and Geneve, key of GRE, TEID of GTP-U: see HasID
	Offset          uint16  // where the inner packet begins, in bytes from the frame's first
	Tunnel          Tunnel  // none: the packet is in none, and all else is 0
	Payload         Payload // what begins there
}

// Payload is what a tunnel carries.
type Payload uint8

const (
	NoPayload       Payload = iota
	EthernetPayload         // a frame without FCS
	IPPayload               // a packet from its IP header on, which has no VLAN tags
)

// OuterSize is the size of an [Outer] in bytes.
const OuterSize = int(unsafe.Sizeof(Outer{}))

// Decode sets o from the first [OuterSize] bytes of b, which follow those of a [Record].
// As [Record.Decode].
func (o *Outer) Decode(b []byte) error {
	if len(b) < OuterSize {
		return fmt.Errorf("%w: %d bytes behind the first %d, want %d", ErrShort, len(b), RecordSize, OuterSize)
	}
	b = b[:OuterSize]
	host := binary.NativeEndian
	o.Source = [16]byte(b[unsafe.Offsetof(o.Source):])
	o.Destination = [16]byte(b[unsafe.Offsetof(o.Destination):])
	o.SourcePort = host.Uint16(b[unsafe.Offsetof(o.SourcePort):])
	o.DestinationPort = host.Uint16(b[unsafe.Offsetof(o.DestinationPort):])
	o.OuterVLAN = host.Uint16(b[unsafe.Offsetof(o.OuterVLAN):])
	o.InnerVLAN = host.Uint16(b[unsafe.Offsetof(o.InnerVLAN):])
	o.EtherType = host.Uint16(b[unsafe.Offsetof(o.EtherType):])
	o.Flags = Flags(host.Uint16(b[unsafe.Offsetof(o.Flags):]))
	o.Protocol = b[unsafe.Offsetof(o.Protocol)]
	o.HasID = b[unsafe.Offsetof(o.HasID)]
	o.TTL = b[unsafe.Offsetof(o.TTL)]
	o.Tags = b[unsafe.Offsetof(o.Tags)]
	o.ID = host.Uint32(b[unsafe.Offsetof(o.ID):])
	o.Offset = host.Uint16(b[unsafe.Offsetof(o.Offset):])
	o.Tunnel = Tunnel(b[unsafe.Offsetof(o.Tunnel)])
	o.Payload = Payload(b[unsafe.Offsetof(o.Payload)])
	return nil
}

// Append appends the bytes to b: the inverse of [Outer.Decode].
func (o *Outer) Append(b []byte) []byte {
	host := binary.NativeEndian
	b = append(b, o.Source[:]...)
	b = append(b, o.Destination[:]...)
	for _, scalar := range []uint16{o.SourcePort, o.DestinationPort, o.OuterVLAN, o.InnerVLAN, o.EtherType, uint16(o.Flags)} {
		b = host.AppendUint16(b, scalar)
	}
	b = append(b, o.Protocol, o.HasID, o.TTL, o.Tags)
	b = host.AppendUint32(b, o.ID)
	b = host.AppendUint16(b, o.Offset)
	return append(b, uint8(o.Tunnel), uint8(o.Payload))
}

// check is [Record.Check] of a packet that is in it, or is not.
func (o *Outer) check(r *Record) error {
	if o.Tunnel == NoTunnel {
		if *o != (Outer{}) {
			return fmt.Errorf("%w: an outer packet without a tunnel", ErrInconsistent)
		}
		return nil
	}
	outer := Record{Source: o.Source, Destination: o.Destination, Flags: o.Flags, TagsFate: o.Tags}
	switch {
	case o.Tunnel >= Tunnels:
		return fmt.Errorf("%w: unknown %v", ErrInconsistent, o.Tunnel)
	case o.Payload != EthernetPayload && o.Payload != IPPayload:
		return fmt.Errorf("%w: a tunnel with payload %d", ErrInconsistent, o.Payload)
	case o.HasID > 1, o.HasID == 0 && o.ID != 0:
		return fmt.Errorf("%w: identifier %d of a tunnel, which has %d", ErrInconsistent, o.ID, o.HasID)
	case o.Flags&(FlagIPv4|FlagIPv6) == 0:
		return fmt.Errorf("%w: a tunnel that is not in IP", ErrInconsistent)
	case r.Flags&(FlagIPv4|FlagIPv6) == 0 && o.Payload == IPPayload:
		return fmt.Errorf("%w: an IP packet in a tunnel that is not IP", ErrInconsistent)
	}
	if err := outer.Check(); err != nil {
		return fmt.Errorf("outer packet: %w", err)
	}
	return nil
}
