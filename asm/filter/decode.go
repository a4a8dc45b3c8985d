package filter

import "encoding/binary"

// packet is a frame and what its headers say.
type packet struct {
	frame  []byte
	length uint32

	in         Tunnel // what the packet is the inner one of; none, where nobody looks
	headerless bool   // frame begins with the IP header: there is no Ethernet header to ask

	typed     uint8                // how many types there are: none in a frame of less than 14 bytes
	tags      uint8                // how many vlans there are
	types     [1 + mostTags]uint16 // of the frame, then behind each tag
	vlans     [mostTags]uint16     // ids, outer first
	network   int                  // offset of what is behind the Ethernet header and the tags
	version   Version              // AnyIP unless there is a well-formed IP header
	protocol  uint8                // behind IPv6 extension headers
	met       uint64               // 1 << number of each extension header before that
	later     bool                 // a fragment other than the first
	transport int                  // offset of what is behind the IP header, or of the extension header that is cut
}

const (
	etherLen      = 14
	tagLen        = 4
	mostTags      = 2
	mostExtension = 8
	fragmentBits  = 0x1fff // of the 16 with the flags, in IPv4
)

// IPv6 extension headers that are stepped over.
const (
	extHopByHop    = 0
	extRouting     = 43
	extFragment    = 44
	extDestination = 60
)

// etherType is the EtherType behind the tags. There is one.
func (p *packet) etherType() uint16 { return p.types[p.tags] }

// decode sets all but frame and length, which are given.
func (p *packet) decode() {
	p.in, p.headerless = Tunnel{}, false
	if p.decodePlain() {
		return
	}
	p.version, p.protocol, p.met, p.later, p.transport = AnyIP, 0, 0, false, 0
	p.typed, p.tags = 0, 0
	p.network = etherLen
	if len(p.frame) < etherLen {
		return
	}
	p.types[0], p.typed = p.u16(etherLen-2), 1
	for p.tags < mostTags && isTag(p.etherType()) && len(p.frame) >= p.network+tagLen {
		p.vlans[p.tags] = p.u16(p.network) & 0xfff
		p.tags++
		p.types[p.tags] = p.u16(p.network + 2)
		p.typed++
		p.network += tagLen
	}
	switch p.etherType() {
	case typeIPv4:
		p.ipv4()
	case typeIPv6:
		p.ipv6()
	}
}

// decodePlain does for IPv4 without tags and options, which most packets are, what
// decode does for all.
func (p *packet) decodePlain() bool {
	const versionAndLength = 0x45
	f := p.frame
	if len(f) < etherLen+20 || binary.BigEndian.Uint16(f[etherLen-2:]) != typeIPv4 || f[etherLen] != versionAndLength {
		return false
	}
	p.types[0], p.typed, p.tags = typeIPv4, 1, 0
	p.network, p.transport = etherLen, etherLen+20
	p.version, p.protocol, p.met = IPv4, f[etherLen+9], 0
	p.later = binary.BigEndian.Uint16(f[etherLen+6:])&fragmentBits != 0
	return true
}

func isTag(etherType uint16) bool { return etherType == 0x8100 || etherType == 0x88a8 }

func (p *packet) u16(offset int) uint16 { return binary.BigEndian.Uint16(p.frame[offset:]) }
func (p *packet) u32(offset int) uint32 { return binary.BigEndian.Uint32(p.frame[offset:]) }

func (p *packet) ipv4() {
	header := p.frame[p.network:]
	if len(header) < 20 || header[0]>>4 != 4 {
		return
	}
	length := int(header[0]&0xf) * 4
	if length < 20 || length > len(header) {
		return
	}
	p.version = IPv4
	p.protocol = header[9]
	p.later = binary.BigEndian.Uint16(header[6:])&fragmentBits != 0
	p.transport = p.network + length
}

func (p *packet) ipv6() {
	header := p.frame[p.network:]
	if len(header) < 40 || header[0]>>4 != 6 {
		return
	}
	p.version = IPv6
	p.protocol = header[6]
	p.transport = p.network + 40
	for range mostExtension {
		if !p.extension() {
			return
		}
	}
}

func isExtension(protocol uint8) bool {
	switch protocol {
	case extHopByHop, extRouting, extFragment, protoAH, extDestination:
		return true
	}
	return false
}

// bears says whether the number is the packet's protocol, or that of an
// extension header before it.
func (p *packet) bears(number uint8) bool {
	return p.protocol == number || isExtension(number) && p.met>>number&1 != 0
}

// extension steps over an extension header. It returns false if there is none,
// if it is cut, and behind the header of a later fragment.
func (p *packet) extension() bool {
	if !isExtension(p.protocol) {
		return false
	}
	p.met |= 1 << p.protocol
	header := p.frame[p.transport:]
	if len(header) < 8 {
		return false
	}
	length := 8
	switch p.protocol {
	case extHopByHop, extRouting, extDestination:
		length = int(header[1])*8 + 8
	case protoAH:
		length = int(header[1])*4 + 8
	case extFragment:
		p.later = binary.BigEndian.Uint16(header[2:])&0xfff8 != 0
	}
	if length > len(header) {
		return false
	}
	p.protocol = header[0]
	p.transport += length
	return !p.later
}
