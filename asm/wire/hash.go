package wire

// Hash is what the device made of a packet's headers, to choose a receive queue by (RSS), or
// the network stack in its place. The zero value is none: nobody told of one.
type Hash struct {
	Value uint32
	Over  HashOver // no bits: that was not told
}

// HashOver is what a [Hash] was made of: enum xdp_rss_hash_type (include/net/xdp.h).
type HashOver uint32

const (
	HashIPv4       HashOver = 1 << iota // the addresses
	HashIPv6                            // the same
	HashExtensions                      // of IPv4 options, or of IPv6 extension headers, too
	HashTransport                       // the ports, or what the protocol has for them: with one of the following, if it is known
	HashTCP
	HashUDP
	HashSCTP
	HashIPsec // the SPI
	HashICMP
)

var hashWords = [...]string{"ipv4", "ipv6", "extensions", "l4", "tcp", "udp", "sctp", "ipsec", "icmp"}

// hashProtocols are the bits beside which HashTransport says nothing new.
const hashProtocols = HashTCP | HashUDP | HashSCTP | HashIPsec | HashICMP

// Known reports whether there is a hash.
func (h Hash) Known() bool { return h != Hash{} }

// String is the hash in words: "0x1f2e3d4c (ipv4 udp)", and "" of none.
func (h Hash) String() string { return string(h.AppendTo(nil)) }

// AppendTo appends [Hash.String] to b. It allocates nothing where that has room.
func (h Hash) AppendTo(b []byte) []byte {
	if !h.Known() {
		return b
	}
	b = append(b, "0x"...)
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[h.Value>>shift&0xf])
	}
	if h.Over == 0 {
		return b
	}
	return append(h.Over.AppendWords(append(b, " ("...), " "), ')')
}

// String is its words: "ipv4 udp", and "" where it is not known.
func (o HashOver) String() string { return string(o.AppendWords(nil, " ")) }

// AppendWords appends the words to b, with a text between them: ipv4, ipv6, extensions, tcp,
// udp, sctp, ipsec, icmp; l4 of a transport protocol that is not told, and other for
// bits that have no word here. It allocates nothing where b has room.
func (o HashOver) AppendWords(b []byte, between string) []byte {
	if o&hashProtocols != 0 {
		o &^= HashTransport
	}
	first := true
	word := func(w string) {
		if !first {
			b = append(b, between...)
		}
		b, first = append(b, w...), false
	}
	for i, w := range hashWords {
		if o>>i&1 != 0 {
			word(w)
		}
	}
	if o>>len(hashWords) != 0 {
		word("other")
	}
	return b
}
