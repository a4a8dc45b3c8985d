package loader

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"

	"github.com/cilium/ebpf/btf"
)

// kernelBTF is where the kernel's BTF is.
const kernelBTF = "/sys/kernel/btf/vmlinux"

// kernelFunctions returns the numbers of functions in the kernel's BTF, 0 of what it has
// not. The library makes an index of all types, which takes as long as all else at the start
// together; so the file is walked, and the library is for kernels that don't show it, or have types unknown here.
func kernelFunctions(names ...string) []btf.TypeID {
	if file, err := os.Open(kernelBTF); err == nil {
		defer file.Close()
		if ids, err := findFunctions(file, names); err == nil {
			return ids
		}
	}
	ids := make([]btf.TypeID, len(names))
	spec, err := kernelTypes()
	if err != nil {
		return ids
	}
	for i, name := range names {
		var f *btf.Func
		if spec.TypeByName(name, &f) == nil {
			ids[i], _ = spec.TypeID(f)
		}
	}
	return ids
}

var errUnknownBTF = errors.New("the BTF is not understood")

// btfHeader is struct btf_header (linux/btf.h).
type btfHeader struct {
	Magic                                uint16
	Version, Flags                       uint8
	Length                               uint32
	Types, TypesLen, Strings, StringsLen uint32 // from the header's end on
}

const (
	btfMagic    = 0xeb9f
	btfTypeSize = 12 // of struct btf_type
	kindFunc    = 12 // BTF_KIND_FUNC
)

// behindType is how many bytes follow a type, by its kind: so many, and so many for each of
// what it has several of. Those of 1 and more are all there are.
var behindType = [...]struct{ once, each uint32 }{
	1: {4, 0}, 2: {}, 3: {12, 0}, 4: {0, 12}, 5: {0, 12}, 6: {0, 8}, 7: {}, 8: {}, 9: {}, 10: {}, 11: {},
	kindFunc: {}, 13: {0, 8}, 14: {4, 0}, 15: {0, 12}, 16: {}, 17: {4, 0}, 18: {}, 19: {0, 12},
}

// findFunctions is kernelFunctions of BTF in a file, of which no more than a piece is in memory.
func findFunctions(file io.ReaderAt, names []string) ([]btf.TypeID, error) {
	var h btfHeader
	if err := binary.Read(io.NewSectionReader(file, 0, int64(binary.Size(h))), binary.NativeEndian, &h); err != nil || h.Magic != btfMagic {
		return nil, errUnknownBTF
	}
	section := func(at, length uint32) *bufio.Reader {
		return bufio.NewReaderSize(io.NewSectionReader(file, int64(h.Length)+int64(at), int64(length)), 64<<10)
	}
	wanted, err := findNames(section(h.Strings, h.StringsLen), names)
	if err != nil {
		return nil, err
	}
	ids := make([]btf.TypeID, len(names))
	types := section(h.Types, h.TypesLen)
	for id := btf.TypeID(1); len(wanted) > 0; id++ {
		t, err := types.Peek(btfTypeSize)
		if err == io.EOF && len(t) == 0 {
			break
		}
		if err != nil {
			return nil, errUnknownBTF
		}
		name, info := binary.NativeEndian.Uint32(t), binary.NativeEndian.Uint32(t[4:])
		kind, several := info>>24&0x1f, info&0xffff
		if kind == 0 || int(kind) >= len(behindType) {
			return nil, errUnknownBTF
		}
		if i, ok := wanted[name]; ok && kind == kindFunc {
			ids[i] = id
			delete(wanted, name)
		}
		next := btfTypeSize + behindType[kind].once + behindType[kind].each*several
		if _, err := types.Discard(int(next)); err != nil {
			return nil, errUnknownBTF
		}
	}
	return ids, nil
}

// findNames returns which of some names stands where in the strings, as far as they are there.
func findNames(strings *bufio.Reader, names []string) (map[uint32]int, error) {
	found := map[uint32]int{}
	longest := 0
	for _, name := range names {
		longest = max(longest, len(name)+2)
	}
	for at := 0; ; {
		piece, err := strings.Peek(strings.Size())
		if err != nil && err != io.EOF {
			return nil, errUnknownBTF
		}
		for i, name := range names {
			// From its second letter on: zeros are everywhere, and looked at one by one.
			if n := bytes.Index(piece, []byte(name[1:]+"\x00")); n > 1 && bytes.HasPrefix(piece[n-2:], []byte("\x00"+name)) {
				found[uint32(at+n-1)] = i
			}
		}
		if err == io.EOF {
			return found, nil
		}
		next := len(piece) - longest // which the next piece has, too
		if _, err := strings.Discard(next); err != nil {
			return nil, errUnknownBTF
		}
		at += next
	}
}
