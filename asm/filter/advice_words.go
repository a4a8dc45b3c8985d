package filter

import (
	"fmt"
	"strings"
)

// inWords is how what is said of a field, in the tokens behind t, is said in
// words of this language.
func (p *parser) inWords(words string, t token) string {
	behind := p.behind(t)
	sign, ok := comparison(p.tokens[min(behind, len(p.tokens)-1)])
	value := p.valueAt(behind + 1)
	isFlag, isNumber := flagWords(words), words == "len" || strings.HasSuffix(words, "]") || strings.HasSuffix(words, "] >> 2")
	if !isFlag && !isNumber && !isNamed(words) {
		return words
	}
	if list := listed(p.text[t.offset+t.length:]); list != "" && !isFlag && !isNumber {
		return said(words, "==", list)
	}
	if !ok && !isFlag {
		if sign, value = "==", p.valueAt(behind); value == "" {
			return words
		}
	}
	switch {
	case isFlag && ok && (value == "0") == (sign == "=="):
		return words + " == 0"
	case isFlag:
		return words + " != 0"
	case value == "":
		return words
	case isNumber:
		return words + " " + sign + " " + value
	}
	return said(words, sign, value)
}

// flagWords says whether words are about a bit, and want to be compared with 0.
func flagWords(words string) bool {
	mask := strings.LastIndex(words, "& tcp-")
	return mask >= 0 && !strings.ContainsAny(words[mask:], "!=")
}

// isNamed says whether words want a value behind them.
func isNamed(words string) bool {
	last := words[strings.LastIndexByte(words, ' ')+1:]
	_, kind := whatWords[last]
	return kind || last == "src" || last == "dst" || last == "proto" || last == "vlan" || last == "vxlan" || last == "geneve" || last == "mpls"
}

// listed is a list of values as other languages write it, {80, 443} or in {80 443}, in
// words of this one; or nothing.
func listed(text string) string {
	text = strings.TrimLeft(text, " =")
	if rest, ok := strings.CutPrefix(text, "in"); ok {
		text = strings.TrimLeft(rest, " ")
	}
	rest, open := strings.CutPrefix(text, "{")
	inside, _, closed := strings.Cut(rest, "}")
	if !open || !closed {
		return ""
	}
	values := strings.FieldsFunc(inside, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' })
	for _, value := range values {
		if strings.ContainsFunc(value, func(c rune) bool { return c >= 0x80 || !isAddressByte(byte(c)) && c != '/' }) || strings.Contains(value, "..") {
			return ""
		}
	}
	switch len(values) {
	case 0:
		return ""
	case 1:
		return values[0]
	}
	return "(" + strings.Join(values, " or ") + ")"
}

// behind is where the token behind t is, which is at hand or was just taken.
func (p *parser) behind(t token) int {
	if p.peek() == t {
		return p.pos + 1
	}
	return p.pos
}

// comparison is the operator that a token is, or that it is a word for.
func comparison(t token) (sign string, ok bool) {
	sign = t.text
	if t.kind == word {
		sign = foreign[t.text] // eq, ne and so on
	}
	_, ok = comparisons[sign]
	return sign, ok && (t.kind == operator || t.kind == word)
}

// valueAt is the source of an address, a net or a number, or nothing.
func (p *parser) valueAt(at int) string {
	if at >= len(p.tokens) {
		return ""
	}
	t := p.tokens[at]
	switch t.kind {
	case number, ipv4, ipv6, mac:
	default:
		return ""
	}
	last := t
	if at+2 < len(p.tokens) && p.tokens[at+1].is("/") && p.tokens[at+2].kind == number {
		last = p.tokens[at+2]
	}
	return p.text[t.offset : last.offset+last.length]
}

// said is a comparison of what words name with a value, without a sign.
func said(words, sign, value string) string {
	if strings.Contains(value, "/") {
		words = strings.TrimSuffix(words, "host") + "net"
	}
	var n int
	_, notNumber := fmt.Sscan(value, &n)
	if before, isPort := strings.CutSuffix(words, "port"); isPort && notNumber == nil {
		switch {
		case sign == ">" && n < 65535:
			return fmt.Sprintf("%sportrange %d-65535", before, n+1)
		case sign == ">=" && n <= 65535:
			return fmt.Sprintf("%sportrange %d-65535", before, n)
		case sign == "<" && 0 < n && n <= 65536:
			return fmt.Sprintf("%sportrange 0-%d", before, n-1)
		case sign == "<=" && n <= 65535:
			return fmt.Sprintf("%sportrange 0-%d", before, n)
		}
	}
	switch sign {
	case "==":
		return words + " " + value
	case "!=":
		return "not " + words + " " + value
	}
	return words
}

// unsigned fails at a sign between a word and what it is about: port = 80.
func (p *parser) unsigned(words string, t token) {
	sign, ok := comparison(t)
	if !ok {
		return
	}
	source := p.text[t.offset : t.offset+t.length]
	if value := p.valueAt(p.behind(t)); value != "" {
		p.fail(t, "unexpected %s: write %s", quoted(source), said(words, sign, value))
	}
	p.fail(t, "unexpected %s: write what it is right behind %s", quoted(source), words)
}

// words are the qualifiers as they are written.
func (q qualifiers) words() string {
	words := ""
	if q.protocol != "" {
		words = q.protocol + " "
	}
	return words + directions[q.direction] + map[what]string{
		nothing: "host", anAddress: "host", aHost: "host", aNet: "net", aPort: "port", aRange: "portrange", aProtocol: "proto",
	}[q.what]
}
