package format

import (
	"strconv"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/detail"
)

// appendNumber appends the number of an event, as tcpdump does.
func (f *text) appendNumber(b []byte) []byte {
	if !f.detail.Number {
		return b
	}
	f.number++
	for power := uint64(1e4); power > f.number; power /= 10 {
		b = append(b, ' ')
	}
	b = strconv.AppendUint(b, f.number, 10)
	return append(b, "  "...)
}

// appendMACs appends who sent the frame to whom.
func (f *text) appendMACs(b []byte, p detail.Packet) []byte {
	if !f.detail.Ether {
		return b
	}
	source, destination := p.MACs()
	if source == nil && destination == nil {
		return b
	}
	b = detail.AppendMAC(b, source)
	if destination != nil {
		b = detail.AppendMAC(append(b, " > "...), destination)
	}
	return append(b, ", "...)
}

// appendDetail ends the line, with what else is wanted of the packet.
func (f *text) appendDetail(b []byte, p detail.Packet) []byte {
	if f.detail.Verbose {
		b = detail.AppendWords(b, p)
	}
	return f.detail.AppendDump(append(b, '\n'), p)
}
