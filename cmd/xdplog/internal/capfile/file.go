// Package capfile reads and writes capture files: pcap and pcapng of Ethernet
// frames in, pcapng out.
//
// What is captured must be readable at any moment and up to any failure, and so
// must what is read: a file may be a pipe that somebody still writes to, or may
// end in the middle of a packet. So a [Writer] writes whole blocks, and cuts the
// file behind the last of them where a write fails. A [File] is read ahead on a
// goroutine of its own, hands over what it has before it waits for more, and can
// be interrupted while it waits; an error names the file and the packet.
//
// pcapgo knows the formats; what it has no place for is in blocks.go. The package
// imports names, term and version beside it, and the library's reader and
// asm/wire.
package capfile

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/reader"
)

// A File is a pcap or pcapng file of Ethernet frames that is being read. Its
// errors name it.
type File struct {
	in      *input // nil: no more than a stream, in tests
	name    string
	linked  layers.LinkType
	snaplen uint32
	packets uint64 // read so far
	next    func() ([]byte, gopacket.CaptureInfo, error)

	// Of pcapng: its interfaces are numbered anew in each section.
	ng    *pcapgo.NgReader
	ids   []int             // of this section's interfaces, by number
	found []names.Interface // of all sections, by id; the names may be empty
}

// What a file begins with.
const (
	magicSection = 0x0a0d0d0a // pcapng's Section Header Block
	magicGzip    = 0x1f8b
)

// readBuffer is how much is read from a file at a time.
const readBuffer = 256 << 10

// MaxSnapLen is the most bytes of a packet that a file keeps: what tcpdump calls
// no limit.
const MaxSnapLen = 262144

// Open opens a capture file, or for "-" stdin, and reads its header. From a pipe,
// that may take until somebody writes one: what comes from interrupted meanwhile
// ends it with [ErrInterrupted].
func Open(name string, stdin *os.File, interrupted <-chan os.Signal) (*File, error) {
	in, err := openInput(name, stdin)
	if err != nil {
		return nil, err
	}
	type result struct {
		file *File
		err  error
	}
	opened := make(chan result, 1)
	go func() {
		file, err := readHeader(in.name, in)
		opened <- result{file, err}
	}()
	var r result
	select {
	case r = <-opened:
	case <-interrupted:
		in.interrupt()
		<-opened
		r.err = ErrInterrupted
	}
	if r.err != nil {
		in.close()
		return nil, r.err
	}
	r.file.in = in
	return r.file, nil
}

// Close closes the file, unless it is stdin. Nobody may be reading it.
func (f *File) Close() error {
	f.in.close()
	return nil
}

// readHeader reads the header of a capture file, by the name for errors.
func readHeader(name string, from io.Reader) (*File, error) {
	f := &File{name: name}
	buffered := bufio.NewReaderSize(from, readBuffer)
	magic, err := buffered.Peek(4)
	switch {
	case err != nil && err != io.EOF:
		return nil, f.fail(err)
	case len(magic) == 0:
		return nil, fmt.Errorf("%s is empty, which is not a capture file", f.name)
	case len(magic) > 1 && binary.BigEndian.Uint16(magic) == magicGzip:
		return nil, fmt.Errorf("%s is compressed: take gzip -dc FILE | xdplog -r -", f.name)
	case len(magic) == 4 && binary.BigEndian.Uint32(magic) == magicSection:
		err = f.openNg(buffered)
	default:
		err = f.openPcap(buffered)
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("%s: truncated dump file: it ends in its header", f.name)
	case errors.Is(err, ErrInterrupted):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%s is not a pcap or pcapng file: %w", f.name, lower(err))
	case f.linked != layers.LinkTypeEthernet:
		return nil, fmt.Errorf("%s: link type %s: only Ethernet is read", f.name, linkName(f.linked))
	}
	return f, nil
}

func (f *File) openPcap(from io.Reader) error {
	r, err := pcapgo.NewReader(from)
	if err != nil {
		return err
	}
	f.linked, f.snaplen, f.next = r.LinkType(), r.Snaplen(), r.ZeroCopyReadPacketData
	f.found = []names.Interface{{}}
	return nil
}

func (f *File) openNg(from io.Reader) error {
	r, err := pcapgo.NewNgReader(from, pcapgo.NgReaderOptions{
		ErrorOnMismatchingLinkType: true,
		SectionEndCallback:         func([]pcapgo.NgInterface, pcapgo.NgSectionInfo) { f.ids = f.ids[:0] },
	})
	if err != nil {
		return err
	}
	first, err := r.Interface(0)
	if err != nil {
		return err
	}
	f.ng, f.linked, f.snaplen, f.next = r, r.LinkType(), first.SnapLength, r.ZeroCopyReadPacketData
	return nil
}

// Greeting is tcpdump's line about a file.
func (f *File) Greeting() string {
	snaplen := f.snaplen
	if snaplen == 0 {
		snaplen = MaxSnapLen
	}
	return fmt.Sprintf("reading from file %s, link-type EN10MB (Ethernet), snapshot length %d", f.name, snaplen)
}

// Read returns the next packet, whose bytes stay until the next call, or
// [io.EOF] at the file's end.
func (f *File) Read() (reader.Packet, error) {
	data, info, err := f.next()
	switch {
	case err == io.EOF && info.CaptureLength == 0:
		return reader.Packet{}, io.EOF
	case err != nil:
		return reader.Packet{}, f.fail(err)
	}
	f.packets++
	if info.Timestamp.IsZero() { // a Simple Packet Block has none
		info.Timestamp = time.Unix(0, 0)
	}
	event := reader.Event{
		Time:      info.Timestamp,
		Length:    max(info.Length, len(data)),
		Interface: f.id(info.InterfaceIndex),
	}
	return reader.Packet{Event: event, Data: data}, nil
}

// id is that of an interface of the current section.
func (f *File) id(number int) int {
	if f.ng == nil {
		return 0
	}
	for len(f.ids) <= number {
		name := ""
		if found, err := f.ng.Interface(len(f.ids)); err == nil {
			name = found.Name
		}
		id := len(f.found)
		f.ids = append(f.ids, id)
		f.found = append(f.found, names.Interface{Index: id, Name: name})
	}
	return f.ids[number]
}

// fail says where in the file reading ended, and why.
func (f *File) fail(err error) error {
	switch {
	case errors.Is(err, ErrInterrupted):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: truncated dump file: it ends in packet %d", f.name, f.packets+1)
	case errors.Is(err, pcapgo.ErrNgLinkTypeMismatch):
		return fmt.Errorf("%s: packet %d is from an interface of another link type: only Ethernet is read", f.name, f.packets+1)
	}
	return fmt.Errorf("%s: broken at packet %d: %w", f.name, f.packets+1, lower(err))
}

// lower is an error that begins with a small letter, as ours do.
func lower(err error) error {
	text := []byte(err.Error())
	if len(text) > 1 && 'A' <= text[0] && text[0] <= 'Z' && 'a' <= text[1] && text[1] <= 'z' {
		text[0] += 'a' - 'A'
		return errors.New(string(text))
	}
	return err
}

// linkName is the name of a link type, with its number.
func linkName(t layers.LinkType) string {
	if name := t.String(); name != "" && name[0] != 'U' {
		return fmt.Sprintf("%s (%d)", name, uint32(t))
	}
	return fmt.Sprint(uint32(t))
}
