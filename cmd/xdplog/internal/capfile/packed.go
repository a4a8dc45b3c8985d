package capfile

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
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
	{"\x04\x22\x4d\x18", func(r io.Reader) (io.Reader, error) { return lz4.NewReader(r), nil }},
	{"\xfd7zX", func(r io.Reader) (io.Reader, error) { return xz.NewReader(r) }},
	{"BZh", func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil }},
}

// toolsFor are the tools that unpack what is not unpacked here.
var toolsFor = [...]struct{ magic, tool string }{{"\x1f\x9d", "gzip"}, {"LZIP", "lzip"}}

// mostWindow is how far back a file packed by zstd may refer, which is the memory that
// unpacking takes: as far as zstd itself goes without --long.
const mostWindow = 128 << 20

func unpackZstd(r io.Reader) (io.Reader, error) {
	// A goroutine of its own would read on while nobody waits for it to end.
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(mostWindow))
}

// unpack has the file unpacked, of which some is in the scanner, where it is packed,
// and returns how it begins then.
func (f *File) unpack(magic []byte, rest io.Reader) ([]byte, error) {
	for _, p := range packings {
		if !strings.HasPrefix(string(magic), p.magic) {
			continue
		}
		unpacked, err := p.unpack(io.MultiReader(bytes.NewReader(bytes.Clone(f.scanner.chunk)), rest))
		if err != nil {
			return nil, cut(err)
		}
		f.scanner = scanner{from: unpacked, fresh: f.scanner.fresh}
		return f.scanner.peek(4)
	}
	for _, t := range toolsFor {
		if strings.HasPrefix(string(magic), t.magic) {
			return nil, errPacked(t.tool)
		}
	}
	return magic, nil
}

// errPacked is that of a file that the tool named unpacks.
type errPacked string

func (e errPacked) Error() string {
	return fmt.Sprintf("is compressed: take %s -dc FILE | xdplog -r -", string(e))
}
