package filter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Tunnel is what a packet travels in.
type Tunnel struct {
	Kind     TunnelKind
	ID       uint32 // network identifier of VXLAN and Geneve, key of GRE, TEID of GTP-U
	HasID    bool
	Offset   int  // where in the frame the inner packet begins, in bytes
	Ethernet bool // it begins with an Ethernet header, else with an IP header
}

// TunnelKind is a kind of tunnel. They are numbered as package wire does.
type TunnelKind uint8

const (
	VXLAN  TunnelKind = iota + 1 // RFC 7348
	Geneve                       // RFC 8926
	GRE                          // RFC 2784, RFC 2890
	IPIP                         // IPv4 in IP
	IP6                          // IPv6 in IP
	GTPU                         // 3GPP TS 29.281
)

var tunnelNames = [...]string{VXLAN: "vxlan", Geneve: "geneve", GRE: "gre", IPIP: "ipip", IP6: "ip6", GTPU: "gtpu"}

// String is the tunnel's name in lower case.
func (k TunnelKind) String() string {
	if k >= VXLAN && k <= GTPU {
		return tunnelNames[k]
	}
	return fmt.Sprintf("tunnel %d", uint8(k))
}

// Bounds of what is a tunnel.
const (
	mostTunnelAt      = 512 // bytes before its header, or UDP's before that
	mostGTPExtensions = 4
)

const (
	typeBridging = 0x6558 // a frame, in GRE and Geneve

	protoIPIP = 4
	protoIP6  = 41
	protoGRE  = 47

	portGTPU     = 2152
	portVXLANOld = 8472 // of Linux, from before there was a standard
)

// ErrNoTunnels is why a filter with [InTunnel] is for no program that does not look into
// tunnels.
var ErrNoTunnels = errors.New("the filter asks in what the packet travels, and that is not looked for: asm.Config.Inner")

// AsksTunnel reports whether there is an [InTunnel] in a filter's tree.
func AsksTunnel(n Node) bool {
	switch n := n.(type) {
	case InTunnel:
		return true
	case And:
		return slices.ContainsFunc(n, AsksTunnel)
	case Or:
		return slices.ContainsFunc(n, AsksTunnel)
	case Not:
		return AsksTunnel(n.Term)
	}
	return false
}

// FindTunnel looks for a tunnel in a frame, from its Ethernet header on, which may be cut.
// There is one where the headers that lead to the inner packet, and its own up to IP, are
// whole and as these protocols have them, within bounds.
func FindTunnel(frame []byte) (t Tunnel, ok bool) {
	p := packet{frame: frame}
	p.decode()
	t, _, ok = p.tunnel()
	return t, ok
}

// MatchInner is [Filter.Match] of the packet in a tunnel, one level deep, where the frame has
// one; else it is Match. Length stays that of the whole. What is asked of an Ethernet header
// is missing where the tunnel carries none.
func (f *Filter) MatchInner(frame []byte, length int) bool {
	if f.Check() != nil {
		return false
	}
	p := packet{frame: frame, length: uint32(length)}
	p.decodeInner()
	return p.ask(f.Root) == yes
}

// MatchInner is [Filter.MatchInner].
func (m *Matcher) MatchInner(frame []byte, length int) bool {
	if m.test == nil {
		return false
	}
	m.at.frame, m.at.length = frame, uint32(length)
	m.at.decodeInner()
	return m.test(&m.at) == yes
}

// decodeInner is decode of the packet in a tunnel, if there is one.
func (p *packet) decodeInner() {
	p.decode()
	if tunnel, inner, ok := p.tunnel(); ok {
		*p = inner
		p.in = tunnel
	}
}

// tunnel is the one that the packet is, and what it carries.
func (p *packet) tunnel() (t Tunnel, inner packet, ok bool) {
	if p.version == AnyIP || p.later || p.transport > mostTunnelAt {
		return t, inner, false
	}
	t.Offset = p.transport
	etherType := uint16(0)
	header := p.frame[p.transport:]
	switch p.protocol {
	case protoIPIP:
		t.Kind, etherType, ok = IPIP, typeIPv4, true
	case protoIP6:
		t.Kind, etherType, ok = IP6, typeIPv6, true
	case protoGRE:
		etherType, ok = t.gre(header)
	case protoUDP:
		etherType, ok = t.inUDP(header)
	}
	if !ok || t.Offset > len(p.frame) {
		return t, inner, false
	}
	t.Ethernet = etherType == typeBridging
	inner = packet{frame: p.frame[t.Offset:], length: p.length, headerless: !t.Ethernet}
	if t.Ethernet {
		inner.decode()
	} else {
		inner.decodeIP(etherType)
	}
	return t, inner, inner.isWhole()
}

// isWhole says whether the packet's headers up to IP are not cut, nor malformed.
func (p *packet) isWhole() bool {
	switch {
	case p.version != AnyIP:
		return true
	case p.headerless, p.typed == 0:
		return false
	case p.tags < mostTags && isTag(p.etherType()):
		return false
	}
	return p.etherType() != typeIPv4 && p.etherType() != typeIPv6
}

// decodeIP is decode of a packet that begins with its IP header.
func (p *packet) decodeIP(etherType uint16) {
	p.types[0], p.typed = etherType, 1
	switch etherType {
	case typeIPv4:
		p.ipv4()
	case typeIPv6:
		p.ipv6()
	}
}

// gre steps over a GRE header, and returns the EtherType of what follows.
func (t *Tunnel) gre(b []byte) (etherType uint16, ok bool) {
	const checksum, key, sequence, unknown = 0x8000, 0x2000, 0x1000, 0x4c07
	if len(b) < 4 {
		return 0, false
	}
	flags := binary.BigEndian.Uint16(b)
	if flags&unknown != 0 {
		return 0, false
	}
	length := 4
	if flags&checksum != 0 {
		length += 4
	}
	if flags&key != 0 {
		if len(b) < length+4 {
			return 0, false
		}
		t.ID, t.HasID = binary.BigEndian.Uint32(b[length:]), true
		length += 4
	}
	if flags&sequence != 0 {
		length += 4
	}
	t.Kind = GRE
	t.Offset += length
	return payloadType(binary.BigEndian.Uint16(b[2:]))
}

// payloadType returns an EtherType that is looked into.
func payloadType(etherType uint16) (uint16, bool) {
	switch etherType {
	case typeBridging, typeIPv4, typeIPv6:
		return etherType, true
	}
	return 0, false
}

// inUDP steps over a UDP header and that of the tunnel whose port it goes to.
func (t *Tunnel) inUDP(b []byte) (etherType uint16, ok bool) {
	const udpLen, length = 8, 16
	if len(b) < length {
		return 0, false
	}
	header := b[udpLen:]
	t.ID, t.HasID = binary.BigEndian.Uint32(header[4:]), true
	switch binary.BigEndian.Uint16(b[2:]) {
	case portVXLAN, portVXLANOld:
		const hasVNI, generic = 0x08, 0x04
		if header[0]&(hasVNI|generic) != hasVNI {
			return 0, false
		}
		t.Kind, t.ID = VXLAN, t.ID>>8
		t.Offset += length
		return typeBridging, true
	case portGeneve:
		if header[0]>>6 != 0 {
			return 0, false
		}
		t.Kind, t.ID = Geneve, t.ID>>8
		t.Offset += length + int(header[0]&0x3f)*4
		return payloadType(binary.BigEndian.Uint16(header[2:]))
	case portGTPU:
		const user, data = 0x30, 255 // version 1, GTP and not GTP'; G-PDU
		if header[0]&0xf0 != user || header[1] != data {
			return 0, false
		}
		behind, ok := gtpOptions(header[0], b[length:])
		if !ok || behind == len(b[length:]) {
			return 0, false
		}
		t.Kind = GTPU
		t.Offset += length + behind
		switch b[length+behind] >> 4 {
		case 4:
			return typeIPv4, true
		case 6:
			return typeIPv6, true
		}
	}
	return 0, false
}

// gtpOptions is how many bytes there are between GTP-U's header and the user's packet.
func gtpOptions(flags byte, b []byte) (n int, ok bool) {
	const any, hasNext = 0x07, 0x04
	if flags&any == 0 {
		return 0, true
	}
	if len(b) < 4 {
		return 0, false
	}
	next := b[3]
	n = 4
	if flags&hasNext == 0 {
		return n, true
	}
	for range mostGTPExtensions {
		if next == 0 {
			return n, true
		}
		if n >= len(b) || b[n] == 0 || n+int(b[n])*4 > len(b) {
			return 0, false
		}
		n += int(b[n]) * 4
		next = b[n-1]
	}
	return n, next == 0
}
