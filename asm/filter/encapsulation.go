package filter

import "strings"

// EtherTypes and UDP ports of what other packets travel in.
const (
	typeMPLS   = 0x8847
	typePPPoED = 0x8863 // discovery
	typePPPoES = 0x8864 // session

	portVXLAN  = 4789 // RFC 7348
	portGeneve = 6081 // RFC 8926
)

// optional parses what follows name: a number up to most, or nothing.
func (p *parser) optional(name, what string, most uint32) (n uint32, given bool) {
	open := 0
	for p.peekAt(open).is("(") {
		open++
	}
	id := p.peekAt(open)
	if id.kind != number {
		p.unsigned(name, id)
		if low, high, found := strings.Cut(id.text, "-"); found && isNumeral(low) && isNumeral(high) {
			p.fail(id, "%s takes one number: write %s %s or %s %s, and so on", name, name, low, name, high)
		}
		return 0, false
	}
	if open > maxNesting {
		p.tooDeep()
	}
	p.pos += open + 1
	for range open {
		if or := p.peek(); or.is("or") {
			p.fail(or, "%s takes one number: write %s %s or %s %s", name, name, id.text, name, p.peekAt(1).text)
		}
		p.expect(")", "to close the parenthesis")
	}
	if id.number > most {
		p.fail(id, "%s %d is over %d", what, id.number, most)
	}
	return id.number, true
}

func (p *parser) vlan() part {
	id, given := p.optional("vlan", "VLAN id", 4095)
	return part{node: VLAN{Any: !given, ID: uint16(id)}, depth: 1}
}

// behindTags is size bytes behind the Ethernet header and its tags, under a mask.
// That the packet is IP is not asked of what stands on the right of an operator.
func behindTags(offset Number, size uint8, mask Number) Arith {
	return Binary{BitAnd, mask, Load{IPLayer, offset, size}}
}

// mpls finds a label among the first three of the stack (RFC 3032, 2.1), of which
// the last has a bit set.
func (p *parser) mpls() part {
	label, given := p.optional("mpls", "MPLS label", 1<<20-1)
	if !given {
		return part{node: EtherType{typeMPLS}, depth: 1}
	}
	is := func(offset Number) Node {
		return Relation{Equal, behindTags(offset, 4, 0xfffff000), Number(label << 12)}
	}
	notLast := func(offset Number) Node { return Relation{Equal, behindTags(offset+2, 1, 1), Number(0)} }
	stack := Or{is(0), And{notLast(0), Or{is(4), And{notLast(4), is(8)}}}}
	return part{node: And{EtherType{typeMPLS}, stack}, depth: 8}
}

func (p *parser) pppoes() part {
	session, given := p.optional("pppoes", "PPPoE session", 1<<16-1)
	if !given {
		return part{node: EtherType{typePPPoES}, depth: 1}
	}
	id := Relation{Equal, behindTags(2, 2, 0xffff), Number(session)} // RFC 2516, 4
	return part{node: And{EtherType{typePPPoES}, id}, depth: 4}
}

// overlay is Geneve of version 0, or VXLAN whose header says that it has a network
// identifier. Both stand behind the 8 bytes of UDP's header.
func (p *parser) overlay(name string) part {
	if p.inner {
		kind := map[string]TunnelKind{"vxlan": VXLAN, "geneve": Geneve}[name]
		vni, given := p.optional(name, "network identifier", 1<<24-1)
		return part{node: InTunnel{Kind: kind, Any: !given, ID: vni}, depth: 1}
	}
	port, header := uint16(portGeneve), Relation{Equal, Binary{BitAnd, Load{UDPLayer, Number(8), 1}, Number(0xc0)}, Number(0)}
	if name == "vxlan" {
		port, header = portVXLAN, Relation{NotEqual, Binary{BitAnd, Load{UDPLayer, Number(8), 1}, Number(8)}, Number(0)}
	}
	node := And{Port{protoUDP, Destination, port, port}, header}
	if vni, given := p.optional(name, "network identifier", 1<<24-1); given {
		node = append(node, Relation{Equal, Binary{BitAnd, Load{UDPLayer, Number(12), 4}, Number(0xffffff00)}, Number(vni << 8)})
	}
	return part{node: node, depth: 4}
}
