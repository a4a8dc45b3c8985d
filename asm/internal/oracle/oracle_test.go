package oracle

import (
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/xdplog/xdplog/asm/wire"
)

func TestDecodeAgreesWithGopacket(t *testing.T) {
	for _, fixture := range Fixtures() {
		t.Run(fixture.Name, func(t *testing.T) {
			got := Decode(fixture.Frame, len(fixture.Frame))
			if want := judge(t, fixture.Frame); got != want {
				t.Errorf("%x:\noracle   %+v\ngopacket %+v", fixture.Frame, got, want)
			}
			if err := got.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

// judge is what gopacket says of a well-formed frame.
func judge(t *testing.T, frame []byte) wire.Record {
	t.Helper()
	record := wire.Record{LengthSlot: uint32(len(frame))}
	extensions := 0
	meets := func(header wire.Flags) {
		extensions++
		record.Flags |= header
	}
	var walk func(gopacket.Packet)
	walk = func(packet gopacket.Packet) {
		if failure := packet.ErrorLayer(); failure != nil {
			t.Fatalf("gopacket: %v", failure.Error())
		}
		for _, layer := range packet.Layers() {
			var next layers.IPProtocol
			switch l := layer.(type) {
			case *layers.Ethernet:
				record.EtherType = uint16(l.EthernetType)
				continue
			case *layers.Dot1Q:
				if record.TagsFate++; record.Tags() == 1 {
					record.OuterVLAN = l.VLANIdentifier
				} else {
					record.InnerVLAN = l.VLANIdentifier
				}
				record.EtherType = uint16(l.Type)
				continue
			case *layers.IPv4:
				record.Flags, record.TTL = wire.FlagIPv4, l.TTL
				copy(record.Source[:], l.SrcIP.To16())
				copy(record.Destination[:], l.DstIP.To16())
				record.Protocol = uint8(l.Protocol)
				if l.FragOffset != 0 {
					record.Flags |= wire.FlagFragment
					return
				}
				if !bearsPorts(l.Protocol) {
					return
				}
				if l.Flags&layers.IPv4MoreFragments != 0 { // gopacket stops at every fragment
					walk(gopacket.NewPacket(l.Payload, l.Protocol, gopacket.Default))
					return
				}
				continue
			case *layers.IPv6:
				record.Flags, record.TTL = wire.FlagIPv6, l.HopLimit
				copy(record.Source[:], l.SrcIP)
				copy(record.Destination[:], l.DstIP)
				next = l.NextHeader
			case *layers.IPv6HopByHop:
				next = l.NextHeader
				meets(wire.FlagHopByHop)
			case *layers.IPv6Routing:
				next = l.NextHeader
				meets(wire.FlagRouting)
			case *layers.IPv6Destination:
				next = l.NextHeader
				meets(wire.FlagDestination)
			case *layers.IPSecAH:
				next = l.NextHeader
				meets(wire.FlagAuthentication)
			case *layers.IPv6Fragment:
				record.Protocol = uint8(l.NextHeader)
				meets(wire.FlagFragmentHeader)
				if l.FragmentOffset != 0 {
					record.Flags |= wire.FlagFragment
					return
				}
				if bearsPorts(l.NextHeader) || isExtension(l.NextHeader) && extensions < mostExtensions {
					walk(gopacket.NewPacket(l.Payload, l.NextHeader, gopacket.Default))
				}
				return
			case *layers.UDP:
				record.Flags |= wire.FlagPorts
				record.SourcePort, record.DestinationPort = uint16(l.SrcPort), uint16(l.DstPort)
				return
			case *layers.SCTP:
				record.Flags |= wire.FlagPorts
				record.SourcePort, record.DestinationPort = uint16(l.SrcPort), uint16(l.DstPort)
				return
			case *layers.TCP:
				record.Flags |= wire.FlagPorts | wire.FlagTCP
				record.SourcePort, record.DestinationPort = uint16(l.SrcPort), uint16(l.DstPort)
				record.TCPFlags = l.Contents[13]
				return
			default:
				return
			}
			record.Protocol = uint8(next)
			if !bearsPorts(next) && (!isExtension(next) || extensions == mostExtensions) {
				return
			}
		}
	}
	walk(gopacket.NewPacket(frame, layers.LinkTypeEthernet, gopacket.Default))
	return record
}

func bearsPorts(protocol layers.IPProtocol) bool {
	return protocol == layers.IPProtocolTCP || protocol == layers.IPProtocolUDP || protocol == layers.IPProtocolSCTP
}

func isExtension(protocol layers.IPProtocol) bool {
	switch protocol {
	case layers.IPProtocolIPv6HopByHop, layers.IPProtocolIPv6Routing, layers.IPProtocolIPv6Fragment,
		layers.IPProtocolIPv6Destination, layers.IPProtocolAH:
		return true
	}
	return false
}
