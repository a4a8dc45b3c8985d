package tally

import (
	"bytes"
	"cmp"
	"net/netip"
	"strconv"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/internal/words"
)

// A Key is what the packets of a row have in common. What the [By] doesn't use, and
// what the packets don't have, is zero.
type Key struct {
	// Source and Destination are addresses; of a [Prefix] Source is its first. Of a
	// [Conversation] they are its two ends, the lower address and port first.
	Source, Destination         netip.Addr
	SourcePort, DestinationPort uint16

	VLAN      [2]uint16 // ids, outermost first: as many as VLANs says
	EtherType uint16    // of what is not IP
	MAC       [6]byte
	VLANs     uint8
	Protocol  uint8 // with IsIP
	IsIP      bool
	HasPorts  bool
	Verdict   wire.Verdict
}

// Bits of the prefix of a source.
const (
	PrefixIPv4 = 24
	PrefixIPv6 = 48
)

// Masked is the first address of the network that an address is in, for a [Prefix].
func Masked(a netip.Addr) netip.Addr {
	bits := PrefixIPv6
	if a.Is4() {
		bits = PrefixIPv4
	}
	prefix, err := a.Prefix(bits)
	if err != nil {
		return netip.Addr{} // it is none
	}
	return prefix.Addr()
}

// Prefix is the network of which Source is the first address.
func (k *Key) Prefix() netip.Prefix {
	if k.Source.Is4() {
		return netip.PrefixFrom(k.Source, PrefixIPv4)
	}
	return netip.PrefixFrom(k.Source, PrefixIPv6)
}

// Order puts the ends of a conversation in their order, and reports whether they
// have changed places.
func (k *Key) Order() (changed bool) {
	source := netip.AddrPortFrom(k.Source, k.SourcePort)
	destination := netip.AddrPortFrom(k.Destination, k.DestinationPort)
	if source.Compare(destination) <= 0 {
		return false
	}
	k.Source, k.Destination = k.Destination, k.Source
	k.SourcePort, k.DestinationPort = k.DestinationPort, k.SourcePort
	return true
}

// Compare is the order of keys: that of addresses and numbers.
func (k *Key) Compare(other *Key) int {
	return cmp.Or(
		k.Source.Compare(other.Source), k.Destination.Compare(other.Destination),
		cmp.Compare(k.SourcePort, other.SourcePort), cmp.Compare(k.DestinationPort, other.DestinationPort),
		cmp.Compare(k.Protocol, other.Protocol), cmp.Compare(k.EtherType, other.EtherType),
		cmp.Compare(k.VLANs, other.VLANs), cmp.Compare(k.VLAN[0], other.VLAN[0]), cmp.Compare(k.VLAN[1], other.VLAN[1]),
		bytes.Compare(k.MAC[:], other.MAC[:]), cmp.Compare(k.Verdict, other.Verdict),
		compareBool(k.IsIP, other.IsIP), compareBool(k.HasPorts, other.HasPorts),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// AppendTo appends the key in words: an address, "192.0.2.1 > 192.0.2.2", "udp 53".
func (k *Key) AppendTo(b []byte, by By) []byte {
	switch by {
	case Source:
		return k.appendAddress(b, k.Source)
	case Pair:
		if !k.Source.IsValid() {
			return append(b, notIP...)
		}
		b = append(k.Source.AppendTo(b), " > "...)
		return k.Destination.AppendTo(b)
	case Conversation:
		return k.appendConversation(b, false)
	case Port:
		b = k.appendProtocol(b)
		if k.HasPorts {
			b = strconv.AppendUint(append(b, ' '), uint64(k.DestinationPort), 10)
		}
		return b
	case VLAN:
		return k.appendVLAN(b)
	case MAC:
		return k.appendMAC(b)
	case Protocol:
		return k.appendProtocol(b)
	case Prefix:
		if !k.Source.IsValid() {
			return append(b, notIP...)
		}
		return k.Prefix().AppendTo(b)
	case Verdict:
		if k.Verdict == wire.NoVerdict {
			return append(b, "no verdict"...)
		}
		return append(b, k.Verdict.String()...)
	}
	return b
}

// notIP is the key of what has no address.
const notIP = "not IP"

func (k *Key) appendAddress(b []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		return append(b, notIP...)
	}
	return a.AppendTo(b)
}

func (k *Key) appendProtocol(b []byte) []byte {
	switch {
	case k.IsIP:
		return words.AppendProtocol(b, k.Protocol)
	case k.EtherType != 0:
		return words.AppendEtherType(b, k.EtherType)
	}
	return append(b, notIP...)
}

// appendConversation appends both ends, in the order of their key or the other way round.
func (k *Key) appendConversation(b []byte, reversed bool) []byte {
	b = k.appendProtocol(b)
	if k.VLANs > 0 {
		b = k.appendVLAN(append(b, ' '))
	}
	if !k.Source.IsValid() {
		return b
	}
	from, to := netip.AddrPortFrom(k.Source, k.SourcePort), netip.AddrPortFrom(k.Destination, k.DestinationPort)
	if reversed {
		from, to = to, from
	}
	b = words.AppendEndpoint(append(b, ' '), from, k.HasPorts)
	return words.AppendEndpoint(append(b, " > "...), to, k.HasPorts)
}

func (k *Key) appendVLAN(b []byte) []byte {
	if k.VLANs == 0 {
		return append(b, "untagged"...)
	}
	b = append(b, "vlan "...)
	for i, id := range k.VLAN[:min(int(k.VLANs), len(k.VLAN))] {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(id), 10)
	}
	return b
}

func (k *Key) appendMAC(b []byte) []byte {
	if k.MAC == [6]byte{} {
		return append(b, "no address"...)
	}
	return AppendMAC(b, k.MAC)
}

// AppendMAC appends a MAC address as EVE writes it.
func AppendMAC(b []byte, mac [6]byte) []byte {
	const hex = "0123456789abcdef"
	for i, octet := range mac {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, hex[octet>>4], hex[octet&0xf])
	}
	return b
}
