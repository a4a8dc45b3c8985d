package filter

import (
	"fmt"
	"strings"
)

// advise fails at a word of another language that has words here.
func (p *parser) advise(t token) {
	if t.kind != word {
		return
	}
	if words, ok := fields[t.text]; ok {
		p.fail(t, "%s is a field of display filters, another language: write %s", t.text, p.inWords(words, t))
	}
	switch t.text {
	case "any", "all", "true":
		p.fail(t, "unknown word %s: the filter of every packet is the empty one", quoted(t.text))
	}
	if words, ok := foreign[t.text]; ok {
		p.fail(t, "unknown word %s: write %s", quoted(t.text), p.inWords(words, t))
	}
	if why, ok := beyond[t.text]; ok {
		p.fail(t, "%s: not supported: %s", t.text, why)
	}
	layer, rest, dotted := strings.Cut(t.text, ".")
	if _, protocol := protocolWords[layer]; dotted && rest != "" && (protocol || foreign[layer] != "" || layer == "http" || layer == "frame") {
		p.fail(t, "%s is a field of display filters, another language, and has no words here", quoted(t.text))
	}
}

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

// joined fails at a protocol before a host, net or port that it does not have, if
// the two can be joined by and: tcp host A, ip port 80.
func (p *parser) joined(protocol token, q qualifiers) {
	alone, things, value := protocolWords[q.protocol].alone, "hosts", p.valueAt(p.pos)
	switch q.what {
	case aPort, aRange:
		if q.protocol != "ip" && q.protocol != "ip6" {
			return // icmp and port 80 is nothing
		}
		things = "ports"
		if t := p.peek(); value == "" && t.kind == word {
			value = t.text // a name, a range
		}
	case aNet:
		things = "nets"
	case aProtocol:
		return
	case anAddress:
		if p.peek().kind == end && portProtocols[q.protocol] != 0 {
			p.unexpected(p.peek(), fmt.Sprintf("port (as in %s %sport 443)", q.protocol, directions[q.direction]))
		}
		if p.peek().kind == number && portProtocols[q.protocol] != 0 { // tcp src 80
			q.what = aPort
			p.fail(protocol, "%s has no hosts: write %s %s for a port", q.protocol, q.words(), value)
		}
	}
	if _, bearer := alone.(Proto); !bearer && things != "ports" || value == "" {
		return
	}
	bare := qualifiers{direction: q.direction, what: q.what}
	p.fail(protocol, "%s has no %s: write %s and %s %s", q.protocol, things, q.protocol, bare.words(), value)
}

// trailing fails at what people put behind an id, if it is that.
func (p *parser) trailing(t token) {
	last, value := p.tokens[max(p.pos-1, 0)], p.valueAt(p.pos+1)
	switch {
	case t.is("&"):
		p.fail(t, "& is for numbers: write and")
	case t.is("|"):
		p.fail(t, "| is for numbers: write or")
	case (last.kind == ipv4 || last.kind == ipv6) && t.is(":") && value != "":
		direction := p.directionBefore()
		p.fail(t, "an address has no port: write %shost %s and %sport %s", direction, last.text, direction, value)
	case last.kind == ipv6 && t.is("%"):
		p.fail(t, "an address in a packet has no zone: leave out what follows %s", last.text)
	case last.kind == ipv4 && t.kind == ipv4 && p.isMask(t):
		p.fail(t, "unexpected %q: write %s%s", t.text, p.directionBefore(), p.masked(last, t))
	case p.pos > 1 && p.tokens[p.pos-2].is("portrange") && last.kind == number && t.kind == number:
		p.fail(t, "unexpected %s: write portrange %s-%s", quoted(t.text), last.text, t.text)
	case p.pos > 1 && p.tokens[p.pos-2].is("port") && last.kind == word && t.kind == word && p.isService(t):
		p.fail(t, "unexpected %s: write port %s or %s", quoted(t.text), last.text, t.text)
	case p.pos > 1 && p.tokens[p.pos-2].kind == word && isValue(last) && t.kind == last.kind:
		p.fail(t, "unexpected %s: write %s %s or %s", quoted(t.text), p.tokens[p.pos-2].text, last.text, t.text)
	case last.kind == number && t.is("/"):
		p.fail(t, `unexpected "/": the protocol of a port stands before it, as in udp port 53`)
	case last.kind == number && value != "" && (t.is("-") || t.is(":")):
		p.fail(t, "unexpected %q: write portrange %s-%s", t.text, last.text, value)
	case last.kind == word && t.kind == number && portProtocols[last.text] != 0:
		p.fail(t, "unexpected %s: write %s port %s", quoted(t.text), last.text, t.text)
	}
}

func (p *parser) isService(t token) bool {
	_, ok := p.names.service(t.text)
	return ok
}

// isValue says whether a token is what a word may be about.
func isValue(t token) bool {
	return t.kind == number || t.kind == ipv4 || t.kind == ipv6 || t.kind == mac
}

// isMask says whether an address may be a mask, or the complement of one.
func (p *parser) isMask(t token) bool {
	m, _ := p.dotted(t)
	return m>>24 == 255 || m>>24 == 0
}

// directionBefore is src or dst, if that is said of the address just taken.
func (p *parser) directionBefore() string {
	for _, back := range []int{2, 3} { // src 10.0.0.1, src host 10.0.0.1
		if p.pos < back {
			break
		}
		if t := p.tokens[p.pos-back]; t.is("src") || t.is("dst") {
			return t.text + " "
		}
	}
	return ""
}

// masked is the net that was meant by an address and a mask, or by the mask's
// complement.
func (p *parser) masked(address, mask token) string {
	a, _ := p.dotted(address)
	m, _ := p.dotted(mask)
	if m>>31 == 0 {
		m = ^m
	}
	return net4Text(a&m, m)
}

// noAddress fails at a name where an address must be.
func (p *parser) noAddress(q qualifiers, t token) {
	p.advise(t)
	if similar := nearest(t.text, keywords()); similar != "" && t.kind == word {
		p.fail(t, "%s is not %s, did you mean %q?", quoted(t.text), q.wanted(), similar)
	}
	isLetter := func(c rune) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
	switch {
	case strings.HasSuffix(t.text, ".") && p.peek().is("*"):
		p.fail(t, "an address has no *: write net %s", strings.TrimRight(t.text, "."))
	case strings.ContainsFunc(t.text, isLetter) && q.protocol != "ether" && q.what != aNet:
		p.fail(t, "%s is not %s: names are not looked up; write its address, which getent ahosts finds", quoted(t.text), q.wanted())
	}
	p.fail(t, "%s is not %s: names are not looked up", quoted(t.text), q.wanted())
}
