package filter

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Filter is a parsed filter. It is a value without state: any number of
// goroutines may use it.
//
// # Bytes that are not there
//
// A filter is evaluated from left to right, in the order of its text, and only
// as far as its verdict needs. Where a byte that it asks for is beyond the end
// of the captured frame, the whole filter is false, also under a not: so it is
// in libpcap, whose programs return 0 at that point. The same goes for a
// division by zero. In particular
//
//   - a frame of less than 14 bytes has no EtherType;
//   - a port of TCP, UDP or SCTP may be cut off: the source port needs two
//     bytes behind the IP header, the destination port four;
//   - the addresses of an ARP or RARP packet may be cut off.
//
// Of a long list of rows, (host A and port B) or (host C and port D) or …, all
// that they ask for is asked first: see [Rows].
//
// The exception, and beside such lists the one difference to libpcap on plain
// packets: an IPv4 or IPv6 header that is malformed (wrong version, IHL below 5)
// or not wholly there decodes to no addresses and no protocol. What asks for
// them (tcp, host, port, tcp[…], …) is then false and not an abort, so that not
// tcp matches such a frame. ip, ip6, ip[…] and ip6[…] go by the EtherType alone.
//
// libpcap's optimizer removes and reorders loads whose value it finds unused,
// and with them the abort, so that tcpdump may print a cut frame that tcpdump -O
// does not; and it gets some lists of hosts wrong. This package means what
// tcpdump -O does, which the text alone defines.
type Filter struct {
	Root Node
	// Text is what it was parsed from, to be shown in messages; a tree made
	// by hand has none. It plays no part in what the filter means.
	Text string
}

// Options are what a filter's meaning depends on besides its text.
type Options struct {
	// Files holds etc/services and etc/protocols, where the names that are
	// not built in are looked for. Default: the root of the file system. An
	// empty one leaves the built-in names alone.
	Files fs.FS
	// Netmask is the network mask, in host order, of the interface that ip
	// broadcast is about. With the default, 0, as on an interface without an
	// IPv4 address, the broadcast addresses are 0.0.0.0 and 255.255.255.255.
	Netmask uint32
	// Libpcap has tcp[…], udp[…], sctp[…] and pim[…] look into IPv4 alone, as
	// libpcap's do. Default: into both versions of IP.
	Libpcap bool

	// Inner is for programs that look into tunnels, as asm.Config.Inner has them: what is asked is
	// the inner packet, and vxlan and geneve ask in what it travels, [InTunnel]. As in libpcap,
	// geneve 7 and host A then speaks of A inside. Else the two ask the packet's own headers.
	Inner bool
}

// Parse parses a filter with default options. The empty text is the filter
// that matches every packet. An error is an [*Error].
func Parse(text string) (*Filter, error) { return Options{}.Parse(text) }

// Parse parses a filter.
func (o Options) Parse(text string) (filter *Filter, err error) {
	defer func() {
		if r := recover(); r != nil {
			mistake, ok := r.(*Error)
			if !ok {
				panic(r)
			}
			err = mistake
		}
	}()
	files := o.Files
	if files == nil {
		files = os.DirFS("/")
	}
	p := &parser{text: text, tokens: lex(text), names: names{files: files}, netmask: o.Netmask, libpcap: o.Libpcap, inner: o.Inner}
	if p.peek().kind == end {
		return &Filter{Root: Constant(true), Text: text}, nil
	}
	root := p.expression(qualifiers{})
	if t := p.peek(); t.kind != end {
		p.trailing(t)
		p.unexpected(t, "and, or, or the end")
	}
	return &Filter{Root: root.node, Text: text}, nil
}

// How deep a filter may be nested. Each level of a tree takes two levels of
// nesting at most in its canonical text, which must be accepted again.
const (
	maxDepth   = 500
	maxNesting = 2*maxDepth + 50
)

// parser is a recursive descent over the tokens. Its methods report a mistake
// by a panic with an *Error, which Options.Parse returns.
type parser struct {
	text    string
	tokens  []token
	pos     int
	nesting int
	names   names
	netmask uint32
	libpcap bool
	inner   bool
}

// part is a parsed boolean expression.
type part struct {
	node       Node
	depth      int
	qualifiers qualifiers // for an id that follows: port 80 or 443
}

func (p *parser) peek() token { return p.peekAt(0) }

func (p *parser) peekAt(n int) token { return p.tokens[min(p.pos+n, len(p.tokens)-1)] }

// take is the token at hand, which it steps over.
func (p *parser) take() token {
	t := p.peek()
	if t.kind == invalid {
		p.fail(t, "%s", t.text)
	}
	if t.kind != end {
		p.pos++
	}
	return t
}

// accept steps over the token at hand if it is this one.
func (p *parser) accept(text string) bool {
	if p.peek().is(text) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) expect(text, where string) {
	if t := p.peek(); !p.accept(text) {
		p.unexpected(t, fmt.Sprintf("%q %s", text, where))
	}
}

func (p *parser) fail(at token, format string, args ...any) {
	panic(&Error{Text: p.text, Offset: at.offset, Message: fmt.Sprintf(format, args...)})
}

// unexpected fails at a token that can't stand where something else is wanted.
func (p *parser) unexpected(t token, wanted string) {
	switch t.kind {
	case invalid:
		p.fail(t, "%s", t.text)
	case end:
		p.fail(t, "the filter ends where %s is expected", wanted)
	case word:
		p.refuse(t)
		p.advise(t)
		p.minus(t)
		if similar := nearest(t.text, keywords()); !isKeyword(t.text) && similar != "" {
			p.fail(t, "unexpected %s, did you mean %q?", quoted(t.text), similar)
		}
	}
	source := p.text[t.offset : t.offset+t.length]
	p.fail(t, "unexpected %s where %s is expected", quoted(source), wanted)
}

// minus fails at a word such as len-5 or 13-1, which is one name to the lexer
// as it is in libpcap.
func (p *parser) minus(t token) {
	before, after, found := strings.Cut(t.text, "-")
	if found && (before == "len" || before == "length" || isNumeral(before)) {
		p.fail(t, "%s is read as a name: put a blank before the minus, %s -%s", quoted(t.text), before, after)
	}
}

// refuse fails at a word that is left out of the language.
func (p *parser) refuse(t token) {
	if why, ok := unsupported[t.text]; ok && t.kind == word {
		p.fail(t, "%s: not supported: %s", t.text, why)
	}
}

// nest bounds recursion; the function that it returns ends the level.
func (p *parser) nest() func() {
	if p.nesting++; p.nesting > maxNesting {
		p.tooDeep()
	}
	return func() { p.nesting-- }
}

func (p *parser) tooDeep() {
	p.fail(p.peek(), "nested too deeply, over %d levels; each change between and and or is one: parentheses around the pairs save it", maxDepth)
}

// expression is a chain of and and or, which bind alike and to the left.
// An id without qualifiers takes those before it, in parentheses those before
// them.
func (p *parser) expression(before qualifiers) part {
	return p.chain(p.term(before))
}

func (p *parser) chain(left part) part {
	for {
		switch {
		case p.accept("and"):
			right := p.term(left.qualifiers)
			left = p.join(left, right, And{left.node, right.node})
		case p.accept("or"):
			right := p.term(left.qualifiers)
			left = p.join(left, right, Or{left.node, right.node})
		default:
			return left
		}
	}
}

// join flattens an And of Ands and an Or of Ors. The slices of the parts may
// be appended to: the parser just made them, and nothing else holds them.
func (p *parser) join(left, right part, node Node) part {
	depth := max(left.depth, right.depth) + 1
	switch node.(type) {
	case And:
		if terms, ok := left.node.(And); ok {
			node, depth = append(terms, conjuncts(right.node)...), max(left.depth, right.depth+1)
		} else if terms, ok := right.node.(And); ok {
			node, depth = append(And{left.node}, terms...), max(left.depth+1, right.depth)
		}
	case Or:
		if terms, ok := left.node.(Or); ok {
			node, depth = append(terms, disjuncts(right.node)...), max(left.depth, right.depth+1)
		} else if terms, ok := right.node.(Or); ok {
			node, depth = append(Or{left.node}, terms...), max(left.depth+1, right.depth)
		}
	}
	return p.part(node, depth, right.qualifiers)
}

func conjuncts(n Node) And {
	if terms, ok := n.(And); ok {
		return terms
	}
	return And{n}
}

func disjuncts(n Node) Or {
	if terms, ok := n.(Or); ok {
		return terms
	}
	return Or{n}
}

func (p *parser) part(n Node, depth int, q qualifiers) part {
	if depth > maxDepth {
		p.tooDeep()
	}
	return part{n, depth, q}
}

// negate collapses not not.
func (p *parser) negate(of part) part {
	if not, ok := of.node.(Not); ok {
		return part{not.Term, of.depth, of.qualifiers}
	}
	return p.part(Not{of.node}, of.depth+1, of.qualifiers)
}
