// Package capfile reads and writes capture files: pcap and pcapng in, and out.
//
// What is captured must be readable at any moment and up to any failure, and so must what is read: a file may be a pipe
// that somebody still writes to, or may end in the middle of a packet. So a [Writer] writes whole blocks, and cuts the file
// behind the last of them where a write fails. Where one file follows another ([Ring]), the next has no name before it has
// its head. How packets stand in a file is a form: another one is a type that is a form, and a case in formOf. A [File] is read ahead on a goroutine of its own, in chunks whose packets
// are handed over without being copied, before it waits for more; and an error names the file, the packet and its offset.
//
// Most packets of a file are wanted by nobody. So that goroutine asks a [Selector], on the bytes as they are in memory, before
// anything is made of them. What most packets are is read in a loop of its own, quick; read is for all others and for what is
// broken, and a test holds both to the same. Several files are merged by time, which copies what is selected.
//
// The formats are read and written here, not by a library: pcapgo, which did it before, gets the times of some resolutions
// wrong, stops at files that libpcap reads, takes ten times as long, and makes the command 2 MB larger. The package imports
// names, term and version beside it, and the library's reader and asm/wire. What a file is packed by, libraries unpack.
package capfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
)

// A File is a capture file that is being read. Its errors name it.
type File struct {
	in      *input // nil: no more than a stream, in tests
	name    string
	scanner scanner
	format  interface {
		read(*scanner, *File) (packet, error)
		quick(*scanner, *File, *Selection)
	}
	link     linkType // of the first interface that is read
	snap     uint32
	packets  uint64              // read so far, also those left out
	left     map[linkType]uint64 // left out, by link type
	ids      int                 // of interfaces that packets were read from
	uncopied int                 // blocks that belong to a copy of the file, and are not known here
	batch    *Packets            // being filled
}

// packet is one as the file has it, in the scanner's memory.
type packet struct {
	time    time.Time
	length  uint32 // that it had, of which data may be less
	data    []byte
	iface   int
	cook    *link  // nil: it is an Ethernet frame
	around  []byte // of the packet, where there is something before it that can be written over
	options []byte // of pcapng, as they stand there
	order   binary.ByteOrder
}

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

// regular says whether reading never waits for somebody to write.
func (f *File) regular() bool { return f.in != nil && f.in.regular }

// Close closes the file, unless it is stdin. Nobody may be reading it.
func (f *File) Close() error {
	f.in.close()
	return nil
}

// readHeader reads the header of a capture file, by the name for errors.
func readHeader(name string, from io.Reader) (*File, error) {
	f := &File{name: name, left: make(map[linkType]uint64), batch: new(Packets)}
	f.scanner = scanner{from: from, fresh: f.batch.memory}
	magic, err := f.scanner.peek(4)
	if err == nil {
		magic, err = f.unpack(magic, from)
	}
	switch {
	case err == io.EOF:
		return nil, fmt.Errorf("%s is empty, which is not a capture file", f.name)
	case cut(err) == io.ErrUnexpectedEOF:
		return nil, fmt.Errorf("%s: truncated dump file: it ends in its header", f.name)
	case errors.As(err, new(errPacked)):
		return nil, fmt.Errorf("%s %w", f.name, err)
	case err != nil:
		return nil, f.fail(err)
	}
	if binary.BigEndian.Uint32(magic) == blockSection {
		err = f.openNg()
	} else {
		err = f.openPcap(magic)
	}
	switch {
	case cut(err) == io.ErrUnexpectedEOF:
		return nil, fmt.Errorf("%s: truncated dump file: it ends in its header", f.name)
	case errors.Is(err, ErrInterrupted):
		return nil, err
	case errors.As(err, new(errLink)):
		return nil, fmt.Errorf("%s: %w", f.name, err)
	case err != nil:
		return nil, fmt.Errorf("%s is not a pcap or pcapng file: %w", f.name, err)
	}
	return f, nil
}

// errLink is that of a file of one link type that is not read.
type errLink linkType

func (e errLink) Error() string {
	return fmt.Sprintf("link type %v is not read: Ethernet, Linux cooked, raw IP and loopback are", linkType(e))
}

func (f *File) openPcap(magic []byte) error {
	p := pcapOf(magic)
	if p == nil {
		return fmt.Errorf("unknown magic %x", magic)
	}
	if err := p.open(&f.scanner); err != nil {
		return err
	}
	if !p.link.read() {
		return errLink(p.link)
	}
	p.cook = p.link.cooking()
	f.format, f.link, f.snap = p, p.link, p.snap
	f.found(p.link, "", nil)
	return nil
}

// openNg reads up to the first interface of a link type that is read, or to a packet.
func (f *File) openNg() error {
	g := new(ng)
	f.format = g
	if err := g.section(&f.scanner); err != nil {
		return err
	}
	for {
		kind, body, err := g.block(&f.scanner)
		if err != nil {
			return err
		}
		switch kind {
		case blockInterface:
			if err := g.addInterface(body); err != nil {
				return err
			}
			if i := g.interfaces[len(g.interfaces)-1]; i.link.read() {
				f.link, f.snap = i.link, i.snap
				return nil
			}
		case blockEnhanced, blockPacket, blockSimple:
			if len(g.interfaces) == 0 {
				return errors.New("a packet stands before any interface")
			}
			// Nothing that is read so far. What follows may be.
			_, i, err := g.packet(kind, body)
			if err != nil {
				return err
			}
			f.leave(i.link)
		default:
			f.beside(kind, body, g.order)
		}
	}
}

// Greeting is tcpdump's line about a file.
func (f *File) Greeting() string {
	snap := f.snap
	if snap == 0 {
		snap = MaxSnapLen
	}
	of := links[f.link]
	return fmt.Sprintf("reading from file %s, link-type %s (%s), snapshot length %d", f.name, of.name, of.title, snap)
}

// next returns the next packet. The error is [io.EOF] at the file's end.
func (f *File) next() (packet, error) {
	p, err := f.format.read(&f.scanner, f)
	switch {
	case err == io.EOF:
		return packet{}, io.EOF
	case err != nil:
		return packet{}, f.fail(err)
	}
	f.packets++
	return p, nil
}

// found notes an interface from which packets are read, and returns its id.
func (f *File) found(link linkType, name string, options []byte) int {
	id := f.ids
	f.ids++
	f.batch.Found = append(f.batch.Found, Interface{
		Interface: names.Interface{Index: id, Name: name}, recorded: true, link: link, options: options,
	})
	return id
}

// leave leaves a packet out.
func (f *File) leave(link linkType) {
	f.packets++
	f.left[link]++
}

// Left says which packets were left out, in a line, or "" where none was. It is for
// when the reading has ended. Of a file from which nothing else was to be read that is
// an error.
func (f *File) Left() (line string, err error) {
	var parts []string
	for _, link := range slices.Sorted(maps.Keys(f.left)) {
		parts = append(parts, fmt.Sprintf("%d of link type %v", f.left[link], link))
	}
	if len(parts) == 0 {
		return "", nil
	}
	if f.ids == 0 {
		return "", fmt.Errorf("%s: not read: %s; Ethernet, Linux cooked, raw IP and loopback are", f.name, strings.Join(parts, ", "))
	}
	return fmt.Sprintf("%s: not read: %s", f.name, strings.Join(parts, ", ")), nil
}

// fail says where in the file reading ended, and why.
func (f *File) fail(err error) error {
	switch {
	case errors.Is(err, ErrInterrupted):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: truncated dump file: it ends in packet %d", f.name, f.packets+1)
	case errors.Is(err, errPackedEnds):
		return fmt.Errorf("%s: behind packet %d %w", f.name, f.packets, err)
	}
	return fmt.Errorf("%s: broken at packet %d, byte %d: %w", f.name, f.packets+1, f.scanner.mark, err)
}
