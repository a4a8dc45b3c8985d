package layout

import (
	"unsafe"

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
	Time:            RecordField{"time", unsafe.Offsetof(wire.Record{}.Time), bpf.DWord},
	Source:          RecordField{"source", unsafe.Offsetof(wire.Record{}.Source), bpf.Word},
	Destination:     RecordField{"destination", unsafe.Offsetof(wire.Record{}.Destination), bpf.Word},
	Length:          RecordField{"length", unsafe.Offsetof(wire.Record{}.LengthSlot), bpf.Word},
	Interface:       RecordField{"interface", unsafe.Offsetof(wire.Record{}.Interface), bpf.Word},
	SourcePort:      RecordField{"source_port", unsafe.Offsetof(wire.Record{}.SourcePort), bpf.Half},
	DestinationPort: RecordField{"destination_port", unsafe.Offsetof(wire.Record{}.DestinationPort), bpf.Half},
	OuterVLAN:       RecordField{"outer_vlan", unsafe.Offsetof(wire.Record{}.OuterVLAN), bpf.Half},
	InnerVLAN:       RecordField{"inner_vlan", unsafe.Offsetof(wire.Record{}.InnerVLAN), bpf.Half},
	EtherType:       RecordField{"ether_type", unsafe.Offsetof(wire.Record{}.EtherType), bpf.Half},
	Flags:           RecordField{"flags", unsafe.Offsetof(wire.Record{}.Flags), bpf.Half},
	Protocol:        RecordField{"protocol", unsafe.Offsetof(wire.Record{}.Protocol), bpf.Byte},
	TCPFlags:        RecordField{"tcp_flags", unsafe.Offsetof(wire.Record{}.TCPFlags), bpf.Byte},
	TTL:             RecordField{"ttl", unsafe.Offsetof(wire.Record{}.TTL), bpf.Byte},
	Tags:            RecordField{"tags", unsafe.Offsetof(wire.Record{}.TagsFate), bpf.Byte},
}

// Hash lists the fields of wire.Hash, from the record's start on.
var Hash = struct{ Value, Over RecordField }{
	Value: RecordField{"hash", hashAt + unsafe.Offsetof(wire.Hash{}.Value), bpf.Word},
	Over:  RecordField{"hash_over", hashAt + unsafe.Offsetof(wire.Hash{}.Over), bpf.Word},
}

const hashAt = unsafe.Offsetof(wire.WideRecord{}.Hash)

// Load loads a scalar of the record.
func (f RecordField) Load(b *assemble.Builder, dst bpf.Register) {
	b.Note("record."+f.Name, bpf.LoadMem(dst, Record, int16(f.Offset), f.Size))
}
