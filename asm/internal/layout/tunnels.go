package layout

import (
	"unsafe"

	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/wire"
)

// GRE, RFC 2784, 2, and RFC 2890, 2: flags and version, the protocol, then what the flags
// announce, 4 bytes each.
var (
	GREFlags    = Field{"gre.flags", 0, bpf.Half}
	GREProtocol = Field{"gre.protocol", 2, bpf.Half}
	GREKey      = Field{"gre.key", 4, bpf.Word} // behind the checksum, if there is one
)

// Bits of GREFlags. Of those in GREUnknown nobody knows what they announce: routing and
// strict source route of RFC 1701, the upper bit of its recursion control, another version.
const (
	GREChecksum = 15 // as numbers of bits
	GREKeyBit   = 13
	GRESequence = 12
	GREUnknown  = 0x4c07
	GREMinLen   = 4
)

// VXLAN (RFC 7348, 5), Geneve (RFC 8926, 3.4) and GTP-U (3GPP TS 29.281, 5.1) from the UDP
// header on.
var (
	VXLANFlags     = Field{"vxlan.flags", UDPLen, bpf.Byte}
	VXLANVNI       = Field{"vxlan.vni", UDPLen + 4, bpf.Word}       // and 8 bits behind
	GeneveLength   = Field{"geneve.ver_opt_len", UDPLen, bpf.Byte}  // version, and 6 bits of options in 4 bytes
	GeneveProtocol = Field{"geneve.protocol", UDPLen + 2, bpf.Half} //
	GeneveVNI      = Field{"geneve.vni", UDPLen + 4, bpf.Word}      // and 8 bits behind
	GTPFlags       = Field{"gtp.flags", UDPLen, bpf.Byte}           // version, protocol type, and what is there
	GTPType        = Field{"gtp.type", UDPLen + 1, bpf.Byte}
	GTPTEID        = Field{"gtp.teid", UDPLen + 4, bpf.Word}
	GTPNext        = Field{"gtp.next", 3, bpf.Byte}    // of the 4 bytes behind the header, if there are
	GTPExtLength   = Field{"gtp_ext.len", 0, bpf.Byte} // in 4 bytes; its last byte is what follows it
)

// Lengths, and what those fields say of what is known.
const (
	UDPLen    = 8
	TunnelLen = UDPLen + 8 // with the header of any of the three, without options

	VXLANKnown  = 0x0c // flags: that there is a VNI, and that what is inside is not said (GPE)
	VXLANHasVNI = 0x08

	GTPKnown   = 0xf0 // version and protocol type
	GTPUser    = 0x30 // 1, and GTP, not GTP'
	GTPOptions = 0x07 // each of three says that the 4 bytes are there
	GTPHasNext = 0x04
	GTPData    = 255 // G-PDU
	GTPOptLen  = 4
)

// UDP ports, and EtherTypes of what tunnels carry besides IP.
const (
	PortVXLAN     = 4789
	PortVXLANOld  = 8472 // Linux's own, from before there was a standard: flannel's and Cilium's
	PortGeneve    = 6081
	PortGTPU      = 2152
	EtherBridging = 0x6558 // transparent Ethernet bridging: a frame
)

// IANA protocol numbers of tunnels.
const (
	ProtoIPIP = 4
	ProtoIPv6 = 41
	ProtoGRE  = 47
)

// Outer lists those fields of wire.Outer that are not copied from wire.Record, from the
// record's start on.
var Outer = struct{ Source, SourcePort, OuterVLAN, ID, Offset, Tunnel, Payload, HasID RecordField }{
	Source:     outerField("source", unsafe.Offsetof(wire.Outer{}.Source), bpf.DWord),
	SourcePort: outerField("source_port", unsafe.Offsetof(wire.Outer{}.SourcePort), bpf.DWord),
	OuterVLAN:  outerField("outer_vlan", unsafe.Offsetof(wire.Outer{}.OuterVLAN), bpf.Half),
	ID:         outerField("id", unsafe.Offsetof(wire.Outer{}.ID), bpf.Word),
	Offset:     outerField("offset", unsafe.Offsetof(wire.Outer{}.Offset), bpf.Half),
	Tunnel:     outerField("tunnel", unsafe.Offsetof(wire.Outer{}.Tunnel), bpf.Byte),
	Payload:    outerField("payload", unsafe.Offsetof(wire.Outer{}.Payload), bpf.Byte),
	HasID:      outerField("has_id", unsafe.Offsetof(wire.Outer{}.HasID), bpf.Byte),
}

func outerField(name string, offset uintptr, size bpf.Size) RecordField {
	return RecordField{"outer." + name, unsafe.Offsetof(wire.WideRecord{}.Outer) + offset, size}
}

// Bounds of what is looked at in tunnels, in bytes from the frame's start.
const (
	// MaxTunnelAt is where the header of a tunnel may begin, or the UDP header before it: farther
	// on there is none, whatever stands there. That is room for a hundred bytes and more of
	// extension headers, which tunnels have one of.
	MaxTunnelAt = 512

	// MaxGTPExtensions is how many extension headers of GTP-U are stepped over. One is usual.
	MaxGTPExtensions = 4

	// MaxPayloadAt is where the inner packet begins at most.
	MaxPayloadAt = MaxTunnelAt + TunnelLen + GTPOptLen + MaxGTPExtensions*255*4

	// FrameMask has room for that.
	FrameMask = 1<<13 - 1
)
