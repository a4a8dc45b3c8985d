package capfile

import (
	"encoding/binary"
	"fmt"
)

// linkType is what a packet in a file begins with: LINKTYPE_ of
// https://www.tcpdump.org/linktypes.html.
type linkType uint32

const (
	linkNull     linkType = 0 // loopback of BSD: an address family in the writer's byte order
	linkEthernet linkType = 1
	linkRaw12    linkType = 12 // what some systems write for linkRaw
	linkRaw14    linkType = 14
	linkRaw      linkType = 101 // an IP header
	linkLoop     linkType = 108 // loopback of OpenBSD: the family in network byte order
	linkSLL      linkType = 113 // Linux cooked, of "any"
	linkIPv4     linkType = 228
	linkIPv6     linkType = 229
	linkSLL2     linkType = 276 // Linux cooked, version 2
)

// cook appends an Ethernet frame that stands for a packet; nil: the packet is one.
type cook func(frame, packet []byte) []byte

// links are those that are read. Another one is a function, and a line here.
var links = map[linkType]struct {
	name  string // tcpdump's
	cook  cook
	title string
}{
	linkEthernet: {"EN10MB", nil, "Ethernet"},
	linkSLL:      {"LINUX_SLL", cookSLL, "Linux cooked v1"},
	linkSLL2:     {"LINUX_SLL2", cookSLL2, "Linux cooked v2"},
	linkRaw:      {"RAW", cookRaw, "Raw IP"},
	linkRaw12:    {"RAW", cookRaw, "Raw IP"},
	linkRaw14:    {"RAW", cookRaw, "Raw IP"},
	linkIPv4:     {"IPV4", cookRaw, "Raw IPv4"},
	linkIPv6:     {"IPV6", cookRaw, "Raw IPv6"},
	linkNull:     {"NULL", cookNull, "BSD loopback"},
	linkLoop:     {"LOOP", cookNull, "OpenBSD loopback"},
}

// others are names of what people have that is not read.
var others = map[linkType]string{
	9: "PPP", 105: "IEEE802_11", 119: "PRISM_HEADER", 127: "IEEE802_11_RADIO", 147: "USER0",
	189: "USB_LINUX", 192: "PPI", 195: "IEEE802_15_4", 201: "BLUETOOTH_HCI_H4_WITH_PHDR", 220: "USB_LINUX_MMAPPED",
	227: "CAN_SOCKETCAN", 239: "NFLOG", 249: "USBPCAP", 253: "NETLINK",
}

func (l linkType) read() bool { _, ok := links[l]; return ok }

// String is the name and the number.
func (l linkType) String() string {
	name := links[l].name
	if name == "" {
		name = others[l]
	}
	if name == "" {
		return fmt.Sprint(uint32(l))
	}
	return fmt.Sprintf("%s (%d)", name, uint32(l))
}

// appendEther appends an Ethernet header, with a source where one is known.
func appendEther(frame, source []byte, etherType uint16) []byte {
	var addresses [12]byte
	copy(addresses[6:], source)
	frame = append(frame, addresses[:]...)
	return binary.BigEndian.AppendUint16(frame, etherType)
}

// cookSLL: packet type, ARPHRD_ type, address length, address in 8 bytes, protocol.
func cookSLL(frame, packet []byte) []byte {
	const header = 16
	if len(packet) < header {
		return frame
	}
	frame = appendEther(frame, hardware(binary.BigEndian.Uint16(packet[4:]), packet[6:14]), binary.BigEndian.Uint16(packet[14:]))
	return append(frame, packet[header:]...)
}

// cookSLL2: protocol, 2 bytes reserved, interface index, ARPHRD_ type, packet type,
// address length, address in 8 bytes.
func cookSLL2(frame, packet []byte) []byte {
	const header = 20
	if len(packet) < header {
		return frame
	}
	frame = appendEther(frame, hardware(uint16(packet[11]), packet[12:20]), binary.BigEndian.Uint16(packet))
	return append(frame, packet[header:]...)
}

// hardware is the address where it has the length of Ethernet's.
func hardware(length uint16, address []byte) []byte {
	if length != 6 {
		return nil
	}
	return address[:6]
}

// CookRaw is an Ethernet frame that stands for a packet which begins with its IP header.
func CookRaw(packet []byte) []byte { return cookRaw(nil, packet) }

func cookRaw(frame, packet []byte) []byte {
	etherType := uint16(0)
	if len(packet) > 0 {
		switch packet[0] >> 4 {
		case 4:
			etherType = 0x0800
		case 6:
			etherType = 0x86dd
		}
	}
	return append(appendEther(frame, nil, etherType), packet...)
}

// cookNull tells the version by the packet: the family's number differs by system.
func cookNull(frame, packet []byte) []byte {
	if len(packet) < 4 {
		return frame
	}
	return cookRaw(frame, packet[4:])
}
