package filter

import (
	"net/netip"
	"strconv"
	"strings"
)

type kind uint8

const (
	end     kind = iota
	word         // a keyword or a name
	escaped      // a name that was written \name; text is without the backslash
	number
	ipv4 // two to four numbers with dots
	ipv6
	mac
	operator // punctuation; && || and ! are the words and, or, not
	invalid  // text is the error message
)

type token struct {
	kind   kind
	text   string
	offset int // of its first byte in the filter
	length int // of its bytes there
	number uint32
	addr   netip.Addr // of ipv6
	mac    [6]byte
}

func (t token) is(text string) bool {
	return (t.kind == word || t.kind == operator) && t.text == text
}

// lex splits a filter into tokens, the last of which is end or invalid.
func lex(text string) []token {
	var tokens []token
	for offset := 0; ; {
		for offset < len(text) && strings.IndexByte(" \t\r\n", text[offset]) >= 0 {
			offset++
		}
		if offset == len(text) {
			return append(tokens, token{kind: end, offset: offset})
		}
		t, length := next(text[offset:])
		t.offset, t.length = offset, length
		tokens = append(tokens, t)
		if t.kind == invalid {
			return tokens
		}
		offset += length
	}
}

var operators = []string{
	"&&", "||", "==", "!=", "<=", ">=", "<<", ">>", // the longer ones first
	"!", "=", "<", ">", "(", ")", "[", "]", ":", "+", "-", "*", "/", "%", "&", "|", "^",
}

// spelled are the operators that are read as another token.
var spelled = map[string]token{
	"&&": {kind: word, text: "and"},
	"||": {kind: word, text: "or"},
	"!":  {kind: word, text: "not"},
	"=":  {kind: operator, text: "=="},
}

// next is the token at the beginning of s, and its length there. s is not empty.
func next(s string) (token, int) {
	name := ""
	if isAlphanumeric(s[0]) {
		name = strings.TrimRight(run(s, isNameByte), "-_") // the last is a letter, digit or dot
	}
	if isHex(s[0]) || s[0] == ':' {
		if address := run(s, isAddressByte); len(address) > len(name) && strings.Count(address, ":") > 1 {
			return colons(address), len(address)
		}
	}
	if name != "" {
		return classify(name), len(name)
	}
	if s[0] == '\\' {
		name := run(s[1:], func(c byte) bool { return strings.IndexByte(" !()\n\t", c) < 0 })
		if name == "" {
			return token{kind: invalid, text: `a name must follow the backslash, as in ip proto \udp`}, 0
		}
		return token{kind: escaped, text: name}, 1 + len(name)
	}
	for _, op := range operators {
		if !strings.HasPrefix(s, op) {
			continue
		}
		if t, ok := spelled[op]; ok {
			return t, len(op)
		}
		return token{kind: operator, text: op}, len(op)
	}
	if s[0] == '$' {
		return token{kind: invalid, text: "$: not supported: ARCnet addresses"}, 0
	}
	r := []rune(s[:min(len(s), 4)])[0]
	text := "unexpected character " + strconv.QuoteRune(r)
	if advice, ok := marks[r]; ok {
		text += ": " + advice
	}
	return token{kind: invalid, text: text}, 0
}

// run is the longest prefix of s of such bytes.
func run(s string, of func(byte) bool) string {
	for i := range len(s) {
		if !of(s[i]) {
			return s[:i]
		}
	}
	return s
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
func isNameByte(c byte) bool    { return isAlphanumeric(c) || c == '-' || c == '_' || c == '.' }
func isAddressByte(c byte) bool { return isHex(c) || c == ':' || c == '.' }

// colons reads what has two colons or more.
func colons(s string) token {
	if addr, err := netip.ParseAddr(s); err == nil {
		return token{kind: ipv6, text: s, addr: addr}
	}
	if m, ok := parseMAC(s, ":", 2, 1); ok {
		return token{kind: mac, text: s, mac: m}
	}
	return token{kind: invalid, text: quoted(s) + " is neither an IPv6 nor an Ethernet address"}
}

// classify reads a run of letters, digits, dots, minuses and underscores.
func classify(s string) token {
	for _, form := range []struct {
		separator string
		longest   int // digits
		shortest  int
	}{{"-", 2, 1}, {".", 2, 1}, {".", 4, 4}, {"", 12, 12}} {
		if m, ok := parseMAC(s, form.separator, form.longest, form.shortest); ok {
			return token{kind: mac, text: s, mac: m}
		}
	}
	if parts := strings.Split(s, "."); len(parts) > 1 && len(parts) <= 4 {
		numeric := true
		for _, part := range parts {
			numeric = numeric && isNumeral(part)
		}
		if numeric {
			return token{kind: ipv4, text: s}
		}
	}
	if isNumeral(s) {
		return numeral(s)
	}
	if n, ok := namedNumbers[s]; ok {
		return token{kind: number, text: s, number: n}
	}
	return token{kind: word, text: s}
}

// isNumeral says whether s is digits, or 0x and hexadecimal digits.
func isNumeral(s string) bool {
	isDigit := func(c byte) bool { return '0' <= c && c <= '9' }
	if len(s) > 2 && (s[:2] == "0x" || s[:2] == "0X") {
		return run(s[2:], isHex) == s[2:]
	}
	return s != "" && run(s, isDigit) == s
}

// numeral reads a number as C does: 0x for hexadecimal, 0 for octal.
func numeral(s string) token {
	base, digits := 10, s
	switch {
	case len(s) > 2 && (s[1] == 'x' || s[1] == 'X'):
		base, digits = 16, s[2:]
	case len(s) > 1 && s[0] == '0':
		base, digits = 8, s[1:]
	}
	n, err := strconv.ParseUint(digits, base, 32)
	switch {
	case err == nil:
		return token{kind: number, text: s, number: uint32(n)}
	case strings.Contains(err.Error(), strconv.ErrRange.Error()):
		return token{kind: invalid, text: "number " + shortened(s) + " is over 32 bits"}
	default:
		return token{kind: invalid, text: "number " + shortened(s) + " begins with 0 and is octal, which has no digits 8 and 9"}
	}
}

// parseMAC reads an Ethernet address of groups of longest to shortest digits.
func parseMAC(s, separator string, longest, shortest int) (m [6]byte, ok bool) {
	groups := []string{s}
	if separator != "" {
		groups = strings.Split(s, separator)
	}
	if len(groups)*(longest/2) != len(m) {
		return m, false
	}
	at := 0
	for _, group := range groups {
		if len(group) < shortest || len(group) > longest || run(group, isHex) != group {
			return m, false
		}
		group = strings.Repeat("0", longest-len(group)) + group
		for i := 0; i < len(group); i += 2 {
			b, err := strconv.ParseUint(group[i:i+2], 16, 8)
			if err != nil {
				return m, false
			}
			m[at] = byte(b)
			at++
		}
	}
	return m, true
}

// quoted quotes a name for an error message, and shortens an endless one.
func quoted(s string) string {
	return strconv.Quote(shortened(s))
}

// shortened is s, or how it begins.
func shortened(s string) string {
	if len(s) > 40 {
		s = strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}
