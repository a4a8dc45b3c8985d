package layout

import (
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/wire"
)

// Field is a field of a header, at an offset from the header's start in bytes.
type Field struct {
	Name   string
	Offset int16
	Size   bpf.Size
}

// Ethernet II, and the tags of IEEE 802.1Q, which begin at their TPID's end:
// the TPID itself was read as the EtherType before.
var (
	EtherType = Field{"ether.type", 12, bpf.Half}
	TagTCI    = Field{"vlan.tci", 0, bpf.Half}
	TagType   = Field{"vlan.type", 2, bpf.Half}
)

// IPv4, RFC 791, 3.1.
var (
	IPv4VersionIHL  = Field{"ip.version_ihl", 0, bpf.Byte}
	IPv4Fragment    = Field{"ip.fragment", 6, bpf.Half} // 3 flags, 13 bits of offset
	IPv4TTL         = Field{"ip.ttl", 8, bpf.Byte}
	IPv4Protocol    = Field{"ip.protocol", 9, bpf.Byte}
	IPv4Source      = Field{"ip.source", 12, bpf.Word}
	IPv4Destination = Field{"ip.destination", 16, bpf.Word}
)

// IPv6, RFC 8200, 3; extension headers, 4.2–4.6; AH, RFC 4302, 2.
var (
	IPv6Version     = Field{"ip6.version", 0, bpf.Byte} // and 4 bits of traffic class
	IPv6NextHeader  = Field{"ip6.next_header", 6, bpf.Byte}
	IPv6HopLimit    = Field{"ip6.hop_limit", 7, bpf.Byte}
	IPv6Source      = Field{"ip6.source", 8, bpf.Word}
	IPv6Destination = Field{"ip6.destination", 24, bpf.Word}
	ExtNextHeader   = Field{"ext.next_header", 0, bpf.Byte}
	ExtLength       = Field{"ext.length", 1, bpf.Byte}
	ExtFragment     = Field{"ext.fragment", 2, bpf.Half} // 13 bits of offset, 3 others
)

// TCP (RFC 9293, 3.1), UDP (RFC 768), SCTP (RFC 9260, 3.1): all begin with the ports.
var (
	SourcePort      = Field{"source_port", 0, bpf.Half}
	DestinationPort = Field{"destination_port", 2, bpf.Half}
	TCPOffset       = Field{"tcp.offset", 12, bpf.Byte} // 4 bits of the header's length in words, 4 others
	TCPFlags        = Field{"tcp.flags", 13, bpf.Byte}
)

// Addresses in an ARP or RARP packet, RFC 826, of Ethernet and IPv4. They stay
// in network byte order.
var (
	ARPSender = Field{"arp.sender", 14, bpf.Word}
	ARPTarget = Field{"arp.target", 24, bpf.Word}
)

// Lengths of headers in bytes.
const (
	EtherLen   = 14
	TagLen     = 4
	IPv4MinLen = 20
	IPv6Len    = 40
	ExtMinLen  = 8
	PortsLen   = 4
)

// EtherTypes, and the two TPIDs that announce a tag.
const (
	EtherIPv4 = 0x0800
	EtherARP  = 0x0806 // and RARP: the protocols that carry IPv4 addresses beside IPv4
	EtherRARP = 0x8035
	EtherIPv6 = 0x86dd
	TPIDC     = 0x8100 // IEEE 802.1Q customer tag
	TPIDS     = 0x88a8 // IEEE 802.1ad service tag
)

// IANA protocol numbers.
const (
	ProtoHopByHop    = 0
	ProtoTCP         = 6
	ProtoUDP         = 17
	ProtoRouting     = 43
	ProtoFragment    = 44
	ProtoAH          = 51
	ProtoDestination = 60
	ProtoSCTP        = 132
)

// Load loads the field of a header that begins at base, in host byte order.
func (f Field) Load(b *assemble.Builder, dst, base bpf.Register) {
	f.LoadRaw(b, dst, base)
	if f.Size == bpf.Half || f.Size == bpf.Word {
		b.Emit(bpf.HostTo(bpf.BE, dst, f.Size))
	}
}

// LoadRaw loads the field as it stands in the packet.
func (f Field) LoadRaw(b *assemble.Builder, dst, base bpf.Register) {
	b.Note(f.Name, bpf.LoadMem(dst, base, f.Offset, f.Size))
}

// Extensions are the IPv6 extension headers that are stepped over, the most
// frequent first, and what the record says where there was one.
var Extensions = [...]struct {
	Protocol uint8
	Flag     wire.Flags
}{
	{ProtoFragment, wire.FlagFragmentHeader},
	{ProtoHopByHop, wire.FlagHopByHop},
	{ProtoRouting, wire.FlagRouting},
	{ProtoAH, wire.FlagAuthentication},
	{ProtoDestination, wire.FlagDestination},
}
