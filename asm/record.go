package asm

import (
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/wire"
)

// recordField is a field of wire.Record.
type recordField struct {
	name   string
	offset uintptr
	size   bpf.Size // of its scalars; addresses are written in pieces
}

// rec lists the record's fields, whose places package wire knows.
var rec = struct {
	time, source, destination, length, iface, sourcePort, destinationPort,
	outerVLAN, innerVLAN, etherType, flags, protocol, tcpFlags, ttl, tags recordField
}{
	time:            recordField{"time", wire.OffTime, bpf.DWord},
	source:          recordField{"source", wire.OffSource, bpf.Word},
	destination:     recordField{"destination", wire.OffDestination, bpf.Word},
	length:          recordField{"length", wire.OffLength, bpf.Word},
	iface:           recordField{"interface", wire.OffInterface, bpf.Word},
	sourcePort:      recordField{"source_port", wire.OffSourcePort, bpf.Half},
	destinationPort: recordField{"destination_port", wire.OffDestinationPort, bpf.Half},
	outerVLAN:       recordField{"outer_vlan", wire.OffOuterVLAN, bpf.Half},
	innerVLAN:       recordField{"inner_vlan", wire.OffInnerVLAN, bpf.Half},
	etherType:       recordField{"ether_type", wire.OffEtherType, bpf.Half},
	flags:           recordField{"flags", wire.OffFlags, bpf.Half},
	protocol:        recordField{"protocol", wire.OffProtocol, bpf.Byte},
	tcpFlags:        recordField{"tcp_flags", wire.OffTCPFlags, bpf.Byte},
	ttl:             recordField{"ttl", wire.OffTTL, bpf.Byte},
	tags:            recordField{"tags", wire.OffTags, bpf.Byte},
}

// store writes a scalar of the record.
func (b *builder) store(f recordField, from bpf.Register) { b.storeAt(f, 0, from, f.size) }

// storeImm writes a constant to a scalar of the record.
func (b *builder) storeImm(f recordField, value int64) { b.storeImmAt(f, 0, value, f.size) }

// storeAt writes size bytes at an offset into a field of the record.
func (b *builder) storeAt(f recordField, offset int16, from bpf.Register, size bpf.Size) {
	b.note("record."+f.name, bpf.StoreMem(record, int16(f.offset)+offset, from, size))
}

func (b *builder) storeImmAt(f recordField, offset int16, value int64, size bpf.Size) {
	b.note("record."+f.name, bpf.StoreImm(record, int16(f.offset)+offset, value, size))
}

// loadRecord loads a scalar of the record.
func (b *builder) loadRecord(dst bpf.Register, f recordField) {
	b.note("record."+f.name, bpf.LoadMem(dst, record, int16(f.offset), f.size))
}

// clearScalars zeroes what not every packet has: all from the ports on, which
// is two double words.
func (b *builder) clearScalars() {
	b.emit(bpf.Mov.Imm(bpf.R1, 0))
	for offset := wire.OffSourcePort; offset < uintptr(wire.RecordSize); offset += 8 {
		b.emit(bpf.StoreMem(record, int16(offset), bpf.R1, bpf.DWord))
	}
}

// clearAddresses zeroes the addresses, in a packet that has none.
func (b *builder) clearAddresses() {
	b.emit(bpf.Mov.Imm(bpf.R1, 0))
	for offset := wire.OffSource; offset < wire.OffDestination+16; offset += 8 {
		b.emit(bpf.StoreMem(record, int16(offset), bpf.R1, bpf.DWord))
	}
}

// decoded writes what the parser holds in registers.
func (b *builder) decoded() {
	b.store(rec.flags, flags)
	b.store(rec.protocol, next)
}

// Fields of struct xdp_md (linux/bpf.h), the program's context.
var (
	mdData    = field{"xdp_md.data", 0, bpf.Word}
	mdDataEnd = field{"xdp_md.data_end", 4, bpf.Word}
	mdIngress = field{"xdp_md.ingress_ifindex", 12, bpf.Word}
)

func (b *builder) loadContext(dst bpf.Register, f field) {
	b.note(f.name, bpf.LoadMem(dst, ctx, f.offset, f.size))
}

// complete fills in what is the same for every packet, once it is known that
// it will be reported: these cost most.
func (b *builder) complete(clock Clock, frags bool) {
	switch {
	case b.replay:
		b.recorded(bpf.R0, replay.time)
	case clock == NoClock:
		b.emit(bpf.Mov.Imm(bpf.R0, 0))
	case clock == CoarseClock:
		b.emit(bpf.FnKtimeGetCoarseNs.Call())
	default:
		b.emit(bpf.FnKtimeGetNs.Call())
	}
	b.store(rec.time, bpf.R0)

	b.length(frags)
	b.store(rec.length, bpf.R0)

	if b.replay {
		b.recorded(bpf.R1, replay.iface)
	} else {
		b.loadContext(bpf.R1, mdIngress)
	}
	b.store(rec.iface, bpf.R1)
}

// length leaves the packet's length in r0.
func (b *builder) length(frags bool) {
	switch {
	case b.replay:
		b.recorded(bpf.R0, replay.length)
	case frags:
		b.emit(
			bpf.Mov.Reg(bpf.R1, ctx),
			bpf.FnXdpGetBuffLen.Call(), // 5.18: over all of a packet's buffers, not the first alone,
		)
	default:
		b.loadContext(bpf.R1, mdData)
		b.emit(
			bpf.Mov.Reg(bpf.R0, end),
			bpf.Sub.Reg(bpf.R0, bpf.R1),
		)
	}
}
