package wire

import (
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
// fate are the whole packet's.
type WideRecord struct {
	Record
	Outer Outer
	_     [8]byte
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
	return r.Outer.Decode(b[RecordSize:])
}

// Append appends the record's bytes to b: the inverse of [WideRecord.Decode].
func (r *WideRecord) Append(b []byte) []byte {
	return append(r.Outer.Append(r.Record.Append(b)), make([]byte, 8)...)
}

// Check is [Record.Check] of both packets.
func (r *WideRecord) Check() error {
	if err := r.Record.Check(); err != nil {
		return err
	}
	return r.Outer.check(&r.Record)
}
