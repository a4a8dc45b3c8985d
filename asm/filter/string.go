package filter

import (
	"fmt"
	"math/bits"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// String is the filter in its canonical text, with all qualifiers written out.
// Parse makes an equal tree of it. That of a filter which is not right says what
// [Filter.Check] does.
func (f *Filter) String() string {
	if err := f.Check(); err != nil {
		return fmt.Sprintf("(%v)", err)
	}
	if f.Root == Node(Constant(true)) {
		return ""
	}
	return text(f.Root)
}

// text is a node's canonical text.
func text(n Node) string {
	switch n := n.(type) {
	case And:
		if len(n) == 0 {
			return text(Constant(true))
		}
		return list(n, " and ")
	case Or:
		if len(n) == 0 {
			return text(Constant(false))
		}
		return list(n, " or ")
	case Not:
		return "not " + nested(n.Term)
	case Constant:
		if n {
			return "1 == 1"
		}
		return "1 == 0"
	case EtherType:
		for name, value := range etherTypes {
			if value == uint32(n.Value) && protocolWords[name].alone != nil {
				return name
			}
		}
		return fmt.Sprintf("ether proto %#04x", n.Value)
	case VLAN:
		if n.Any {
			return "vlan"
		}
		return fmt.Sprintf("vlan %d", n.ID)
	case InTunnel:
		if n.Any {
			return n.Kind.String()
		}
		return fmt.Sprintf("%v %d", n.Kind, n.ID)
	case EtherAddress:
		return "ether " + directions[n.Direction] + "host " + net.HardwareAddr(n.Address[:]).String()
	case Proto:
		return protoText(n)
	case Net4:
		return [...]string{"", "ip ", "arp ", "rarp "}[n.Scope] + directions[n.Direction] + net4Text(n.Address, n.Mask)
	case Net6:
		if n.Prefix.IsSingleIP() {
			return directions[n.Direction] + "host " + n.Prefix.Addr().String()
		}
		return directions[n.Direction] + "net " + n.Prefix.String()
	case Port:
		return portText(n)
	case Relation:
		return arithText(n.Left) + " " + [...]string{"==", "!=", ">", ">=", "<", "<="}[n.Op] + " " + arithText(n.Right)
	}
	panic(fmt.Sprintf("filter: unknown node %T", n))
}

var directions = [...]string{Either: "", Source: "src ", Destination: "dst ", Both: "src and dst "}

func list(terms []Node, separator string) string {
	texts := make([]string, len(terms))
	for i, term := range terms {
		texts[i] = nested(term)
	}
	return strings.Join(texts, separator)
}

// nested puts lists in parentheses.
func nested(n Node) string {
	switch n.(type) {
	case And, Or:
		return "(" + text(n) + ")"
	}
	return text(n)
}

func protoText(n Proto) string {
	for _, name := range []string{"tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "ah", "esp", "pim", "igrp", "vrrp"} {
		if protocolWords[name].alone == Node(n) {
			return name
		}
	}
	return fmt.Sprintf("%sproto %d", map[Version]string{IPv4: "ip ", IPv6: "ip6 "}[n.Version], n.Number)
}

func portText(n Port) string {
	prefix := ""
	for name, protocol := range portProtocols {
		if protocol == n.Protocol {
			prefix = name + " "
		}
	}
	prefix += directions[n.Direction]
	if n.Low == n.High {
		return fmt.Sprintf("%sport %d", prefix, n.Low)
	}
	return fmt.Sprintf("%sportrange %d-%d", prefix, n.Low, n.High)
}

// net4Text is host or net, and the address.
func net4Text(address, mask uint32) string {
	length := bits.LeadingZeros32(^mask)
	switch {
	case length == 32:
		return "host " + ipv4Text(address)
	case bits.OnesCount32(mask) == length:
		return "net " + ipv4Text(address) + "/" + strconv.Itoa(length)
	}
	return "net " + ipv4Text(address) + " mask " + ipv4Text(mask)
}

func ipv4Text(a uint32) string {
	return netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}).String()
}

// arithText is an expression's canonical text.
func arithText(a Arith) string {
	switch a := a.(type) {
	case Number:
		return strconv.FormatUint(uint64(a), 10)
	case Length:
		return "len"
	case Load:
		if a.Size == 1 {
			return fmt.Sprintf("%s[%s]", a.Layer, arithText(a.Offset))
		}
		return fmt.Sprintf("%s[%s:%d]", a.Layer, arithText(a.Offset), a.Size)
	case Binary:
		return operandText(a.Left) + " " + [...]string{"+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"}[a.Op] + " " + operandText(a.Right)
	}
	panic(fmt.Sprintf("filter: unknown arithmetic %T", a))
}

// operandText puts operations in parentheses, so that it needs no precedence.
func operandText(a Arith) string {
	if _, ok := a.(Binary); ok {
		return "(" + arithText(a) + ")"
	}
	return arithText(a)
}
