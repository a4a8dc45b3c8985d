package flow

import (
	"encoding/binary"
	"net/netip"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader"
)

// A key is what a conversation is told by, the same in both directions: a is the
// end that is less. It has no pointers, for the garbage collector, and no padding,
// for the map's hash.
type key struct {
	a, b         [2]uint64 // addresses as of IPv6, in two halves
	aPort, bPort uint16
	vlan         [2]uint16
	vlans        uint16
	protocol     uint16 // and 256 where there are ports, which may be 0
	version      uint16
	etherType    uint16 // where it is not IP
	overlay      uint64 // the kind of tunnel, above 32 bits of identifier where that is of both directions
}

// hasPorts is a bit above the protocol's number.
const hasPorts = 256

// keyOf returns the key of an event, and which end sent it: 0 is a, 1 is b.
func keyOf(e *reader.Event) (k key, sender int) {
	if e.VLANs > 0 {
		k.vlans = uint16(copy(k.vlan[:], e.Tags()))
	}
	if e.Tunnel.Kind != wire.NoTunnel {
		k.overlay = overlayOf(&e.Tunnel)
	}
	if e.IPVersion == 0 {
		k.etherType = e.EtherType
		return k, 0
	}
	k.version, k.protocol = uint16(e.IPVersion), uint16(e.Protocol)
	if e.HasPorts {
		k.protocol |= hasPorts
	}
	k.a, k.b = halves(e.Source.Addr()), halves(e.Destination.Addr())
	k.aPort, k.bPort = e.Source.Port(), e.Destination.Port()
	if less(k.b, k.bPort, k.a, k.aPort) {
		k.a, k.aPort, k.b, k.bPort = k.b, k.bPort, k.a, k.aPort
		return k, 1
	}
	return k, 0
}

// overlayShift is where the kind of tunnel stands in an overlay.
const overlayShift = 32

// overlayOf is what tells conversations in tunnels apart. The keys of GRE and the endpoints of
// GTP-U may be others in the other direction.
func overlayOf(t *reader.Tunnel) uint64 {
	overlay := uint64(t.Kind) << overlayShift
	if t.Kind == wire.VXLAN || t.Kind == wire.Geneve {
		overlay |= uint64(t.ID)
	}
	return overlay
}

func halves(a netip.Addr) [2]uint64 {
	b := a.As16()
	return [2]uint64{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func less(a [2]uint64, aPort uint16, b [2]uint64, bPort uint16) bool {
	if a[0] != b[0] {
		return a[0] < b[0]
	}
	if a[1] != b[1] {
		return a[1] < b[1]
	}
	return aPort < bPort
}

// ends are the two ends, a first.
func (k *key) ends() [2]netip.AddrPort {
	if k.version == 0 {
		return [2]netip.AddrPort{}
	}
	return [2]netip.AddrPort{
		netip.AddrPortFrom(k.address(k.a), k.aPort),
		netip.AddrPortFrom(k.address(k.b), k.bPort),
	}
}

func (k *key) address(halves [2]uint64) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], halves[0])
	binary.BigEndian.PutUint64(b[8:], halves[1])
	a := netip.AddrFrom16(b)
	if k.version == 4 {
		return a.Unmap()
	}
	return a
}
