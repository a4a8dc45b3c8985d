package capfile

import (
	"encoding/binary"
	"fmt"
)

// pcap is the classic format (draft-ietf-opsawg-pcap), and its variants that
// libpcap takes: one interface, and a header of fixed length before each packet.
type pcap struct {
	order  binary.ByteOrder
	nanos  bool // times are in nanoseconds, else in microseconds
	header int  // of each packet, in bytes
	swap   swapped
	link   linkType
	cook   *link // of link, where that is not Ethernet
	snap   uint32
}

// swapped says whether the two lengths before a packet stand in the other order,
// as they did before version 2.3, and in that one sometimes.
type swapped uint8

const (
	notSwapped swapped = iota
	maybeSwapped
	alwaysSwapped
)

// Magic numbers of the variants, as the machine that wrote the file has them.
const (
	magicMicros    = 0xa1b2c3d4
	magicNanos     = 0xa1b23c4d
	magicKuznetzov = 0xa1b2cd34 // Kuznetzov's patched libpcap, also FRITZ!Box: 8 bytes more before each packet
)

const (
	pcapHeader      = 24
	packetHeader    = 16
	kuznetzovHeader = 24
)

// pcapOf returns the format of a file by its first four bytes, or nil if they are
// none of pcap's.
func pcapOf(magic []byte) *pcap {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(magic) {
		case magicMicros:
			return &pcap{order: order, header: packetHeader}
		case magicNanos:
			return &pcap{order: order, header: packetHeader, nanos: true}
		case magicKuznetzov:
			return &pcap{order: order, header: kuznetzovHeader}
		}
	}
	return nil
}

// open reads the file's header.
func (p *pcap) open(s *scanner) error {
	b, err := s.next(pcapHeader)
	if err != nil {
		return err
	}
	major, minor := p.order.Uint16(b[4:]), p.order.Uint16(b[6:])
	switch {
	case major == 2 && minor < 3, major == 543 && minor == 0: // DG/UX
		p.swap = alwaysSwapped
	case major == 2 && minor == 3:
		p.swap = maybeSwapped
	case major != 2 || minor > 4:
		return fmt.Errorf("version %d.%d of pcap is not read, 2.0 to 2.4 are", major, minor)
	}
	p.snap = p.order.Uint32(b[16:])
	p.link = linkType(p.order.Uint32(b[20:]) & 0x03ffffff) // above: the length of the FCS
	return nil
}

// read returns the next packet.
func (p *pcap) read(s *scanner, _ *File) (packet, error) {
	s.begin()
	b, err := s.next(p.header)
	if err != nil {
		return packet{}, err
	}
	captured, length := p.order.Uint32(b[8:]), p.order.Uint32(b[12:])
	if p.swap == alwaysSwapped || p.swap == maybeSwapped && captured > length {
		captured, length = length, captured
	}
	if captured > MaxSnapLen {
		return packet{}, fmt.Errorf("%d bytes captured of a packet, which is more than %d", captured, MaxSnapLen)
	}
	data, err := s.next(int(captured))
	return packet{time: p.time(b), length: max(length, captured), data: data, cook: p.cook}, cut(err)
}
