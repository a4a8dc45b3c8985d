package layout

import (
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/wire"
)

// RecordField is a field of wire.Record.
type RecordField struct {
	Name   string
	Offset uintptr
	Size   bpf.Size // of its scalars; addresses are written in pieces
}

// Rec lists the record's fields, whose places package wire knows.
var Rec = struct {
	Time, Source, Destination, Length, Interface, SourcePort, DestinationPort,
	OuterVLAN, InnerVLAN, EtherType, Flags, Protocol, TCPFlags, TTL, Tags RecordField
}{
	Time:            RecordField{"time", wire.OffTime, bpf.DWord},
	Source:          RecordField{"source", wire.OffSource, bpf.Word},
	Destination:     RecordField{"destination", wire.OffDestination, bpf.Word},
	Length:          RecordField{"length", wire.OffLength, bpf.Word},
	Interface:       RecordField{"interface", wire.OffInterface, bpf.Word},
	SourcePort:      RecordField{"source_port", wire.OffSourcePort, bpf.Half},
	DestinationPort: RecordField{"destination_port", wire.OffDestinationPort, bpf.Half},
	OuterVLAN:       RecordField{"outer_vlan", wire.OffOuterVLAN, bpf.Half},
	InnerVLAN:       RecordField{"inner_vlan", wire.OffInnerVLAN, bpf.Half},
	EtherType:       RecordField{"ether_type", wire.OffEtherType, bpf.Half},
	Flags:           RecordField{"flags", wire.OffFlags, bpf.Half},
	Protocol:        RecordField{"protocol", wire.OffProtocol, bpf.Byte},
	TCPFlags:        RecordField{"tcp_flags", wire.OffTCPFlags, bpf.Byte},
	TTL:             RecordField{"ttl", wire.OffTTL, bpf.Byte},
	Tags:            RecordField{"tags", wire.OffTags, bpf.Byte},
}

// Load loads a scalar of the record.
func (f RecordField) Load(b *assemble.Builder, dst bpf.Register) {
	b.Note("record."+f.Name, bpf.LoadMem(dst, Record, int16(f.Offset), f.Size))
}
