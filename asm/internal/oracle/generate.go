package oracle

import (
	"encoding/binary"
	"math/rand/v2"
)

// Generator makes frames up: built from headers that lie now and then,
// mutations of such and of fixtures, and noise. Equal seeds give equal frames.
type Generator struct {
	// Tunnels has half of the packets be tunnels, of which some lie.
	Tunnels bool

	random   *rand.Rand
	longest  int
	fixtures []Fixture
	tunnels  []Fixture
}

// Shortest is the length of the shortest frame that is generated: what
// BPF_PROG_TEST_RUN accepts.
const Shortest = 14

// NewGenerator returns a generator of frames of up to longest bytes.
func NewGenerator(seed uint64, longest int) *Generator {
	return &Generator{
		random:   rand.New(rand.NewPCG(seed, 0)),
		longest:  longest,
		fixtures: Fixtures(),
	}
}

// Intn returns a number from 0 to n-1, for choices beside the frame's bytes.
func (g *Generator) Intn(n int) int { return g.random.IntN(n) }

// Append appends one frame to b.
func (g *Generator) Append(b []byte) []byte {
	start := len(b)
	switch kind := g.random.IntN(100); {
	case kind < 55:
		b = g.structured(b)
	case kind < 75:
		b = g.mutate(g.structured(b), start)
	case kind < 90 && g.Tunnels:
		if g.tunnels == nil {
			g.tunnels = InnerFixtures()
		}
		b = g.mutate(append(b, g.tunnels[g.random.IntN(len(g.tunnels))].Frame...), start)
	case kind < 90:
		b = g.mutate(append(b, g.fixtures[g.random.IntN(len(g.fixtures))].Frame...), start)
	default:
		b = g.noise(b)
	}
	if end := start + g.longest; len(b) > end {
		b = b[:end]
	}
	for len(b) < start+Shortest {
		b = append(b, byte(g.random.Uint32()))
	}
	return b
}

// chance is true in one of n.
func (g *Generator) chance(n int) bool { return g.random.IntN(n) == 0 }

// pick returns one of the choices.
func pick[T any](g *Generator, choices ...T) T { return choices[g.random.IntN(len(choices))] }

// bytes appends n random bytes.
func (g *Generator) bytes(b []byte, n int) []byte {
	for ; n >= 8; n -= 8 {
		b = binary.NativeEndian.AppendUint64(b, g.random.Uint64())
	}
	for word := g.random.Uint64(); n > 0; n-- {
		b = append(b, byte(word))
		word >>= 8
	}
	return b
}

// structured appends a frame whose headers follow from each other, mostly.
func (g *Generator) structured(b []byte) []byte {
	start := len(b)
	b = g.bytes(b, 12)
	for range pick(g, 0, 0, 0, 0, 1, 1, 2, 2, 3, 5) {
		b = binary.BigEndian.AppendUint16(b, pick[uint16](g, 0x8100, 0x8100, 0x8100, 0x8100, 0x8100, 0x88a8, 0x88a8, 0x88a8, 0x88a8, 0x9100))
		b = g.bytes(b, 2)
	}
	switch kind := g.random.IntN(20); {
	case kind < 8:
		b = g.ipv4(append(b, 0x08, 0x00))
	case kind < 18:
		b = g.ipv6(append(b, 0x86, 0xdd))
	default:
		b = binary.BigEndian.AppendUint16(b, pick(g, 0x0806, 0x8847, 0x8100, 0x88a8, 0, 46, uint16(g.random.Uint32())))
		b = g.bytes(b, g.random.IntN(80))
	}
	if g.chance(4) { // cut, most often near the end of the headers
		b = b[:start+g.random.IntN(min(len(b)-start, 160)+1)]
	}
	return b
}

func (g *Generator) protocol() byte {
	if g.Tunnels && g.chance(2) {
		return pick[byte](g, udp, udp, udp, gre, gre, ipip, ipv6)
	}
	if g.chance(20) {
		return byte(g.random.Uint32())
	}
	return pick[byte](g, tcp, tcp, tcp, udp, udp, udp, sctp, sctp, 1, 58, 4, 41, 47,
		hopByHop, routing, fragment, auth, destination)
}

func (g *Generator) ipv4(b []byte) []byte {
	words := 5
	switch {
	case g.chance(10):
		words = g.random.IntN(16)
	case g.chance(3):
		words = 6 + g.random.IntN(10)
	}
	version := 4
	if g.chance(30) {
		version = g.random.IntN(16)
	}
	protocol := g.protocol()
	header := g.bytes(b, 20)
	ip := header[len(b):]
	ip[0] = byte(version<<4 | words)
	if !g.chance(3) {
		binary.BigEndian.PutUint16(ip[2:], uint16(4*words+8)) // true for some of those that follow
	}
	switch g.random.IntN(6) {
	case 0: // whatever it is
	case 1:
		binary.BigEndian.PutUint16(ip[6:], pick[uint16](g, 0x2000, 0x4000, 0x8000, 0x0001, 0x2001, 0x1fff, 0x0100, 0x1000, 0xffff))
	default:
		binary.BigEndian.PutUint16(ip[6:], 0)
	}
	ip[9] = protocol
	return g.transport(g.bytes(header, max(0, 4*words-20)), protocol)
}

func (g *Generator) ipv6(b []byte) []byte {
	var chain []byte
	if !g.chance(3) {
		for range pick(g, 1, 1, 1, 2, 2, 3, 5, 7, 8, 8, 9, 9, 10, 16) {
			chain = append(chain, pick[byte](g, hopByHop, routing, destination, destination, fragment, auth))
		}
	}
	protocol := g.protocol()
	chain = append(chain, protocol)

	header := g.bytes(b, 40)
	ip := header[len(b):]
	ip[0] = 6<<4 | ip[0]&0xf
	if g.chance(30) {
		ip[0] = byte(g.random.Uint32())
	}
	ip[6] = chain[0]
	b = header
	long := g.chance(100) // so many bytes of headers that they end in another buffer
	for i, this := range chain[:len(chain)-1] {
		b = g.extension(b, this, chain[i+1], long)
	}
	return g.transport(b, protocol)
}

func (g *Generator) extension(b []byte, this, next byte, long bool) []byte {
	const shortest = 8
	units := 0
	switch {
	case long:
		units = g.random.IntN(256)
	case g.chance(2):
		units = g.random.IntN(6)
	}
	size := shortest
	switch this {
	case fragment:
	case auth:
		size += 4 * units
	default:
		size += 8 * units
	}
	at := len(b)
	b = g.bytes(b, size)
	b[at] = next
	if !g.chance(12) || this == fragment {
		b[at+1] = byte(units)
	}
	if this == fragment && !g.chance(4) {
		binary.BigEndian.PutUint16(b[at+2:], pick[uint16](g, 0, 1, 6, 7, 0, 1, 8, 0xfff8))
	}
	return b
}

func (g *Generator) transport(b []byte, protocol byte) []byte {
	if g.Tunnels && !g.chance(6) {
		if longer := g.tunnel(b, protocol); longer != nil {
			return longer
		}
	}
	size := 8
	switch protocol {
	case tcp:
		size = 20
	case sctp:
		size = 12
	}
	switch {
	case g.chance(4):
		size = g.random.IntN(21)
	case g.chance(300):
		size = g.random.IntN(g.longest)
	case g.chance(2):
		size += g.random.IntN(64)
	}
	return g.bytes(b, size)
}

// mutate changes the frame that begins at start in a few places.
func (g *Generator) mutate(b []byte, start int) []byte {
	for range 1 + g.random.IntN(6) {
		frame := b[start:]
		if len(frame) < Shortest {
			return b
		}
		at := 12 + g.random.IntN(min(len(frame)-12, 120)) // addresses of the link matter to none
		switch g.random.IntN(8) {
		case 0:
			frame[at] ^= 1 << g.random.IntN(8)
		case 1:
			frame[at] = byte(g.random.Uint32())
		case 2:
			frame[at] = pick[byte](g, 0, 1, 4, 8, 0x0f, 0x1f, 0x40, 0x44, 0x45, 0x4f, 0x60, 0x7f, 0x80, 0xff,
				tcp, udp, sctp, routing, fragment, auth, destination)
		case 3:
			if at+1 < len(frame) {
				binary.BigEndian.PutUint16(frame[at:], pick[uint16](g, 0x0800, 0x86dd, 0x8100, 0x88a8, 0x2000, 0x1fff, 0xffff))
			}
		case 4: // cut out
			n := min(1+g.random.IntN(20), len(frame)-at)
			b = append(b[:start+at], frame[at+n:]...)
		case 5: // put in, often what is there twice
			var piece [20]byte
			n := 1 + g.random.IntN(len(piece))
			if g.chance(2) {
				n = copy(piece[:n], frame[at:])
			} else {
				g.bytes(piece[:0], n)
			}
			b = append(b, piece[:n]...)
			copy(b[start+at+n:], b[start+at:len(b)-n])
			copy(b[start+at:], piece[:n])
		case 6:
			b = b[:start+at]
		case 7:
			b = g.bytes(b, g.random.IntN(30))
		}
	}
	return b
}

// noise appends random bytes, half of them behind an EtherType that is decoded.
func (g *Generator) noise(b []byte) []byte {
	b = g.bytes(b, 12)
	switch {
	case g.chance(4):
		b = append(b, 0x08, 0x00, byte(4<<4|g.random.IntN(16)))
	case g.chance(3):
		b = append(b, 0x86, 0xdd, byte(6<<4))
	}
	return g.bytes(b, g.random.IntN(200))
}
