package asm

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/xdplog/xdplog/asm/internal/filtertest"
)

// frameMaker makes frames that a parser may stumble over, out of whole ones.
type frameMaker struct {
	*rand.Rand
	base [][]byte
}

func newFrameMaker(seed uint64) *frameMaker {
	m := &frameMaker{Rand: newRand(seed)}
	for _, frame := range filtertest.Frames(seed) {
		if len(frame.Data) >= shortestRun {
			m.base = append(m.base, frame.Data)
		}
	}
	return m
}

// next is a frame as it is, or one that was changed up to three times.
func (m *frameMaker) next() []byte {
	frame := m.base[m.IntN(len(m.base))]
	if m.IntN(3) == 0 {
		return frame
	}
	frame = slices.Clone(frame)
	for range 1 + m.IntN(3) {
		frame = m.change(frame)
	}
	return frame
}

func (m *frameMaker) change(frame []byte) []byte {
	near := min(len(frame), 90)
	switch m.IntN(8) {
	case 0:
		return m.tagged(frame)
	case 1:
		return m.extended(frame)
	case 2: // cut
		return frame[:shortestRun+m.IntN(len(frame)-shortestRun+1)]
	case 3: // any byte
		frame[m.IntN(near)] = byte(m.Uint32())
	case 4: // any bit
		frame[m.IntN(near)] ^= 1 << m.IntN(8)
	case 5: // IPv4: length of the header, fragments, protocol
		if near > 24 {
			frame[14] = 0x40 | byte(m.IntN(16))
			frame[20] = byte(m.IntN(4)) << 5
			frame[21] = byte(m.IntN(2))
			frame[23] = []byte{1, 2, 6, 17, 132, 0, 58}[m.IntN(7)]
		}
	case 6: // ports
		if near > 38 {
			binary.BigEndian.PutUint16(frame[34+2*m.IntN(2):], []uint16{0, 22, 53, 80, 443, 6000, 8080, 65535}[m.IntN(8)])
		}
	case 7: // an address becomes the other one
		if near > 34 {
			copy(frame[26:30], frame[30:34])
		}
	}
	return frame
}

// tagged inserts a VLAN tag.
func (m *frameMaker) tagged(frame []byte) []byte {
	tpid := []uint16{0x8100, 0x88a8, 0x8100, 0x9100}[m.IntN(4)]
	tag := binary.BigEndian.AppendUint16(nil, tpid)
	tag = binary.BigEndian.AppendUint16(tag, uint16(m.IntN(8))<<13|[]uint16{1, 10, 20, 4095}[m.IntN(4)])
	return slices.Insert(frame, 12, tag...)
}

// extended inserts extension headers behind an IPv6 header without tags.
func (m *frameMaker) extended(frame []byte) []byte {
	if len(frame) < 54 || binary.BigEndian.Uint16(frame[12:]) != 0x86dd {
		return frame
	}
	for range 1 + m.IntN(10) {
		kind := []byte{0, 43, 44, 51, 60}[m.IntN(5)]
		length := byte(m.IntN(3))
		size := 8 + 8*int(length)
		switch kind {
		case 51:
			size = 8 + 4*int(length)
		case 44:
			size = 8
		}
		header := make([]byte, size)
		header[0], header[1], frame[20] = frame[20], length, kind
		if kind == 44 && m.IntN(4) == 0 { // a later fragment
			header[2], header[3] = byte(m.IntN(2)), byte(m.IntN(256))
		}
		frame = slices.Insert(frame, 54, header...)
	}
	return frame
}
