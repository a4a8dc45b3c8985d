package filter

import "net/netip"

// Node is a node of the syntax tree. All names, defaults and qualifiers are
// resolved in it. These are all kinds there are, and each is a value:
//
//	And Or Not Constant
//	EtherType VLAN EtherAddress Proto Net4 Net6 Port Relation InTunnel
//
// The parser lowers the rest of the language to them: broadcast and ip6
// multicast are addresses, greater and ether multicast are relations.
type Node interface{ node() }

// And is true if all its terms are, asked in their order up to the first false
// one. It has two terms at least, none of them an And.
type And []Node

// Or is true if one of its terms is, asked in their order up to the first true
// one. It has two terms at least, none of them an Or.
type Or []Node

// Not is true if its term is false. Its term is no Not. It does not turn the
// end of an evaluation at a missing byte into true.
type Not struct{ Term Node }

// Constant is always true or always false.
type Constant bool

// EtherType is true if the EtherType behind the VLAN tags is Value, or if Value
// is the type of one of the tags (0x8100, 0x88a8) that were stepped over.
type EtherType struct{ Value uint16 }

// VLAN is true if one of the (up to two) VLAN tags has this ID, 0–4095, or with
// Any if there is a tag at all. ID is 0 with Any.
type VLAN struct {
	Any bool
	ID  uint16
}

// EtherAddress compares addresses of the Ethernet header.
type EtherAddress struct {
	Direction Direction
	Address   [6]byte
}

// Proto is true if the packet has a well-formed IP header of this version and
// the number is its protocol, in IPv6 the one behind the extension headers, or
// that of one of the extension headers that were stepped over (0, 43, 44, 51, 60).
type Proto struct {
	Version Version
	Number  uint8 // IANA protocol number
}

// Net4 compares IPv4 addresses: address & Mask == Address. A host has all bits
// of Mask set. No bit outside of Mask is set in Address. The mask is usually,
// but not always, a prefix. Both are in host order: 10.0.0.1 is 0x0a000001.
//
// In an IPv4 packet these are the header's addresses, in ARP and RARP those at
// bytes 14 (source) and 24 (destination), whatever the packet says of hardware
// types and address lengths. Where there are both to ask, the source is first.
type Net4 struct {
	Scope         Scope
	Direction     Direction
	Address, Mask uint32
}

// Net6 compares the addresses of an IPv6 header. The prefix is masked: no bit
// behind its length is set.
type Net6 struct {
	Direction Direction
	Prefix    netip.Prefix
}

// Port compares ports in IPv4 and IPv6, of first or only fragments. Where
// there are both to ask, the source is first.
type Port struct {
	Protocol  uint8 // 6 TCP, 17 UDP, 132 SCTP, or 0 for any of the three
	Direction Direction
	Low, High uint16 // Low <= port <= High
}

// Relation compares two numbers, unsigned. It is false if the packet lacks one
// of [Relation.Layers]; this is asked before anything is loaded.
type Relation struct {
	Op          Comparison
	Left, Right Arith
}

// InTunnel is true if what is asked is the inner packet of a tunnel of this kind, with this
// identifier, or with Any of whatever identifier. ID is 0 with Any. It is for programs that look
// into tunnels: others refuse it. See [Options.Inner].
type InTunnel struct {
	Kind TunnelKind
	Any  bool
	ID   uint32
}

func (And) node()          {}
func (Or) node()           {}
func (Not) node()          {}
func (Constant) node()     {}
func (EtherType) node()    {}
func (VLAN) node()         {}
func (EtherAddress) node() {}
func (Proto) node()        {}
func (Net4) node()         {}
func (Net6) node()         {}
func (Port) node()         {}
func (Relation) node()     {}
func (InTunnel) node()     {}

// Direction says which of a packet's two addresses or ports is compared.
type Direction uint8

const (
	Either      Direction = iota // source or destination
	Source                       // source
	Destination                  // destination
	Both                         // source and destination
)

// Version restricts to a version of IP.
type Version uint8

const (
	AnyIP Version = 0
	IPv4  Version = 4
	IPv6  Version = 6
)

// Scope says in which packets a [Net4] looks for addresses.
type Scope uint8

const (
	AnyScope  Scope = iota // IPv4, ARP and RARP
	IPScope                // IPv4
	ARPScope               // ARP
	RARPScope              // RARP
)

// Arith is an arithmetic expression. All arithmetic is on unsigned 32-bit
// numbers and wraps. These are all kinds there are, and each is a value:
//
//	Number Length Load Binary
type Arith interface{ arith() }

// Number is a constant.
type Number uint32

// Length is the length of the whole packet in bytes, from the Ethernet header
// on, also where fewer were captured.
type Length struct{}

// Load is Size bytes of the packet, big-endian, at Offset from the beginning
// of a header. Bytes that are not there end the evaluation.
//
// What counts from behind the IP header begins where the parser's walk ended,
// behind options or extension headers. Where the IP header is malformed, or the
// packet none, and in the layers of IPv4 alone always, it begins
// 4 * (ip[0] & 0xf) bytes behind the beginning of what follows the tags: the
// relation may not ask for the layer. The length of the headers and Offset wrap
// at 32 bits: tcp[-20] is the first byte of an IPv4 header without options. In
// the other layers a large offset is beyond the end. [ICMP6Layer] begins behind
// the extension headers of a well-formed IPv6 header, else 40 bytes behind the
// tags.
type Load struct {
	Layer  Layer
	Offset Arith
	Size   uint8 // 1, 2 or 4
}

// Binary is an operation on two numbers, Left first. The parser leaves none in
// which both are a Number, no constant division by zero and no shift by a
// constant over 31. A shift by more than that is 0; a division or remainder by
// zero ends the evaluation. -x is x * 0xffffffff.
type Binary struct {
	Op          Operator
	Left, Right Arith
}

func (Number) arith() {}
func (Length) arith() {}
func (Load) arith()   {}
func (Binary) arith() {}

// Comparison is the operator of a [Relation].
type Comparison uint8

const (
	Equal Comparison = iota
	NotEqual
	Greater
	GreaterEqual
	Less
	LessEqual
)

// Operator is the operator of a [Binary].
type Operator uint8

const (
	Add Operator = iota
	Subtract
	Multiply
	Divide
	Modulo
	BitAnd
	BitOr
	BitXor
	ShiftLeft
	ShiftRight
)
