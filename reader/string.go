package reader

import (
	"strconv"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/internal/words"
)

// String is the packet in one line, in the spirit of tcpdump, without time and
// interface:
//
//	tcp 192.0.2.1:34990 > 192.0.2.2:80 [S] ttl 64 len 74
//
// Before it stands "in" or "out" where the direction is said, and behind it what is
// unusual: see [Event.AppendRemarks]. A frame that is not IP is called by its
// EtherType: "arp len 42". It is what the command prints, and may get new words
// where packets are unusual in new ways.
func (e Event) String() string { return string(e.AppendTo(nil)) }

// AppendTo appends [Event.String] to b. It allocates nothing where that has room.
func (e *Event) AppendTo(b []byte) []byte {
	if e.Direction != wire.NoDirection {
		b = append(b, e.Direction.String()...)
		b = append(b, ' ')
	}
	if e.IPVersion == 0 {
		b = words.AppendEtherType(b, e.EtherType)
	} else {
		b = words.AppendProtocol(b, e.Protocol)
		b = append(b, ' ')
		b = words.AppendEndpoint(b, e.Source, e.HasPorts)
		b = append(b, " > "...)
		b = words.AppendEndpoint(b, e.Destination, e.HasPorts)
		if e.HasTCPFlags {
			b = append(b, ' ')
			b = words.AppendTCPFlags(b, e.TCPFlags)
		}
		b = append(b, " ttl "...)
		b = strconv.AppendUint(b, uint64(e.TTL), 10)
	}
	b = append(b, " len "...)
	b = strconv.AppendInt(b, int64(e.Length), 10)
	return e.AppendRemarks(b)
}

// AppendRemarks appends what is unusual about the packet, each with a space before
// it: "vlan 10,20", "frag" (a later fragment), "cut" (the frame ends before what its
// headers announce), "segments 45" (so many packets on the wire), what a program
// beside ours decided of it, as in "drop", "inside" with what it travels in, and the hash, where that is
// told. Of most packets that is nothing.
func (e *Event) AppendRemarks(b []byte) []byte {
	for i, id := range e.Tags() {
		if i == 0 {
			b = append(b, " vlan "...)
		} else {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(id), 10)
	}
	if e.Fragment {
		b = append(b, " frag"...)
	}
	if e.Truncated {
		b = append(b, " cut"...)
	}
	if e.Segments != 0 {
		b = append(b, " segments "...)
		b = strconv.AppendUint(b, uint64(e.Segments), 10)
	}
	if e.Verdict != wire.NoVerdict {
		b = append(b, ' ')
		b = append(b, e.Verdict.String()...)
	}
	if e.Tunnel.Kind != wire.NoTunnel {
		b = e.Tunnel.AppendTo(append(b, " inside "...))
	}
	if e.Hash.Known() {
		b = e.Hash.AppendTo(append(b, " hash "...))
	}
	return b
}

// Tags are the ids of the VLAN tags that were read, outermost first. They are e's
// own memory.
func (e *Event) Tags() []uint16 { return e.VLAN[:min(int(e.VLANs), len(e.VLAN))] }

// ProtocolName returns the keyword of an IP protocol as IANA registered it, as in
// "UDP" and "IPv6-ICMP", or the number in digits where it has none.
func ProtocolName(number uint8) string { return words.Protocol(number) }

// EtherTypeName returns what a frame is called by the command that has no decoded
// IP header, as in "arp", by its EtherType: that in hexadecimal, "0x88b5", where it
// has no usual name.
func EtherTypeName(etherType uint16) string { return string(words.AppendEtherType(nil, etherType)) }
