package eve

import (
	"strconv"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader"
)

// identifiers are what a tunnel's identifier is called.
var identifiers = [wire.Tunnels]string{
	wire.VXLAN: `,"vni":`, wire.Geneve: `,"vni":`, wire.GRE: `,"key":`, wire.GTPU: `,"teid":`,
}

// appendTunnel appends the outer packet, by EVE's names as far as it has them.
func (e *Encoder) appendTunnel(b []byte, t *reader.Tunnel) []byte {
	b = append(b, `,"tunnel":{"src_ip":"`...)
	b = t.Source.Addr().AppendTo(b)
	b = append(b, '"')
	if t.HasPorts {
		b = append(b, `,"src_port":`...)
		b = strconv.AppendUint(b, uint64(t.Source.Port()), 10)
	}
	b = appendEndpoint(b, "dest", t.Destination, t.HasPorts)
	b = append(b, e.protocol(t.Protocol)...)
	b = append(b, `,"ttl":`...)
	b = strconv.AppendUint(b, uint64(t.TTL), 10)
	b = append(b, `,"depth":1`...)
	b = appendTunnelType(b, t.Kind, t.ID, t.HasID)
	b = appendVLAN(b, t.Tags())
	return append(b, '}')
}

// appendTunnelType appends which tunnel it is, with its identifier where it has one.
func appendTunnelType(b []byte, kind wire.Tunnel, id uint32, hasID bool) []byte {
	b = append(b, `,"type":"`...)
	b = append(b, kind.String()...)
	b = append(b, '"')
	if hasID && kind < wire.Tunnels && identifiers[kind] != "" {
		b = append(b, identifiers[kind]...)
		b = strconv.AppendUint(b, uint64(id), 10)
	}
	return b
}
