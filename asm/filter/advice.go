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
	if p.inner && tunnels[t.text] {
		p.fail(t, "unknown word %s: what a packet travels in is asked by vxlan and geneve alone, and all else is about the packet inside", quoted(t.text))
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
	case last.is("arp") && arpOperations[t.text] != "":
		p.fail(t, "unexpected %s: write arp[6:2] == %s", quoted(t.text), arpOperations[t.text])
	case (last.is("icmp") || last.is("icmp6")) && isNumberName(last.text+"-"+t.text):
		p.fail(t, "unexpected %s: write %[2]s[%[2]stype] == %[2]s-%[3]s", quoted(t.text), last.text, t.text)
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
