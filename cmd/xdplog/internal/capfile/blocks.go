package capfile

import (
	"encoding/binary"
	"iter"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/version"
)

// The blocks of pcapng that are written, in little-endian: draft-ietf-opsawg-pcapng,
// 4. Times are in nanoseconds.

var little = binary.LittleEndian

// blocks are the whole blocks in b.
func blocks(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(b) >= blockEnds {
			length := int(little.Uint32(b[4:]))
			if length > len(b) || !yield(b[:length]) {
				return
			}
			b = b[length:]
		}
	}
}

// begin begins a block, which finish ends.
func begin(b []byte, kind uint32) (extended []byte, start int) {
	start = len(b)
	b = little.AppendUint32(b, kind)
	return little.AppendUint32(b, 0), start
}

func finish(b []byte, start int) []byte {
	length := uint32(len(b) - start + 4)
	little.PutUint32(b[start+4:], length)
	return little.AppendUint32(b, length)
}

// endOptions ends the options of a block, which has some.
func endOptions(b []byte) []byte { return little.AppendUint32(b, optionEnd) }

// appendSection appends a Section Header Block (4.1), with comments.
func appendSection(b []byte, comments [][]byte) []byte {
	const hardware, os, application = 2, 3, 4
	b, start := begin(b, blockSection)
	b = little.AppendUint32(b, byteOrderMagic)
	b = little.AppendUint16(b, 1) // version 1.0
	b = little.AppendUint16(b, 0)
	b = little.AppendUint64(b, math.MaxUint64) // the section's length: not known
	b = appendOption(b, hardware, []byte(runtime.GOARCH))
	b = appendOption(b, os, []byte(runtime.GOOS))
	b = appendOption(b, application, []byte("xdplog "+version.Own().Number))
	for _, comment := range comments {
		b = appendOption(b, optionComment, comment)
	}
	return finish(endOptions(b), start)
}

// appendInterface appends an Interface Description Block (4.2). An interface of a file
// keeps the filter that it has there.
func appendInterface(b []byte, i Interface, snapLen int, filter string) []byte {
	b, start := begin(b, blockInterface)
	b = little.AppendUint16(b, uint16(i.linkType()))
	b = little.AppendUint16(b, 0)
	b = little.AppendUint32(b, uint32(snapLen))
	if i.Name != "" {
		b = appendOption(b, interfaceName, []byte(i.Name))
	}
	if i.Speed != 0 {
		b = appendOption(b, interfaceSpeed, little.AppendUint64(nil, i.Speed))
	}
	const nanoseconds = 9
	b = appendOption(b, interfaceResolution, []byte{nanoseconds})
	if filter != "" && !i.recorded && len(filter) < math.MaxUint16 {
		const text = 0 // what the filter is given as
		b = appendOption(b, interfaceFilter, append([]byte{text}, filter...))
	}
	b = append(b, i.options...)
	return finish(endOptions(b), start)
}

// appendPacket appends an Enhanced Packet Block (4.3), with options unless they are nil.
func appendPacket(b []byte, number int, at time.Time, data []byte, length int, o *Options) []byte {
	// Each packet of a flood comes by here: all of a usual block is set at once.
	const before, behind = 28, 4
	start, size := len(b), before+(len(data)+3)&^3
	b = slices.Grow(b, size+behind)[:start+size]
	block := b[start:]
	ns := sinceEpoch(at)
	little.PutUint32(block[0:], blockEnhanced)
	little.PutUint32(block[8:], uint32(number))
	little.PutUint32(block[12:], uint32(ns>>32))
	little.PutUint32(block[16:], uint32(ns))
	little.PutUint32(block[20:], uint32(len(data)))
	little.PutUint32(block[size-4:], 0) // padding, where the packet's end or the length does not follow
	little.PutUint32(block[24:], uint32(max(length, len(data))))
	copy(block[before:], data)
	if o != nil && len(o.bytes) > 0 {
		b = o.appendTo(b, blockEnhanced)
	}
	return finish(b, start)
}

// appendTo appends options as this package writes them, and their end.
func (o Options) appendTo(b []byte, of uint32) []byte {
	before := len(b)
	for code, value := range options(o.order, o.bytes) {
		b = appendOption(b, code, inLittleEndian(o.order, of, code, value))
	}
	if len(b) > before {
		b = endOptions(b)
	}
	return b
}

// appendTime appends a time as blocks have it: the upper half first. What is before
// 1970 or behind 2554 has no place there, and is the nearest that has.
func appendTime(b []byte, t time.Time) []byte {
	ns := sinceEpoch(t)
	b = little.AppendUint32(b, uint32(ns>>32))
	return little.AppendUint32(b, uint32(ns))
}

// sinceEpoch is a time in nanoseconds.
func sinceEpoch(t time.Time) uint64 {
	const most = math.MaxUint64 / 1_000_000_000
	switch s := t.Unix(); {
	case s < 0:
		return 0
	case uint64(s) >= most:
		return math.MaxUint64
	default:
		return uint64(s)*1_000_000_000 + uint64(t.Nanosecond())
	}
}

// statistics are those of an interface; what is nil is not known.
type statistics struct {
	began, ended                time.Time
	received, accepted, dropped *uint64
	delivered                   uint64
}

// allStatistics are as long as any can be.
func allStatistics() statistics {
	return statistics{received: new(uint64), accepted: new(uint64), dropped: new(uint64)}
}

// appendStatistics appends an Interface Statistics Block (4.6).
func appendStatistics(b []byte, number int, at time.Time, s statistics) []byte {
	const start, stop, received, dropped, accepted, delivered = 2, 3, 4, 5, 6, 8
	b, from := begin(b, blockStatistics)
	b = little.AppendUint32(b, uint32(number))
	b = appendTime(b, at)
	b = appendOption(b, start, appendTime(nil, s.began))
	b = appendOption(b, stop, appendTime(nil, s.ended))
	for _, n := range []struct {
		code  uint16
		value *uint64
	}{{received, s.received}, {dropped, s.dropped}, {accepted, s.accepted}, {delivered, &s.delivered}} {
		if n.value != nil {
			b = appendOption(b, n.code, little.AppendUint64(nil, *n.value))
		}
	}
	return finish(endOptions(b), from)
}

// appendCopy appends a block of another file: of secrets (4.7) or names (4.5), whose
// bodies are records of numbers and bytes.
func appendCopy(b []byte, from block) []byte {
	b, start := begin(b, from.kind)
	body := from.body
	if from.order != binary.ByteOrder(little) {
		body = turned(from)
	}
	return finish(append(b, body...), start)
}

// turned is the body of a block of the other byte order.
func turned(from block) []byte {
	body := append([]byte(nil), from.body...)
	options := 0 // where they begin
	switch from.kind {
	case blockSecrets: // type and length, 32 bits each
		if len(body) < 8 {
			return body
		}
		little.PutUint32(body, from.order.Uint32(body))
		length := from.order.Uint32(body[4:])
		little.PutUint32(body[4:], length)
		options = 8 + int(length+3)&^3
	case blockNames: // records of type and length, 16 bits each, up to one of type 0
		for options+4 <= len(body) {
			kind, length := from.order.Uint16(body[options:]), from.order.Uint16(body[options+2:])
			little.PutUint16(body[options:], kind)
			little.PutUint16(body[options+2:], length)
			options += 4 + int(length+3)&^3
			if kind == 0 {
				break
			}
		}
	}
	if options >= len(body) {
		return body
	}
	return Options{bytes: body[options:], order: from.order}.appendTo(body[:options:options], from.kind)
}
