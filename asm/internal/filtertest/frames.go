// Package filtertest makes what filters are tested on: frames, and expressions
// in the filter language. It is imported by tests alone.
package filtertest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Frame is a frame as it may have been captured.
type Frame struct {
	Name   string
	Data   []byte // the captured bytes
	Length int    // of the whole packet
	// Plain frames have neither VLAN tags nor IPv6 extension headers, and
	// their IP header is well-formed and whole: libpcap's verdict is ours.
	Plain bool
}

// Addresses, ports and the like that frames and expressions share, so that
// expressions match now and then.
var (
	hosts4 = []string{"192.0.2.1", "192.0.2.2", "198.51.100.7", "198.51.100.255", "203.0.113.9", "224.0.0.18", "255.255.255.255", "0.0.0.0"}
	hosts6 = []string{"2001:db8::1", "2001:db8::2", "2001:db8:1::7", "fe80::1", "ff02::1", "::1", "::ffff:192.0.2.1"}
	macs   = []string{"02:00:00:00:00:01", "02:00:00:00:00:02", "01:00:5e:00:00:12", "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01"}
	ports  = []uint16{21, 22, 53, 80, 443, 6000, 8080, 40000, 65535}
	vlans  = []uint16{1, 10, 20, 4095}
)

// Frames are frames of every kind that the language speaks of: the protocols
// over IPv4 and IPv6, ARP and RARP, options, fragments, VLAN tags, extension
// headers, each of them whole and cut at every length up to 100 bytes, and
// malformed ones. The same seed gives the same frames.
func Frames(seed uint64) []Frame {
	m := maker{rand.New(rand.NewPCG(seed, 1))}
	var whole []Frame
	for range 3 { // with other addresses and ports each time
		whole = append(whole, m.plain()...)
	}
	whole = append(whole, m.decorated()...)

	frames := append([]Frame(nil), whole...)
	names := make(map[string]bool)
	for _, frame := range whole {
		if names[frame.Name] {
			continue // one of each kind is enough to cut
		}
		names[frame.Name] = true
		for n := range min(len(frame.Data), 100) {
			frames = append(frames, Frame{
				Name:   fmt.Sprintf("%s cut to %d", frame.Name, n),
				Data:   frame.Data[:n],
				Length: frame.Length,
				Plain:  frame.Plain && headerIsWhole(frame.Data, n),
			})
		}
	}
	return frames
}

// headerIsWhole says whether n bytes hold all of the IP header, or none of it
// where the EtherType is missing too.
func headerIsWhole(frame []byte, n int) bool {
	if n < 14 {
		return true
	}
	switch binary.BigEndian.Uint16(frame[12:]) {
	case 0x0800:
		return n >= 14+int(frame[14]&0xf)*4
	case 0x86dd:
		return n >= 14+40
	}
	return true
}

type maker struct{ *rand.Rand }

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func (m maker) ethernet(t layers.EthernetType) *layers.Ethernet {
	mac := func() net.HardwareAddr {
		a, err := net.ParseMAC(pick(m.Rand, macs))
		if err != nil {
			panic(err)
		}
		return a
	}
	return &layers.Ethernet{SrcMAC: mac(), DstMAC: mac(), EthernetType: t}
}

func (m maker) ipv4(p layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{
		Version: 4, TTL: uint8(m.IntN(256)), TOS: uint8(m.IntN(256)), Id: uint16(m.IntN(65536)), Protocol: p,
		SrcIP: net.ParseIP(pick(m.Rand, hosts4)), DstIP: net.ParseIP(pick(m.Rand, hosts4)),
	}
}

func (m maker) ipv6(p layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{
		Version: 6, HopLimit: uint8(m.IntN(256)), TrafficClass: uint8(m.IntN(256)), NextHeader: p,
		SrcIP: net.ParseIP(pick(m.Rand, hosts6)).To16(), DstIP: net.ParseIP(pick(m.Rand, hosts6)).To16(),
	}
}

func (m maker) tcp() *layers.TCP {
	return &layers.TCP{
		SrcPort: layers.TCPPort(pick(m.Rand, ports)), DstPort: layers.TCPPort(pick(m.Rand, ports)),
		Seq: m.Uint32(), Window: uint16(m.IntN(65536)),
		SYN: m.IntN(2) == 0, ACK: m.IntN(2) == 0, FIN: m.IntN(4) == 0, RST: m.IntN(4) == 0, PSH: m.IntN(4) == 0,
	}
}

func (m maker) udp() *layers.UDP {
	return &layers.UDP{SrcPort: layers.UDPPort(pick(m.Rand, ports)), DstPort: layers.UDPPort(pick(m.Rand, ports))}
}

func (m maker) sctp() *layers.SCTP {
	return &layers.SCTP{
		SrcPort: layers.SCTPPort(pick(m.Rand, ports)), DstPort: layers.SCTPPort(pick(m.Rand, ports)), VerificationTag: m.Uint32(),
	}
}

func (m maker) arp(op uint16) *layers.ARP {
	address := func() []byte { return net.ParseIP(pick(m.Rand, hosts4)).To4() }
	return &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: op,
		SourceHwAddress: m.ethernet(0).SrcMAC, SourceProtAddress: address(),
		DstHwAddress: m.ethernet(0).SrcMAC, DstProtAddress: address(),
	}
}

// payload is up to n random bytes.
func (m maker) payload(n int) gopacket.Payload {
	b := make([]byte, m.IntN(n+1))
	for i := range b {
		b[i] = byte(m.Uint32())
	}
	return b
}

// serialize makes the frame's bytes. It panics: it is tests that it is for.
func serialize(stack ...gopacket.SerializableLayer) []byte {
	buffer := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true}, stack...); err != nil {
		panic(fmt.Sprintf("filtertest: make a frame: %v", err))
	}
	return append([]byte(nil), buffer.Bytes()...)
}

func frame(name string, plain bool, stack ...gopacket.SerializableLayer) Frame {
	data := serialize(stack...)
	return Frame{Name: name, Data: data, Length: len(data), Plain: plain}
}
