// Package reader turns what the XDP program hands over into a stream of [Event].
package reader

import (
	"net/netip"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
)

// Event is one packet that an interface received, or sends, and the filter let through.
// It is a value: nothing in it points into a buffer.
type Event struct {
	// Time is when the program saw the packet: wall clock from a [Reader],
	// time since boot (as if boot had been at the Unix epoch) from [Decode].
	// Of a program without a clock it is when the event was read, and of one with the
	// device's clock when that saw it: see [Reader.SetHardwareClock].
	Time time.Time

	// Source and Destination are the outermost IP header's, or see Tunnel. The address is
	// not valid in an event that is not IP; the port is 0 without HasPorts.
	Source, Destination netip.AddrPort

	Interface int    // index of the interface that received or sends it, in its network namespace
	Port      int    // of a bond, as [Reader.SetInterface] tells: index of the port that received it; 0: none is known
	Slot      uint8  // number of the program that saw it: see [asm.Config.Interfaces]
	Length    int    // bytes, from the Ethernet header on, without FCS; from the IP header on where there is none
	EtherType uint16 // behind the VLAN tags
	VLAN      [2]uint16
	VLANs     uint8 // tags in VLAN, outermost first: 0–2

	// Segments is how many packets on the wire this one is, where the network
	// stack has merged what was received, or not yet cut what is sent: Length is
	// not that of a packet on the wire, then. [wire.MaxSegments] stands for more;
	// 0: it is one.
	Segments uint8

	Direction wire.Direction // where both are watched: received or sent
	Verdict   wire.Verdict   // what the program beside ours decided; none: there is none

	IPVersion uint8 // 4, 6, or 0 in an event that is not IP
	Protocol  uint8 // IANA number, behind IPv6 extension headers
	TTL       uint8 // IPv6: hop limit
	TCPFlags  uint8 // 13th byte of the TCP header, CWR to FIN (RFC 9293, 3.1)

	HasPorts    bool // TCP, UDP or SCTP, with ports
	HasTCPFlags bool
	Fragment    bool // a fragment other than the first: no ports
	Truncated   bool // the frame ends before the ports, or in a header before them: no ports

	// Tunnel is what the packet travels in, of a program that looks into tunnels
	// ([asm.Config.Inner]): all that is said above, but for Time, Interface, Length and what is
	// not read out of the packet, is then the inner packet's.
	Tunnel Tunnel

	// Hash is that by which the device chose the packet's receive queue, of a program
	// that has it told ([asm.Config.Hash]): of a packet in a tunnel it is the outer packet's.
	Hash wire.Hash
}

// Decode returns the event in a record. Bytes after the record are allowed.
// It returns an error that wraps [wire.ErrShort] or [wire.ErrInconsistent]
// for anything else than a record.
func Decode(b []byte) (Event, error) {
	var record wire.Record
	if err := record.Decode(b); err != nil {
		return Event{}, err
	}
	if err := record.Check(); err != nil {
		return Event{}, err
	}
	var event Event
	event.set(&record, new(stamp))
	return event, nil
}

// FromRecord returns the event in a record that is in memory already. Its time is as
// from [Decode].
func FromRecord(r *wire.Record) (event Event) {
	event.set(r, new(stamp))
	return event
}

// set sets e from a record. It does so field by field: an assignment of the
// whole costs twice as much.
func (e *Event) set(r *wire.Record, stamp *stamp) {
	switch passed, ok := stamp.passed(r.Time); {
	case ok:
		e.Time = time.Unix(stamp.second, passed)
	case r.Time&wire.HardwareTime != 0 && stamp.hardware != nil:
		e.Time = time.Unix(0, stamp.hardware.wall(r, stamp.now))
	default:
		e.Time = stamp.another(r.Time)
	}
	flags := r.Flags
	switch {
	case flags&wire.FlagIPv4 != 0:
		e.IPVersion = 4
		e.Source = netip.AddrPortFrom(netip.AddrFrom4([4]byte(r.Source[12:])), r.SourcePort)
		e.Destination = netip.AddrPortFrom(netip.AddrFrom4([4]byte(r.Destination[12:])), r.DestinationPort)
	case flags&wire.FlagIPv6 != 0:
		e.IPVersion = 6
		e.Source = netip.AddrPortFrom(netip.AddrFrom16(r.Source), r.SourcePort)
		e.Destination = netip.AddrPortFrom(netip.AddrFrom16(r.Destination), r.DestinationPort)
	default:
		e.IPVersion = 0
		e.Source, e.Destination = netip.AddrPort{}, netip.AddrPort{}
	}
	e.Interface = int(r.Interface)
	e.Port = 0
	e.Slot = r.Slot()
	e.Length = r.Length()
	e.EtherType = r.EtherType
	e.VLAN = r.VLAN()
	e.VLANs = r.Tags()
	e.Segments = r.Segments()
	e.Direction = r.Direction()
	e.Verdict = r.Verdict()
	e.Protocol = r.Protocol
	e.TTL = r.TTL
	e.TCPFlags = r.TCPFlags
	e.HasPorts = flags&wire.FlagPorts != 0
	e.HasTCPFlags = flags&wire.FlagTCP != 0
	e.Fragment = flags&wire.FlagFragment != 0
	e.Truncated = flags&wire.FlagCut != 0
	e.Hash = wire.Hash{}
	if e.Tunnel.Kind != wire.NoTunnel { // of an event that was here before
		e.Tunnel = Tunnel{}
	}
}
