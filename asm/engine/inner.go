package engine

import (
	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/wire"
)

// DecodeInner is [Decode] of the packet in a tunnel, where the frame has one, with the outer
// packet beside it.
func DecodeInner(r *wire.WideRecord, frame []byte) {
	Decode(&r.Record, frame)
	r.Outer = wire.Outer{}
	tunnel, ok := filter.FindTunnel(frame)
	if !ok {
		return
	}
	outer := &r.Record
	r.Outer = wire.Outer{
		Source: outer.Source, Destination: outer.Destination,
		SourcePort: outer.SourcePort, DestinationPort: outer.DestinationPort,
		OuterVLAN: outer.OuterVLAN, InnerVLAN: outer.InnerVLAN,
		EtherType: outer.EtherType, Flags: outer.Flags,
		Protocol: outer.Protocol, TTL: outer.TTL, Tags: outer.TagsFate,
		ID: tunnel.ID, Offset: uint16(tunnel.Offset), Tunnel: wire.Tunnel(tunnel.Kind), Payload: wire.IPPayload,
	}
	if tunnel.HasID {
		r.Outer.HasID = 1
	}
	packet := frame[tunnel.Offset:]
	if tunnel.Ethernet {
		r.Outer.Payload = wire.EthernetPayload
		Decode(&r.Record, packet)
		return
	}
	r.Record = wire.Record{EtherType: etherIPv4}
	if packet[0]>>4 == 6 {
		r.EtherType = etherIPv6
	}
	network(&r.Record, packet)
}
