package capfile

import (
	"encoding/binary"
	"iter"
)

// What is added to the blocks of pcapng that pcapgo makes, which are
// little-endian: draft-ietf-opsawg-pcapng.
const (
	packetBlock = 6 // Enhanced Packet Block

	optionComment   = 1
	optionSpeed     = 8 // of an interface: if_speed, bits per second
	optionAccepted  = 6 // of statistics: isb_filteraccept
	optionDelivered = 8 // isb_usrdeliv
)

// blocks are the whole blocks in b.
func blocks(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(b) >= 8 {
			length := int(binary.LittleEndian.Uint32(b[4:]))
			if length > len(b) || !yield(b[:length]) {
				return
			}
			b = b[length:]
		}
	}
}

func blockType(block []byte) uint32 { return binary.LittleEndian.Uint32(block) }

// addOption adds an option to the last block, which has others already. pcapgo
// has no place for it.
func (w *Writer) addOption(code uint16, value []byte) {
	w.ng.Flush() // into our own buffer
	var last []byte
	for block := range blocks(w.blocks.Bytes()) {
		last = block
	}
	const tail = 4 + 4 // the end of the options, and the length again
	order := binary.LittleEndian
	option := order.AppendUint16(nil, code)
	option = order.AppendUint16(option, uint16(len(value)))
	option = append(option, value...)
	for len(option)%4 != 0 {
		option = append(option, 0)
	}
	block := append(append(append([]byte(nil), last[:len(last)-tail]...), option...), last[len(last)-tail:]...)
	order.PutUint32(block[4:], uint32(len(block)))
	order.PutUint32(block[len(block)-4:], uint32(len(block)))
	w.blocks.Truncate(w.blocks.Len() - len(last))
	w.blocks.Write(block)
}
