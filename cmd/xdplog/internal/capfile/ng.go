package capfile

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// ng is pcapng (draft-ietf-opsawg-pcapng): sections of blocks, each of which says
// how long it is, so that what is not known can be stepped over.
type ng struct {
	order      binary.ByteOrder // of this section
	interfaces []ngInterface    // of this section, by number
}

// ngInterface is an Interface Description Block.
type ngInterface struct {
	link  linkType
	cook  *link // of link, where that is not Ethernet
	snap  uint32
	unit  resolution
	name  string
	extra []byte // other options, for a copy: little-endian, without the end
	id    int    // of all sections' interfaces; -1: none of its packets has come
}

// Blocks of pcapng, by type.
const (
	blockSection    = 0x0a0d0d0a
	blockInterface  = 1
	blockPacket     = 2 // obsolete
	blockSimple     = 3
	blockNames      = 4
	blockStatistics = 5
	blockEnhanced   = 6
	blockSecrets    = 10
	blockOnlyHere   = 0x40000bad // a custom block that copies are not to have
)

// Options, by the block that they are of.
const (
	optionEnd     = 0
	optionComment = 1

	interfaceName       = 2
	interfaceSpeed      = 8
	interfaceFilter     = 11
	interfaceResolution = 9
	interfaceOffset     = 14
)

// byteOrderMagic stands in a section header as its writer's machine has numbers.
const byteOrderMagic = 0x1a2b3c4d

// blockEnds are the bytes of a block beside its body: type and length, and the
// length again.
const blockEnds = 12

// read returns the next packet, of an interface whose link type is read.
func (g *ng) read(s *scanner, f *File) (packet, error) {
	for {
		kind, body, err := g.block(s)
		if err != nil {
			return packet{}, err
		}
		switch kind {
		case blockInterface:
			if err := g.addInterface(body); err != nil {
				return packet{}, err
			}
		case blockEnhanced, blockPacket, blockSimple:
			p, i, err := g.packet(kind, body)
			if err != nil {
				return packet{}, err
			}
			if !i.link.read() {
				f.leave(i.link)
				continue
			}
			if i.id < 0 {
				i.id = f.found(i.link, i.name, i.extra)
			}
			p.iface, p.cook = i.id, i.cook
			return p, nil
		default:
			f.beside(kind, body, g.order)
		}
	}
}

// block returns the type and the body of the next block. A section header changes
// the byte order of what follows, its own length included.
func (g *ng) block(s *scanner) (kind uint32, body []byte, err error) {
	s.begin()
	head, err := s.peek(8)
	if err != nil {
		return 0, nil, err
	}
	if binary.BigEndian.Uint32(head) == blockSection {
		if err := g.section(s); err != nil {
			return 0, nil, err
		}
		if head, err = s.peek(8); err != nil {
			return 0, nil, err
		}
	}
	kind, length := g.order.Uint32(head), g.order.Uint32(head[4:])
	if length < blockEnds || length%4 != 0 || length > mostBlock {
		return 0, nil, fmt.Errorf("a block says that it has %d bytes", length)
	}
	whole, err := s.next(int(length))
	if err != nil {
		return 0, nil, cut(err)
	}
	if again := g.order.Uint32(whole[length-4:]); again != length {
		return 0, nil, fmt.Errorf("a block of %d bytes says at its end that it has %d", length, again)
	}
	return kind, whole[8 : length-4], nil
}

// cut is the error of a piece that is not there whole.
func cut(err error) error {
	if err == io.EOF || err == errPackedEnds {
		return io.ErrUnexpectedEOF
	}
	return err
}

// section begins a section: its interfaces are numbered anew.
func (g *ng) section(s *scanner) error {
	head, err := s.peek(16)
	if err != nil {
		return cut(err)
	}
	switch uint32(byteOrderMagic) {
	case binary.LittleEndian.Uint32(head[8:]):
		g.order = binary.LittleEndian
	case binary.BigEndian.Uint32(head[8:]):
		g.order = binary.BigEndian
	default:
		return fmt.Errorf("a section header has the byte order %#08x", binary.BigEndian.Uint32(head[8:]))
	}
	if major, minor := g.order.Uint16(head[12:]), g.order.Uint16(head[14:]); major != 1 || minor != 0 && minor != 2 {
		return fmt.Errorf("version %d.%d of pcapng is not read, 1.0 and 1.2 are", major, minor)
	}
	g.interfaces = g.interfaces[:0]
	return nil
}

func (g *ng) addInterface(body []byte) error {
	if len(body) < 8 {
		return fmt.Errorf("an interface description of %d bytes", len(body))
	}
	i := ngInterface{
		link: linkType(g.order.Uint16(body)), snap: g.order.Uint32(body[4:]), unit: micros, id: -1,
	}
	i.cook = i.link.cooking()
	for code, value := range options(g.order, body[8:]) {
		switch code {
		case interfaceName:
			i.name = string(trimNUL(value))
		case interfaceResolution:
			if len(value) > 0 {
				i.unit.unit = value[0]
			}
		case interfaceOffset:
			if len(value) == 8 {
				i.unit.offset = int64(g.order.Uint64(value))
			}
		default:
			i.extra = appendOption(i.extra, code, inLittleEndian(g.order, blockInterface, code, value))
		}
	}
	g.interfaces = append(g.interfaces, i)
	return nil
}

func trimNUL(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return b
}

// packet returns that of a block, and its interface.
func (g *ng) packet(kind uint32, body []byte) (packet, *ngInterface, error) {
	fixed := 20
	if kind == blockSimple {
		fixed = 4
	}
	if len(body) < fixed {
		return packet{}, nil, fmt.Errorf("a packet's block of %d bytes", len(body)+blockEnds)
	}
	number := uint32(0)
	switch kind {
	case blockEnhanced:
		number = g.order.Uint32(body)
	case blockPacket:
		number = uint32(g.order.Uint16(body))
	}
	if number >= uint32(len(g.interfaces)) {
		return packet{}, nil, fmt.Errorf("interface %d of %d", number, len(g.interfaces))
	}
	i := &g.interfaces[number]
	p := packet{time: time.Unix(0, 0)}
	captured := uint32(len(body) - fixed)
	if kind == blockSimple {
		p.length = g.order.Uint32(body)
		captured = min(captured, p.length)
		if i.snap != 0 {
			captured = min(captured, i.snap)
		}
	} else {
		p.time = i.unit.time(uint64(g.order.Uint32(body[4:]))<<32 | uint64(g.order.Uint32(body[8:])))
		captured, p.length = g.order.Uint32(body[12:]), g.order.Uint32(body[16:])
	}
	if captured > uint32(len(body)-fixed) {
		return packet{}, nil, fmt.Errorf("%d bytes captured of a packet, in a block with %d", captured, len(body)-fixed)
	}
	p.length = max(p.length, captured)
	p.data = body[fixed:][:captured:captured]
	if padded := fixed + int(captured+3)&^3; kind == blockEnhanced && padded < len(body) {
		p.options, p.order = body[padded:], g.order
	}
	return p, i, nil
}
