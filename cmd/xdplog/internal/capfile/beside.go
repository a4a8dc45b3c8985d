package capfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// beside notes a block that is no packet: what of it belongs to a copy of the file.
func (f *File) beside(kind uint32, body []byte, order binary.ByteOrder) {
	switch kind {
	case blockSecrets, blockNames:
		f.batch.blocks = append(f.batch.blocks, block{kind, bytes.Clone(body), order})
	case blockSection:
		const fixed = 16
		for code, value := range options(order, body[min(fixed, len(body)):]) {
			if code == optionComment {
				f.batch.comments = append(f.batch.comments, bytes.Clone(value))
			}
		}
	case blockStatistics, blockOnlyHere:
	default:
		f.uncopied++
	}
}

// Uncopied says what of the file belongs to a copy of it and is not copied, in a line, or ""
// where nothing is.
func (f *File) Uncopied() string {
	if f.uncopied == 0 {
		return ""
	}
	return fmt.Sprintf("%s: not copied: %d custom blocks, or of kinds that are not known", f.name, f.uncopied)
}
