package capfile

import (
	"math"
	"time"
)

// A form is how packets stand in a file that is written.
type form interface {
	// head appends what a file begins with, where it has packets of these interfaces, with
	// comments on it.
	head(b []byte, interfaces []Interface, comments [][]byte) []byte

	// describe appends what is said of one more interface.
	describe(b []byte, i Interface) []byte

	// packet appends one, of the interface with a number. Of may be nil.
	packet(b []byte, number int, at time.Time, data []byte, length int, of *Options) []byte

	// statistics appends those of an interface, as of now.
	statistics(b []byte, number int, now time.Time, s statistics) []byte

	// also appends a block of another file, of secrets or names.
	also(b []byte, from block) []byte
}

// formOf is the form that is asked for.
func formOf(o WriterOptions) form {
	if o.Pcap {
		return pcapForm{o.SnapLen}
	}
	return ngForm{o.SnapLen, o.Filter}
}

// ngForm is pcapng: see blocks.go.
type ngForm struct {
	snapLen int
	filter  string
}

func (f ngForm) head(b []byte, interfaces []Interface, comments [][]byte) []byte {
	b = appendSection(b, comments)
	for _, i := range interfaces {
		b = f.describe(b, i)
	}
	return b
}

func (f ngForm) describe(b []byte, i Interface) []byte {
	return appendInterface(b, i, f.snapLen, f.filter)
}

func (f ngForm) packet(b []byte, number int, at time.Time, data []byte, length int, of *Options) []byte {
	return appendPacket(b, number, at, data, length, of)
}

func (f ngForm) statistics(b []byte, number int, now time.Time, s statistics) []byte {
	return appendStatistics(b, number, now, s)
}

func (f ngForm) also(b []byte, from block) []byte { return appendCopy(b, from) }

// pcapForm is the classic format, with nanoseconds (draft-ietf-opsawg-pcap, 4). It has
// one link type, and no more of interfaces; nor anything else.
type pcapForm struct{ snapLen int }

func (f pcapForm) head(b []byte, interfaces []Interface, _ [][]byte) []byte {
	link := linkEthernet
	if len(interfaces) > 0 {
		link = interfaces[0].linkType()
	}
	b = little.AppendUint32(b, magicNanos)
	b = little.AppendUint16(b, 2) // version 2.4
	b = little.AppendUint16(b, 4)
	b = little.AppendUint64(b, 0) // time zone and accuracy: reserved
	b = little.AppendUint32(b, uint32(f.snapLen))
	return little.AppendUint32(b, uint32(link))
}

// packet has 32 bits for seconds: what is before 1970 or behind 2106 is the nearest
// that has a place there.
func (f pcapForm) packet(b []byte, _ int, at time.Time, data []byte, length int, _ *Options) []byte {
	seconds, nanos := at.Unix(), uint32(at.Nanosecond())
	switch {
	case seconds < 0:
		seconds, nanos = 0, 0
	case seconds > math.MaxUint32:
		seconds, nanos = math.MaxUint32, 999_999_999
	}
	b = little.AppendUint32(b, uint32(seconds))
	b = little.AppendUint32(b, nanos)
	b = little.AppendUint32(b, uint32(len(data)))
	b = little.AppendUint32(b, uint32(max(length, len(data))))
	return append(b, data...)
}

func (pcapForm) describe(b []byte, _ Interface) []byte                        { return b }
func (pcapForm) statistics(b []byte, _ int, _ time.Time, _ statistics) []byte { return b }
func (pcapForm) also(b []byte, _ block) []byte                                { return b }
