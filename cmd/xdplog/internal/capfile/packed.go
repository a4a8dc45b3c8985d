package capfile

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
)

// packings are the ways to pack a file that are unpacked here, by how it begins.
// Another one is a line here.
var packings = [...]struct {
	magic  string
	unpack func(io.Reader) (io.Reader, error)
}{
	{"\x1f\x8b", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	{"\x28\xb5\x2f\xfd", unpackZstd},
	{"\x04\x22\x4d\x18", unpackLZ4},
	{"\x02\x21\x4c\x18", unpackLZ4}, // the older format, of lz4 -l
	{"\xfd7zX", unpackXz},
	{"BZh", func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil }},
}

// toolsFor are the tools that unpack what is not unpacked here.
var toolsFor = [...]struct{ magic, tool string }{
	{"\x1f\x9d", "gzip -dc"}, {"LZIP", "lzip -dc"}, {"\x5d\x00\x00", "xz -dc"}, {"PK\x03\x04", "unzip -p"}, {"7z\xbc\xaf", "7z x -so"},
}

// unpackXz leaves what the library can't read to the tool: it has no filters before
// LZMA2, such as delta, of which the header of the first block has the number.
func unpackXz(r io.Reader) (io.Reader, error) {
	ahead := bufio.NewReader(r)
	if head, _ := ahead.Peek(14); len(head) == 14 && head[12] != 0 && head[13]&3 != 0 {
		return nil, errPacked("xz -dc")
	}
	return xz.NewReader(ahead)
}

// mostWindow is how far back a file packed by zstd may refer, which is the memory that
// unpacking takes: as far as zstd itself goes without --long.
const mostWindow = 128 << 20

func unpackLZ4(r io.Reader) (io.Reader, error) { return lz4.NewReader(r), nil }

func unpackZstd(r io.Reader) (io.Reader, error) {
	// A goroutine of its own would read on while nobody waits for it to end.
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(mostWindow))
}

// unpack has the file unpacked, of which some is in the scanner, where it is packed,
// and returns how it begins then.
func (f *File) unpack(magic []byte, rest io.Reader) ([]byte, error) {
	magic, err := f.scanner.stepOver(magic)
	if err != nil {
		return nil, cut(err)
	}
	for _, p := range packings {
		if !strings.HasPrefix(string(magic), p.magic) {
			continue
		}
		unpacked, err := p.unpack(io.MultiReader(bytes.NewReader(bytes.Clone(f.scanner.chunk[f.scanner.at:])), rest))
		if err != nil {
			return nil, cut(err)
		}
		f.scanner = scanner{from: unpacking{unpacked}, fresh: f.scanner.fresh}
		return f.scanner.peek(4)
	}
	for _, t := range toolsFor {
		if strings.HasPrefix(string(magic), t.magic) {
			return nil, errPacked(t.tool)
		}
	}
	return magic, nil
}

// unpacking tells what is packed, and ends early, from a capture that does.
type unpacking struct{ io.Reader }

func (u unpacking) Read(b []byte) (int, error) {
	n, err := u.Reader.Read(b)
	if err == io.ErrUnexpectedEOF {
		err = errPackedEnds
	}
	return n, err
}

// errPackedEnds is the error of packed data that end early, which also some bytes behind
// them are.
var errPackedEnds = errors.New("the compressed data end early, or something else follows them")

// stepOver has the skippable frames behind it with which a file of zstd's or lz4's
// format may begin (RFC 8878, section 3.1.2), as all of pzstd do, and returns how what
// follows begins.
func (s *scanner) stepOver(magic []byte) ([]byte, error) {
	for len(magic) == 4 && magic[0]&0xf0 == 0x50 && string(magic[1:]) == "\x2a\x4d\x18" {
		head, err := s.next(8)
		if err != nil {
			return nil, err
		}
		if _, err := s.next(int(binary.LittleEndian.Uint32(head[4:]))); err != nil {
			return nil, err
		}
		if magic, err = s.peek(4); err != nil {
			return nil, err
		}
	}
	return magic, nil
}

// errPacked is that of a file that the tool named unpacks, with what it is given to write on stdout.
type errPacked string

func (e errPacked) Error() string {
	return fmt.Sprintf("is compressed: take %s FILE | xdplog -r -", string(e))
}
