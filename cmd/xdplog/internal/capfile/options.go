package capfile

import (
	"encoding/binary"
	"iter"
	"slices"
)

// options are the options in b, by code, up to their end. One that is longer than
// what is left ends them, too: what stands before it is good all the same.
func options(order binary.ByteOrder, b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= 4 {
			code, length := order.Uint16(b), int(order.Uint16(b[2:]))
			b = b[4:]
			if code == optionEnd || length > len(b) || !yield(code, b[:length:length]) {
				return
			}
			b = b[min(len(b), (length+3)&^3):]
		}
	}
}

// appendOption appends an option as this package writes it.
func appendOption(b []byte, code uint16, value []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	return append(b, make([]byte, -len(value)&3)...)
}

// appendNumber appends an option of 64 bits.
func appendNumber(b []byte, code uint16, value uint64) []byte {
	return appendOption(b, code, little.AppendUint64(make([]byte, 0, 8), value))
}

// numbers are the options whose values are one number, which stands in the section's
// byte order, by the block that they are of.
var numbers = map[uint32][]uint16{
	blockInterface: {interfaceSpeed, 16, 17}, // and the speeds of either direction
	blockEnhanced:  {2, 4, 5, 6},             // flags, dropcount, packetid, queue
}

// inLittleEndian is an option's value in the byte order in which this package writes.
func inLittleEndian(order binary.ByteOrder, block uint32, code uint16, value []byte) []byte {
	if order == binary.LittleEndian {
		return value
	}
	switch {
	case slices.Contains(numbers[block], code):
		value = slices.Clone(value)
		slices.Reverse(value)
	case block == blockEnhanced && code == packetVerdict && len(value) == 9: // whose, and a number
		value = slices.Clone(value)
		slices.Reverse(value[1:])
	}
	return value
}
