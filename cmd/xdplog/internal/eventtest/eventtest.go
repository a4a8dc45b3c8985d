// Package eventtest gives tests events, and a source of them in place of a
// reader.
package eventtest

import (
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/reader"
)

// The time of all events, and the interfaces that they may be from. The second
// has a name that is hard on every format.
var (
	Time       = time.Unix(1674637061, 123456789) // 2023-01-25T08:57:41Z
	Interfaces = []names.Interface{{Index: 2, Name: "eth0"}, {Index: 3, Name: `a"\` + "\x01\xff<é"}}
)

// An Edit makes an event from the usual one.
type Edit func(*reader.Event)

// Usual is TCP over IPv4 on the first of the [Interfaces], without anything
// unusual but for the edits.
func Usual(edits ...Edit) reader.Event {
	e := reader.Event{
		Time:        Time,
		Source:      netip.MustParseAddrPort("60.235.240.157:443"),
		Destination: netip.MustParseAddrPort("10.0.0.2:51324"),
		Interface:   2,
		Length:      60,
		EtherType:   0x0800,
		IPVersion:   4,
		Protocol:    6,
		TTL:         57,
		TCPFlags:    0x12,
		HasPorts:    true,
		HasTCPFlags: true,
	}
	for _, change := range edits {
		change(&e)
	}
	return e
}

// IPv6 has the event be one of IPv6.
func IPv6(e *reader.Event) {
	e.Source = netip.MustParseAddrPort("[2001:db8::1]:443")
	e.Destination = netip.MustParseAddrPort("[2001:db8::2]:51324")
	e.IPVersion, e.EtherType = 6, 0x86dd
}

// UDP has the event be one of UDP.
func UDP(e *reader.Event) { e.Protocol, e.HasTCPFlags, e.TCPFlags = 17, false, 0 }

// Protocol has the event be one of a protocol without ports.
func Protocol(number uint8) Edit {
	return func(e *reader.Event) {
		UDP(e)
		e.Protocol = number
		withoutPorts(e)
	}
}

func withoutPorts(e *reader.Event) {
	e.HasPorts, e.HasTCPFlags, e.TCPFlags = false, false, 0
	e.Source = netip.AddrPortFrom(e.Source.Addr(), 0)
	e.Destination = netip.AddrPortFrom(e.Destination.Addr(), 0)
}

// Fragment has the event be that of a later fragment.
func Fragment(e *reader.Event) { withoutPorts(e); e.Fragment = true }

// Truncated has the frame end before its ports.
func Truncated(e *reader.Event) { withoutPorts(e); e.Truncated = true }

// Tagged has the frame bear one or two tags, with these VLANs.
func Tagged(ids ...uint16) Edit {
	return func(e *reader.Event) { e.VLANs = uint8(copy(e.VLAN[:], ids)) }
}

// Fated has the packet go a way, in so many segments, to a verdict.
func Fated(d wire.Direction, segments uint8, v wire.Verdict) Edit {
	return func(e *reader.Event) { e.Direction, e.Segments, e.Verdict = d, segments, v }
}

// TCPFlags has the segment bear these flags.
func TCPFlags(flags uint8) Edit { return func(e *reader.Event) { e.TCPFlags = flags } }

// Received has the packet be from the interface with an index.
func Received(index int) Edit { return func(e *reader.Event) { e.Interface = index } }

// Via has the port with an index have received the packet.
func Via(port int) Edit { return func(e *reader.Event) { e.Port = port } }

// Inside has the packet travel in a tunnel from 192.0.2.1 to 192.0.2.2, with an identifier.
func Inside(kind wire.Tunnel, id uint32) Edit {
	return func(e *reader.Event) {
		e.Tunnel = reader.Tunnel{
			Kind: kind, Source: netip.MustParseAddrPort("192.0.2.1:50000"), Destination: netip.MustParseAddrPort("192.0.2.2:4789"),
			Protocol: 17, TTL: 63, HasPorts: true, ID: id, HasID: true, Payload: wire.EthernetPayload, Offset: 50,
		}
		if kind == wire.GRE || kind == wire.IPIP || kind == wire.IP6 {
			e.Tunnel.Protocol, e.Tunnel.HasPorts = 47, false
			e.Tunnel.HasID = kind == wire.GRE
		}
	}
}

// Hashed has the driver tell a hash of the packet.
func Hashed(value uint32, over wire.HashOver) Edit {
	return func(e *reader.Event) { e.Hash = wire.Hash{Value: value, Over: over} }
}

// NotIP is a frame of an EtherType without a decoded IP header.
func NotIP(etherType uint16, length int) Edit {
	return func(e *reader.Event) {
		*e = reader.Event{Time: e.Time, Interface: e.Interface, EtherType: etherType, Length: length}
	}
}

// A Source gives [Usual] events, as many as it has captured, and ends once it is
// finished: what a [reader.Reader] does.
type Source struct {
	Captured uint64 // as its counters say, also where it has been told to capture fewer
	Err      error  // of reading, in place of events

	events   chan reader.Event
	finish   sync.Once
	finished chan struct{}
}

// NewSource returns one that has captured n events.
func NewSource(n int) *Source {
	s := &Source{events: make(chan reader.Event, 10000), finished: make(chan struct{})}
	s.Capture(n)
	return s
}

// Capture has n events wait to be read.
func (s *Source) Capture(n int) {
	for range n {
		s.events <- Usual()
		s.Captured++
	}
}

// ReadPackets is that of a reader.
func (s *Source) ReadPackets(packets []reader.Packet) (int, error) {
	if s.Err != nil {
		return 0, s.Err
	}
	select {
	case packets[0].Event = <-s.events:
	case <-s.finished:
		select {
		case packets[0].Event = <-s.events:
		default:
			return 0, io.EOF
		}
	}
	n := 1
	for ; n < len(packets) && len(s.events) > 0; n++ {
		packets[n].Event = <-s.events
	}
	return n, nil
}

// SetDeadline does nothing.
func (s *Source) SetDeadline(time.Time) {}

// Finish has ReadPackets end with io.EOF when all events are read.
func (s *Source) Finish() { s.finish.Do(func() { close(s.finished) }) }

// Counters are those of a source that loses nothing.
func (s *Source) Counters() (wire.Counters, error) {
	return wire.Counters{Seen: s.Captured, Captured: s.Captured}, nil
}
