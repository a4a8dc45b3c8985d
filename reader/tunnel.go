package reader

import (
	"net/netip"
	"strconv"

	"github.com/xdplog/xdplog/asm/wire"
)

// Tunnel is what a packet travels in, and between whom: the outer packet of an event
// that speaks of the inner one. Its Kind is none in other events, and all else is zero.
type Tunnel struct {
	Kind wire.Tunnel

	// Source and Destination are the outer IP header's. The ports are 0 without HasPorts.
	Source, Destination netip.AddrPort

	Protocol uint8 // IANA number of the outer packet
	TTL      uint8 // the outer packet's; IPv6: hop limit
	HasPorts bool  // the outer packet is UDP's

	// ID is the network identifier (VNI) of VXLAN and Geneve, the key of GRE, the tunnel
	// endpoint identifier (TEID) of GTP-U. There is one with HasID.
	ID    uint32
	HasID bool

	// Payload says what the tunnel carries, Offset where in the frame that begins, in bytes.
	// Without an Ethernet header there the event's EtherType is that of its IP header. Where the
	// outer packet itself has none, as of interfaces without, Offset counts the 14 bytes of one.
	Payload wire.Payload
	Offset  int

	VLAN  [2]uint16 // of the outer packet
	VLANs uint8     // tags in VLAN, outermost first: 0–2
}

// set sets t from the second half of a record.
func (t *Tunnel) set(o *wire.Outer) {
	if o.Tunnel == wire.NoTunnel {
		*t = Tunnel{}
		return
	}
	if o.Flags&wire.FlagIPv4 != 0 {
		t.Source = netip.AddrPortFrom(netip.AddrFrom4([4]byte(o.Source[12:])), o.SourcePort)
		t.Destination = netip.AddrPortFrom(netip.AddrFrom4([4]byte(o.Destination[12:])), o.DestinationPort)
	} else {
		t.Source = netip.AddrPortFrom(netip.AddrFrom16(o.Source), o.SourcePort)
		t.Destination = netip.AddrPortFrom(netip.AddrFrom16(o.Destination), o.DestinationPort)
	}
	t.Kind = o.Tunnel
	t.Protocol, t.TTL = o.Protocol, o.TTL
	t.HasPorts = o.Flags&wire.FlagPorts != 0
	t.ID, t.HasID = o.ID, o.HasID != 0
	t.Payload, t.Offset = o.Payload, int(o.Offset)
	t.VLAN, t.VLANs = [2]uint16{o.OuterVLAN & wire.VLANMask, o.InnerVLAN & wire.VLANMask}, o.Tags&wire.TagsMask
}

// Tags are the ids of the outer packet's VLAN tags, outermost first. They are t's own memory.
func (t *Tunnel) Tags() []uint16 { return t.VLAN[:min(int(t.VLANs), len(t.VLAN))] }

// String is the tunnel in words: "192.0.2.1 > 192.0.2.2 vxlan 42", and "" of none.
func (t Tunnel) String() string { return string(t.AppendTo(nil)) }

// AppendTo appends [Tunnel.String] to b. It allocates nothing where that has room.
func (t *Tunnel) AppendTo(b []byte) []byte {
	if t.Kind == wire.NoTunnel {
		return b
	}
	b = t.Source.Addr().AppendTo(b)
	b = append(b, " > "...)
	b = t.Destination.Addr().AppendTo(b)
	b = append(b, ' ')
	b = append(b, t.Kind.String()...)
	if t.HasID {
		b = append(b, ' ')
		b = strconv.AppendUint(b, uint64(t.ID), 10)
	}
	return b
}

// setWide is set of a record that has a second half.
func (e *Event) setWide(r *wire.WideRecord, stamp *stamp) {
	e.set(&r.Record, stamp)
	e.Tunnel.set(&r.Outer)
	e.Hash = r.Hash
}

// DecodeWide is [Decode] of a record of a program with [asm.Config.Inner] or [asm.Config.Hash].
func DecodeWide(b []byte) (Event, error) {
	var record wire.WideRecord
	if err := record.Decode(b); err != nil {
		return Event{}, err
	}
	if err := record.Check(); err != nil {
		return Event{}, err
	}
	return FromWideRecord(&record), nil
}

// FromWideRecord is [FromRecord] of such a record.
func FromWideRecord(r *wire.WideRecord) (event Event) {
	event.setWide(r, new(stamp))
	return event
}
