package filtertest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Expressions makes random expressions in the filter language, valid ones by
// its grammar. The same seed gives the same expressions.
type Expressions struct {
	// VLAN allows the primitive vlan, which libpcap means otherwise: there
	// it shifts all that follows.
	VLAN bool
	rand *rand.Rand
}

// NewExpressions returns a generator.
func NewExpressions(seed uint64) *Expressions {
	return &Expressions{rand: rand.New(rand.NewPCG(seed, 2))}
}

// Next is an expression of up to about size primitives.
func (e *Expressions) Next(size int) string {
	text, _ := e.expression(1 + e.rand.IntN(size))
	return text
}

func (e *Expressions) oneOf(words ...string) string { return pick(e.rand, words) }

// chance is true once in n.
func (e *Expressions) chance(n int) bool { return e.rand.IntN(n) == 0 }

// expression also says what kind of id may follow without qualifiers.
func (e *Expressions) expression(size int) (text, carries string) {
	if size <= 1 {
		return e.primitive()
	}
	left := 1 + e.rand.IntN(size-1)
	text, carries = e.expression(left)
	text += e.oneOf(" and ", " or ", " && ", " || ")
	switch right := size - left; {
	case carries != "" && e.chance(3):
		return text + e.not() + e.id(carries), carries
	case right == 1:
		primitive, next := e.primitive()
		return text + e.not() + primitive, next
	default:
		inside, _ := e.expression(right)
		return text + e.not() + "(" + inside + ")", carries
	}
}

func (e *Expressions) not() string {
	if !e.chance(4) {
		return ""
	}
	return e.oneOf("not ", "!", "! ")
}

func (e *Expressions) direction() string {
	return e.oneOf("", "", "", "src ", "dst ", "src or dst ", "src and dst ")
}

func (e *Expressions) primitive() (text, carries string) {
	direction := e.direction()
	switch e.rand.IntN(16) {
	case 0, 1:
		return e.oneOf("ip", "ip6", "arp", "rarp", "tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "ah", "esp", "pim", "vrrp"), ""
	case 2, 3:
		return e.qualified(e.oneOf("", "", "ip ", "arp ", "rarp ")+direction+"host ", "host4")
	case 4:
		return e.qualified(e.oneOf("", "ip6 ")+direction+"host ", "host6")
	case 5:
		if direction == "" {
			direction = "src "
		}
		return e.qualified(direction, e.oneOf("host4", "host6"))
	case 6:
		return e.qualified(e.oneOf("", "", "ip ", "arp ")+direction+"net ", "net4")
	case 7:
		return e.qualified(e.oneOf("", "ip6 ")+direction+"net ", "net6")
	case 8, 9:
		return e.qualified(e.oneOf("", "", "tcp ")+direction+"port ", "port")
	case 10:
		if e.chance(2) { // some names are of TCP alone
			return e.qualified(e.oneOf("udp ", "sctp ")+direction+"port ", "number")
		}
		return e.qualified(e.oneOf("", "tcp ")+direction+"portrange ", "portrange")
	case 11:
		return e.qualified(e.oneOf("", "ip ", "ip6 ")+"proto ", "proto")
	case 12:
		if e.chance(2) {
			return e.qualified("ether proto ", "ethertype")
		}
		return e.qualified("ether "+direction+"host ", "mac")
	case 13:
		if e.VLAN && e.chance(2) {
			return e.oneOf("vlan", "vlan 10", "vlan 20", "vlan 4095"), ""
		}
		return e.oneOf("broadcast", "multicast", "ether broadcast", "ether multicast", "ip multicast", "ip6 multicast",
			fmt.Sprintf("greater %d", e.rand.IntN(400)), fmt.Sprintf("less %d", e.rand.IntN(400))), ""
	default:
		return e.sum(e.rand.IntN(3)) + e.oneOf(" = ", " == ", "!=", " < ", "<=", ">", " >= ") + e.sum(e.rand.IntN(2)), ""
	}
}

func (e *Expressions) qualified(qualifiers, id string) (text, carries string) {
	if e.chance(10) {
		return qualifiers + "(" + e.id(id) + e.oneOf(" or ", " and ") + e.not() + e.id(id) + ")", id
	}
	return qualifiers + e.id(id), id
}

func (e *Expressions) id(kind string) string {
	switch kind {
	case "host4":
		return pick(e.rand, hosts4)
	case "host6":
		return pick(e.rand, hosts6)
	case "net4":
		return e.oneOf("192.0.2.0/24", "192", "198.51", "198.51.100", "192.0.0.0/8", "0.0.0.0/0", "203.0.113.8/30",
			"192.0.2.0 mask 255.255.255.0", "198.0.100.0 mask 255.0.255.0", "224.0.0.0/4", "192.0.2.1/32")
	case "net6":
		return e.oneOf("2001:db8::/32", "2001:db8::/64", "2001:db8:1::/48", "fe80::/10", "ff00::/8", "::/0", "2001:db8::2/127", "2001:db8::1")
	case "port":
		if e.chance(4) {
			return e.oneOf("ftp", "ssh", "domain", "http", "https", "snmp", "0x50", "025")
		}
		return fmt.Sprint(pick(e.rand, ports))
	case "number":
		return fmt.Sprint(pick(e.rand, ports))
	case "portrange":
		return e.oneOf("20-25", "80-80", "443-80", "ftp-ssh", "6000-65535", "0-1023", "53", "domain-http")
	case "proto":
		return e.oneOf("1", "2", "6", "17", `\tcp`, `\udp`, `\icmp`, "ipv6-icmp", "50", "132", "0x3a", "112", "89", "0", "43", "44", "51", "60")
	case "ethertype":
		return e.oneOf(`\ip`, `\ip6`, `\arp`, `\rarp`, "0x88cc", "0x0800", "34525")
	default: // mac
		mac := pick(e.rand, macs)
		if e.chance(4) {
			return strings.ReplaceAll(mac, ":", "-")
		}
		return mac
	}
}

// sum is an arithmetic expression.
func (e *Expressions) sum(depth int) string {
	if depth == 0 {
		return e.operand(0)
	}
	left, right := e.sum(depth-1), e.sum(e.rand.IntN(depth))
	if e.chance(3) {
		left = "(" + left + ")"
	}
	if e.chance(3) {
		right = "(" + right + ")"
	}
	switch op := e.oneOf("+", "-", "*", "&", "|", "^", "<<", ">>", "/", "%"); op {
	case "<<", ">>", "/", "%": // mostly by a constant that is no mistake
		if e.chance(3) {
			return left + " " + op + " (" + e.load(0) + ")"
		}
		return "(" + left + " " + op + " " + fmt.Sprint(1+e.rand.IntN(31)) + ")"
	default:
		return left + " " + op + " " + right
	}
}

func (e *Expressions) operand(depth int) string {
	switch e.rand.IntN(10) {
	case 0:
		return e.oneOf("len", "length", "-len")
	case 1:
		return e.oneOf("tcp[tcpflags] & (tcp-syn|tcp-ack)", "icmp[icmptype]", "icmp6[icmp6type]", "ip[0] & 0xf", "ip[6:2] & 0x1fff", "tcp[12] >> 4", "ether[0] & 1")
	case 2, 3, 4:
		return e.oneOf("0", "1", "2", "6", "17", "20", "53", "64", "80", "0x10", "0x45", "0377", "443", "0x800", "65535", "0xffffffff", "tcp-syn", "icmp-echo", "-1")
	default:
		return e.load(depth)
	}
}

func (e *Expressions) load(depth int) string {
	offset := fmt.Sprint(e.rand.IntN(24))
	switch {
	case e.chance(16):
		offset = fmt.Sprint(e.rand.IntN(2000))
	case depth < 1 && e.chance(6):
		offset = e.load(depth+1) + " & 0x1f"
	case depth < 1 && e.chance(16):
		offset = "len - " + offset
	}
	return e.oneOf("ether", "ip", "ip", "ip6", "arp", "rarp", "tcp", "tcp", "udp", "udp", "sctp", "icmp", "icmp6", "igmp", "vrrp", "pim") +
		"[" + offset + e.oneOf("", "", ":1", ":2", " : 2", ":4") + "]"
}
