package filter

import (
	"encoding/binary"
	"fmt"
)

func (p *packet) holds(n Relation) verdict { return p.holdsIn(n.Layers(), n) }

// holdsIn is holds of a relation whose layers are known.
func (p *packet) holdsIn(layers []Layer, n Relation) verdict {
	for _, layer := range layers {
		if v := p.has(layer); v != yes {
			return v
		}
	}
	left, ok := p.compute(n.Left)
	if !ok {
		return missing
	}
	right, ok := p.compute(n.Right)
	if !ok {
		return missing
	}
	return is(compare(n.Op, left, right))
}

// has says whether the packet has the layer's header.
func (p *packet) has(layer Layer) verdict {
	if transport, asked := layer.Transport(); asked {
		return is(p.version != AnyIP && (transport.Version == AnyIP || transport.Version == p.version) &&
			p.protocol == transport.Number && !p.later).typed(p)
	}
	if etherType, asked := layer.EtherType(); asked {
		return is(p.typed > 0 && p.etherType() == etherType).typed(p)
	}
	return yes
}

// compute returns false for a byte that is not there, and a division by zero.
func (p *packet) compute(a Arith) (n uint32, ok bool) {
	switch a := a.(type) {
	case Number:
		return uint32(a), true
	case Length:
		return p.length, true
	case Load:
		offset, ok := p.compute(a.Offset)
		if !ok {
			return 0, false
		}
		return p.load(a.Layer, offset, int(a.Size))
	case Binary:
		left, ok := p.compute(a.Left)
		if !ok {
			return 0, false
		}
		right, ok := p.compute(a.Right)
		if !ok {
			return 0, false
		}
		return calculate(a.Op, left, right)
	}
	panic(fmt.Sprintf("filter: unknown arithmetic %T", a))
}

func (p *packet) load(layer Layer, offset uint32, size int) (n uint32, ok bool) {
	from := int64(offset)
	switch {
	case layer == EtherLayer && p.headerless:
		return 0, false
	case layer == EtherLayer:
	case layer == ICMP6Layer && p.version == IPv6:
		from += int64(p.transport)
	case layer == ICMP6Layer:
		from += int64(p.network) + 40
	case wraps(layer):
		length := uint32(p.transport - p.network)
		if proto, _ := layer.Transport(); p.version == AnyIP || proto.Version == IPv4 {
			if len(p.frame) <= p.network {
				return 0, false
			}
			length = uint32(p.frame[p.network]&0xf) * 4
		}
		from = int64(p.network) + int64(length+offset)
	default:
		from += int64(p.network)
	}
	if from+int64(size) > int64(len(p.frame)) {
		return 0, false
	}
	switch b := p.frame[from:]; size {
	case 1:
		return uint32(b[0]), true
	case 2:
		return uint32(binary.BigEndian.Uint16(b)), true
	default:
		return binary.BigEndian.Uint32(b), true
	}
}
