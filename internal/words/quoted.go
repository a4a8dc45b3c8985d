package words

import "unicode/utf8"

// AppendQuoted appends s as a JSON string (RFC 8259, 7). Bytes that are no
// UTF-8 become U+FFFD: an interface may be called nearly anything.
func AppendQuoted(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s { // U+FFFD where s is no UTF-8
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = append(b, `\u00`...)
			b = append(b, hex[r>>4], hex[r&0xf])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
