package capfile

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/capfile/capfiletest"
)

// bzipped is a pcap of one packet of 42 zeros. There is no library that writes this.
const bzipped = "425a6839314159265359d92817ec000012531ef60000300800020020001000080004002000a000314c0000c51a681a7a9ab4660048340ca078887daf373b7f177245385090d92817ec"

func TestPacked(t *testing.T) {
	const packets = 100
	file := capfiletest.Pcap(t, packets, capfiletest.Micros)
	must := func(w io.WriteCloser, err error) io.WriteCloser {
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	for name, writer := range map[string]func(io.Writer) io.WriteCloser{
		"gzip": func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"zstd": func(w io.Writer) io.WriteCloser { z, err := zstd.NewWriter(w); return must(z, err) },
		"lz4 -l": func(w io.Writer) io.WriteCloser {
			z := lz4.NewWriter(w)
			if err := z.Apply(lz4.LegacyOption(true)); err != nil {
				t.Fatal(err)
			}
			return z
		},
		"lz4": func(w io.Writer) io.WriteCloser { return lz4.NewWriter(w) },
		"xz":  func(w io.Writer) io.WriteCloser { z, err := xz.NewWriter(w); return must(z, err) },
	} {
		pack := func(b []byte) []byte {
			var packed bytes.Buffer
			w := writer(&packed)
			if _, err := w.Write(b); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			return packed.Bytes()
		}
		whole := pack(file)
		inTwo := append(pack(file[:1000]), pack(file[1000:])...) // as cat makes it of two
		files := [][]byte{whole, inTwo}
		switch name {
		case "zstd", "lz4": // pzstd writes such a frame before each
			skippable := []byte("\x5a\x2a\x4d\x18\x03\x00\x00\x00abc")
			files = append(files, slices.Concat(skippable, skippable, pack(file[:1000]), skippable, pack(file[1000:]), skippable))
		}
		for _, b := range files {
			if got, _, _, err := read(t, b); err != nil || len(got) != packets {
				t.Errorf("%s: %d packets, %v", name, len(got), err)
			}
		}
		for _, behind := range []string{"x", "something else that follows"} {
			got, _, _, err := read(t, append(bytes.Clone(whole), behind...))
			if err == nil || len(got) != packets || strings.Contains(err.Error(), "truncated") || !strings.Contains(err.Error(), "packet 10") {
				t.Errorf("%s, and %q: %d packets, %v", name, behind, len(got), err)
			}
		}
		for cut := 0; cut < len(whole); cut += 9 {
			got, _, _, err := read(t, whole[:cut])
			if err == nil && len(got) == packets { // only what stands behind the data is not there
				continue
			}
			if err == nil || !strings.HasPrefix(err.Error(), "f") {
				t.Errorf("%s, the first %d bytes of %d: %d packets, %v", name, cut, len(whole), len(got), err)
			}
		}
	}
	const filtered = "\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46\x03\x01" // a block with two filters
	for name, b := range map[string]string{"gzip -dc": "\x1f\x9dab", "lzip -dc": "LZIP", "xz -dc": filtered, "unzip -p": "PK\x03\x04", "7z x -so": "7z\xbc\xaf"} {
		if _, _, _, err := read(t, []byte(b)); err == nil || !strings.Contains(err.Error(), "is compressed: take "+name+" FILE") {
			t.Errorf("%q: %v", b, err)
		}
	}
	b, err := hex.DecodeString(bzipped)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, _, err := read(t, b); err != nil || len(got) != 1 || len(got[0].Data) != 42 {
		t.Errorf("bzip2: %d packets, %v", len(got), err)
	}
}
