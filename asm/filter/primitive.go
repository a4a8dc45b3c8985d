package filter

import (
	"slices"
	"strings"
)

// what a qualifier list says the id is.
type what uint8

const (
	nothing   what = iota // no qualifiers: there can be no id
	anAddress             // src or dst alone: a host
	aHost
	aNet
	aPort
	aRange
	aProtocol
)

var whatWords = map[string]what{"host": aHost, "net": aNet, "port": aPort, "portrange": aRange}

// qualifiers stand before an id, and are carried over to the next.
type qualifiers struct {
	protocol  string // a key of protocolWords, or empty
	direction Direction
	what      what
}

// item is a boolean expression, or a number that may yet become one.
type item struct {
	part
	arith *value
}

// term is an item that must be boolean: a number in it is an id.
func (p *parser) term(before qualifiers) part {
	start := p.peek()
	it := p.item(before)
	if it.arith == nil {
		return it.part
	}
	return p.numberID(start, it, before)
}

// numberID makes an id of a number that turned out to be in no relation.
func (p *parser) numberID(start token, it item, before qualifiers) part {
	n, ok := it.arith.literal()
	switch {
	case !ok:
		p.unexpected(p.peek(), "a comparison (= != < <= > >=)")
	case before.what == nothing:
		if header, _, named := strings.Cut(start.text, "-"); named && namedNumbers[start.text] == n {
			p.fail(start, "%s is a number: write %s", start.text, map[string]string{
				"tcp": "tcp[tcpflags] & " + start.text + " != 0", "icmp": "icmp[icmptype] == " + start.text, "icmp6": "icmp6[icmp6type] == " + start.text,
			}[header])
		}
		p.fail(start, "number %d stands alone: write what it is, as in port %d, or compare it", n, n)
	}
	return p.numeric(before, token{kind: number, text: start.text, offset: start.offset, number: n})
}

// item parses what begins with a qualifier, a number, a parenthesis or not.
// In parentheses, what begins with a number remains a number until a
// comparison or its absence decides.
func (p *parser) item(before qualifiers) item {
	defer p.nest()()
	t := p.peek()
	switch {
	case p.accept("not"):
		return item{part: p.negate(p.term(before))}
	case p.accept("("):
		return p.parentheses(before)
	case t.kind == number, t.is("-"), t.is("len"), t.is("length"), p.isLoad():
		return p.relation(p.operand(), before)
	case t.kind == word && isKeyword(t.text), t.kind == invalid, t.kind == operator, t.kind == end:
		return item{part: p.primitive()}
	case before.what != nothing:
		return item{part: p.id(before)}
	}
	p.stray(t)
	panic("unreachable")
}

// parentheses parses what follows an opening one.
func (p *parser) parentheses(before qualifiers) item {
	start := p.peek()
	it := p.item(before)
	if it.arith != nil {
		if p.accept(")") {
			return p.relation(*it.arith, before)
		}
		it = item{part: p.numberID(start, it, before)}
	}
	inside := p.chain(it.part)
	p.expect(")", "to close the parenthesis")
	inside.qualifiers = before
	return item{part: inside}
}

// stray fails at a name or an address without qualifiers.
func (p *parser) stray(t token) {
	switch t.kind {
	case ipv4, ipv6:
		if net := p.valueAt(p.pos); net != t.text {
			p.fail(t, "net %s stands alone: write net %s, src net %s or dst net %s", net, net, net, net)
		}
		if p.take(); p.peek().is(":") {
			p.trailing(p.peek())
		}
		p.fail(t, "address %s stands alone: write host %s, src %s or dst %s", t.text, t.text, t.text, t.text)
	case mac:
		p.fail(t, "address %s stands alone: write ether host %s", t.text, t.text)
	case escaped:
		p.fail(t, "%s stands alone: a backslash is for names, as in ip proto \\udp", quoted(t.text))
	}
	p.unknown(t)
}

func (p *parser) unknown(t token) {
	p.advise(t)
	p.minus(t)
	similar := nearest(t.text, keywords())
	if strings.ToLower(t.text) != similar {
		if _, ok := p.names.service(t.text); ok {
			p.fail(t, "unknown word %s: write port %s for the service", quoted(t.text), t.text)
		}
		if _, ok := p.names.protocol(t.text); ok {
			p.fail(t, "unknown word %s: write proto %s for the protocol", quoted(t.text), t.text)
		}
	}
	if similar != "" {
		p.fail(t, "unknown word %s, did you mean %q?", quoted(t.text), similar)
	}
	p.fail(t, "unknown word %s", quoted(t.text))
}

// primitive parses what begins with a keyword.
func (p *parser) primitive() part {
	t := p.take()
	if isQualifier(t) {
		return p.qualified(token{offset: t.offset}, t)
	}
	switch t.text {
	case "broadcast", "multicast":
		return p.cast(token{text: "ether", offset: t.offset}, t)
	case "vlan":
		return p.vlan()
	case "mpls":
		return p.mpls()
	case "pppoed":
		return part{node: EtherType{typePPPoED}, depth: 1}
	case "pppoes":
		return p.pppoes()
	case "geneve", "vxlan":
		return p.overlay(t.text)
	case "greater", "less":
		n := p.take()
		if n.kind != number {
			p.unexpected(n, "a length in bytes")
		}
		op := GreaterEqual
		if t.text == "less" {
			op = LessEqual
		}
		return part{node: Relation{op, Length{}, Number(n.number)}, depth: 2}
	}
	if protocol, ok := protocolWords[t.text]; ok && t.kind == word {
		next := p.peek()
		switch {
		case next.is("broadcast"), next.is("multicast"):
			p.take()
			return p.cast(t, next)
		case isQualifier(next):
			return p.qualified(t, p.take())
		}
		if next.is("type") && (t.text == "icmp" || t.text == "icmp6") {
			p.fail(next, "unexpected \"type\": write %s[%stype] == and its number or name", t.text, t.text)
		}
		if next.is("type") && p.tokens[p.pos-1].is("ether") {
			p.fail(next, "unexpected \"type\": write %s", p.inWords("ether proto", next))
		}
		p.refuse(next) // tcp gateway, ip protochain
		if protocol.alone == nil {
			p.fail(t, "%s stands alone: write what of it, as in ether host ADDRESS or ether proto NUMBER", t.text)
		}
		return part{node: protocol.alone, depth: 1}
	}
	p.unexpected(t, "a primitive (as in tcp port 443)")
	panic("unreachable")
}

// isQualifier says whether the token begins qualifiers, or goes on with them
// behind a protocol.
func isQualifier(t token) bool {
	_, kind := whatWords[t.text]
	return t.kind == word && (kind || t.is("src") || t.is("dst") || t.is("proto"))
}

// cast parses broadcast and multicast, which stand after a protocol.
func (p *parser) cast(protocol, kind token) part {
	broadcast := kind.text == "broadcast"
	var n Node
	switch {
	case protocol.text == "ip" && broadcast:
		host := ^p.netmask
		n = Or{Net4{IPScope, Destination, 0, host}, Net4{IPScope, Destination, host, host}}
		if host == 0 {
			n = Net4{IPScope, Destination, 0, 0}
		}
	case protocol.text == "ip": // 224.0.0.0 and over, as in libpcap
		n = Net4{IPScope, Destination, 0xe000_0000, 0xe000_0000}
	case protocol.text == "ip6" && !broadcast:
		n = Net6{Destination, multicast6}
	case protocol.text != "ether" && protocol.text != "link":
		p.fail(kind, "%s %s: not supported: broadcast goes with ether and ip, multicast with ether, ip and ip6", protocol.text, kind.text)
	case broadcast:
		n = EtherAddress{Destination, [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
	default: // the first bit on the wire
		n = Relation{NotEqual, Binary{BitAnd, Load{EtherLayer, Number(0), 1}, Number(1)}, Number(0)}
		return part{node: n, depth: 4}
	}
	return part{node: n, depth: 2}
}

// qualified parses a list of qualifiers, of which the protocol and the first
// word are taken, and the id behind it.
func (p *parser) qualified(protocol, first token) part {
	q := qualifiers{protocol: protocol.text}
	if q.protocol == "link" {
		q.protocol = "ether"
	}
	switch {
	case first.text == "proto":
		q.what = aProtocol
	case first.text == "src" || first.text == "dst":
		q.direction = p.direction(first.text)
		q.what = anAddress
		if kind, ok := whatWords[p.peek().text]; ok && p.peek().kind == word {
			p.take()
			q.what = kind
		}
	default:
		q.what = whatWords[first.text]
	}
	p.combination(protocol, q)
	return p.id(q)
}

// direction parses what follows src or dst: src or dst, src and dst.
func (p *parser) direction(first string) Direction {
	single, other := Source, "dst"
	if first == "dst" {
		single, other = Destination, "src"
	}
	joint := p.peek()
	if !joint.is("or") && !joint.is("and") {
		return single
	}
	p.take()
	p.expect(other, "after "+first+" "+joint.text)
	if joint.text == "or" {
		return Either
	}
	return Both
}

// combination refuses qualifiers that don't go together.
func (p *parser) combination(protocol token, q qualifiers) {
	var allowed []string
	var thing string
	switch q.what {
	case aPort, aRange:
		allowed, thing = []string{"", "tcp", "udp", "sctp"}, "ports"
	case aProtocol:
		allowed, thing = []string{"", "ip", "ip6", "ether"}, "protocols"
	case aNet:
		allowed, thing = []string{"", "ip", "ip6", "arp", "rarp"}, "nets"
	default:
		allowed, thing = []string{"", "ip", "ip6", "arp", "rarp", "ether"}, "hosts"
	}
	if slices.Contains(allowed, q.protocol) {
		return
	}
	p.joined(protocol, q)
	list := ""
	for _, word := range allowed[1:] {
		list += " " + word
	}
	p.fail(protocol, "%s has no %s; those that have:%s", q.protocol, thing, list)
}
