package wire

import (
	"encoding/binary"
	"fmt"
	"unsafe"
)

// ReaderWide is the key of a word of a program whose records are each a [WideRecord]: 1.
// There is none of other programs.
const ReaderWide uint32 = 1<<30 + 3

// WideRecord is a [Record] with a second cache line, of a program that has more to say of a
// packet.
//
// Of one that looks into tunnels, and a packet that travels in one, the first cache line is
// the inner packet's, and Outer says in what. Else Outer is zero. Time, length, interface and
// fate are the whole packet's, and so is the hash.
type WideRecord struct {
	Record
	Outer Outer
	Hash  Hash
}

// WideRecordSize is the size of a [WideRecord] in bytes.
const WideRecordSize = int(unsafe.Sizeof(WideRecord{}))

// Decode sets r from the first [WideRecordSize] bytes of b. As [Record.Decode].
func (r *WideRecord) Decode(b []byte) error {
	if len(b) < WideRecordSize {
		return fmt.Errorf("%w: %d bytes, want %d", ErrShort, len(b), WideRecordSize)
	}
	if err := r.Record.Decode(b); err != nil {
		return err
	}
	host := binary.NativeEndian
	r.Hash.Value = host.Uint32(b[unsafe.Offsetof(r.Hash):])
	r.Hash.Over = HashOver(host.Uint32(b[unsafe.Offsetof(r.Hash)+unsafe.Offsetof(r.Hash.Over):]))
	return r.Outer.Decode(b[RecordSize:])
}

// Append appends the record's bytes to b: the inverse of [WideRecord.Decode].
func (r *WideRecord) Append(b []byte) []byte {
	b = r.Outer.Append(r.Record.Append(b))
	b = binary.NativeEndian.AppendUint32(b, r.Hash.Value)
	return binary.NativeEndian.AppendUint32(b, uint32(r.Hash.Over))
}

// Packet is [Record.Packet] of such a record.
func (r *WideRecord) Packet(sample []byte) []byte {
	const behind = WideRecordSize - RecordSize
	if len(sample) < WideRecordSize {
		return nil
	}
	lead := 0
	if r.Outer.Tunnel != NoTunnel && r.Outer.Tags&TagsMask == 0 {
		lead = int(r.Outer.OuterVLAN & VLANMask)
		r.Outer.OuterVLAN &^= VLANMask
	}
	return r.Record.Packet(sample[min(behind+lead, len(sample)):])
}

// Check is [Record.Check] of both packets.
func (r *WideRecord) Check() error {
	if err := r.Record.Check(); err != nil {
		return err
	}
	return r.Outer.check(&r.Record)
}
