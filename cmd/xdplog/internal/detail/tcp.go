package detail

import "iter"

// Kinds of TCP options, as IANA has them.
const (
	optionEnd         = 0
	optionNop         = 1
	optionMSS         = 2
	optionScale       = 3
	optionSACKAllowed = 4
	optionSACK        = 5
	optionTime        = 8
)

// each are the TCP options in b by kind (RFC 9293, 3.2), up to the first that makes
// no sense or is cut.
func each(b []byte) iter.Seq2[byte, []byte] {
	return func(yield func(byte, []byte) bool) {
		for len(b) > 0 {
			switch kind := b[0]; {
			case kind == optionEnd:
				yield(kind, nil)
				return
			case kind == optionNop:
				if !yield(kind, nil) {
					return
				}
				b = b[1:]
			case len(b) < 2 || b[1] < 2 || int(b[1]) > len(b):
				return
			default:
				if !yield(kind, b[2:b[1]]) {
					return
				}
				b = b[b[1]:]
			}
		}
	}
}
