package filter

import (
	"fmt"
	"slices"
)

// Layer is a header that a [Load] counts from.
type Layer uint8

const (
	EtherLayer Layer = iota // the frame's first byte
	IPLayer                 // the header behind the VLAN tags
	IP6Layer
	ARPLayer
	RARPLayer
	TCPLayer // the header behind the IP header, its options or extension headers
	UDPLayer
	SCTPLayer
	PIMLayer
	ICMPLayer // the header behind the IPv4 header and its options
	IGMPLayer
	IGRPLayer
	VRRPLayer
	ICMP6Layer // the header behind IPv6 and its extension headers
	layers     // how many there are
)

// layerInfo names each layer and says what a packet must be to have it.
var layerInfo = [layers]struct {
	name      string
	etherType uint16
	protocol  uint8
}{
	EtherLayer: {name: "ether"},
	IPLayer:    {name: "ip", etherType: typeIPv4},
	IP6Layer:   {name: "ip6", etherType: typeIPv6},
	ARPLayer:   {name: "arp", etherType: typeARP},
	RARPLayer:  {name: "rarp", etherType: typeRARP},
	TCPLayer:   {name: "tcp", protocol: protoTCP},
	UDPLayer:   {name: "udp", protocol: protoUDP},
	SCTPLayer:  {name: "sctp", protocol: protoSCTP},
	PIMLayer:   {name: "pim", protocol: protoPIM},
	ICMPLayer:  {name: "icmp", etherType: typeIPv4, protocol: protoICMP},
	IGMPLayer:  {name: "igmp", etherType: typeIPv4, protocol: protoIGMP},
	IGRPLayer:  {name: "igrp", etherType: typeIPv4, protocol: protoIGRP},
	VRRPLayer:  {name: "vrrp", etherType: typeIPv4, protocol: protoVRRP},
	ICMP6Layer: {name: "icmp6", etherType: typeIPv6, protocol: protoICMP6},
}

// EtherTypes and IANA protocol numbers that the language has words for.
const (
	typeIPv4 = 0x0800
	typeARP  = 0x0806
	typeRARP = 0x8035
	typeIPv6 = 0x86dd

	protoICMP  = 1
	protoIGMP  = 2
	protoTCP   = 6
	protoIGRP  = 9
	protoUDP   = 17
	protoESP   = 50
	protoAH    = 51
	protoICMP6 = 58
	protoPIM   = 103
	protoVRRP  = 112 // CARP uses the same
	protoSCTP  = 132
)

// EtherType is the EtherType that a packet with this layer has. There is none
// to ask for in [EtherLayer], and in layers of both versions of IP.
func (l Layer) EtherType() (value uint16, ok bool) {
	if l >= layers {
		return 0, false
	}
	return layerInfo[l].etherType, layerInfo[l].etherType != 0
}

// Transport is the protocol that a packet with this layer has, which is then
// no later fragment. There is none to ask for in the layers up to IP.
func (l Layer) Transport() (proto Proto, ok bool) {
	if l < TCPLayer || l >= layers {
		return Proto{}, false
	}
	version := AnyIP
	switch layerInfo[l].etherType {
	case typeIPv4:
		version = IPv4
	case typeIPv6:
		version = IPv6
	}
	return Proto{Version: version, Number: layerInfo[l].protocol}, true
}

// ofBoth reports whether packets of both versions of IP may have the layer.
func (l Layer) ofBoth() bool {
	proto, ok := l.Transport()
	return ok && proto.Version == AnyIP
}

// String is the word for the layer: tcp.
func (l Layer) String() string {
	if l >= layers {
		return fmt.Sprintf("layer %d", uint8(l))
	}
	return layerInfo[l].name
}

// Layers are the layers that a packet must have for the relation to hold, each
// once and in the order of the text: those of the loads that each side begins
// with, and of the loads in their offsets. As in libpcap, what stands to the
// right of an arithmetic operator is not asked for: len - tcp[12] > 40 loads
// the byte from whatever the packet has there. That is tcp[12] - len > 40 of
// TCP alone, and so is any relation behind tcp and.
func (r Relation) Layers() []Layer {
	return appendLayers(appendLayers(nil, r.Left), r.Right)
}

func appendLayers(list []Layer, a Arith) []Layer {
	switch a := a.(type) {
	case Load:
		list = appendLayers(list, a.Offset)
		if !slices.Contains(list, a.Layer) {
			list = append(list, a.Layer)
		}
	case Binary:
		return appendLayers(list, a.Left)
	}
	return list
}
