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

// link is a way in which packets begin.
type link struct {
	name  string // tcpdump's
	title string
	skip  int // bytes of the header of a packet's that ether takes the place of

	// ether is the Ethernet header of a frame that stands for a packet, of which that
	// header is there whole; nil: packets are Ethernet frames.
	ether func(packet []byte) etherHeader
}

// etherHeader is two addresses and a type.
type etherHeader [14]byte

// links are those that are read. Another one is a function, and a line here.
var links = map[linkType]link{
	linkEthernet: {"EN10MB", "Ethernet", 0, nil},
	linkSLL:      {"LINUX_SLL", "Linux cooked v1", 16, etherOfSLL},
	linkSLL2:     {"LINUX_SLL2", "Linux cooked v2", 20, etherOfSLL2},
	linkRaw:      {"RAW", "Raw IP", 0, etherOfIP},
	linkRaw12:    {"RAW", "Raw IP", 0, etherOfIP},
	linkRaw14:    {"RAW", "Raw IP", 0, etherOfIP},
	linkIPv4:     {"IPV4", "Raw IPv4", 0, etherOfIP},
	linkIPv6:     {"IPV6", "Raw IPv6", 0, etherOfIP},
	linkNull:     {"NULL", "BSD loopback", 4, etherOfNull},
	linkLoop:     {"LOOP", "OpenBSD loopback", 4, etherOfNull},
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

// cooking is that of a link type whose packets are no Ethernet frames, or nil.
func (l linkType) cooking() *link {
	if of := links[l]; of.ether != nil {
		return &of
	}
	return nil
}

// cook appends an Ethernet frame that stands for a packet: nothing where the packet ends
// in its header.
func (l *link) cook(frame, packet []byte) []byte {
	if len(packet) < l.skip {
		return frame
	}
	header := l.ether(packet)
	return append(append(frame, header[:]...), packet[l.skip:]...)
}

// asks says whether a packet is to be handed over, by the frame that stands for it. That is
// in the memory where the packet is: its header is written over what is before, which is
// put back. So nothing is copied. Around ends with the packet, and has as much before it as
// such a header. Of nil packets are frames themselves.
func (l *link) asks(around, packet []byte, length uint32, by *Selection) (wanted bool) {
	if l == nil {
		return by.asks(packet, length)
	}
	if len(packet) < l.skip {
		return by.asks(nil, length)
	}
	frame := around[len(around)-len(packet)+l.skip-len(etherHeader{}):]
	header := (*etherHeader)(frame)
	was := *header
	*header = l.ether(packet)
	wanted = by.asks(frame, length)
	*header = was
	return wanted
}

// ethernet is an Ethernet header, with a source where one is known.
func ethernet(source []byte, etherType uint16) (header etherHeader) {
	copy(header[6:], source)
	binary.BigEndian.PutUint16(header[12:], etherType)
	return header
}

// etherOfSLL: packet type, ARPHRD_ type, address length, address in 8 bytes, protocol.
func etherOfSLL(packet []byte) etherHeader {
	return ethernet(hardware(binary.BigEndian.Uint16(packet[4:]), packet[6:14]), binary.BigEndian.Uint16(packet[14:]))
}

// etherOfSLL2: protocol, 2 bytes reserved, interface index, ARPHRD_ type, packet type,
// address length, address in 8 bytes.
func etherOfSLL2(packet []byte) etherHeader {
	return ethernet(hardware(uint16(packet[11]), packet[12:20]), binary.BigEndian.Uint16(packet))
}

// hardware is the address where it has the length of Ethernet's.
func hardware(length uint16, address []byte) []byte {
	if length != 6 {
		return nil
	}
	return address[:6]
}

// CookRaw is an Ethernet frame that stands for a packet which begins with its IP header.
func CookRaw(packet []byte) []byte { return linkRaw.cooking().cook(nil, packet) }

func etherOfIP(packet []byte) etherHeader {
	etherType := uint16(0)
	if len(packet) > 0 {
		switch packet[0] >> 4 {
		case 4:
			etherType = 0x0800
		case 6:
			etherType = 0x86dd
		}
	}
	return ethernet(nil, etherType)
}

// etherOfNull tells the version by the packet: the family's number differs by system.
func etherOfNull(packet []byte) etherHeader { return etherOfIP(packet[4:]) }
