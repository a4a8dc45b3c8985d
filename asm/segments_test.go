package asm

import (
	"errors"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/xdplog/xdplog/asm/wire"
)

// TestSegmentsCounted: at tc a packet is said to be so many segments as the kernel says, and where
// it does not say how many but how long each is, as many as that makes.
func TestSegmentsCounted(t *testing.T) {
	ip4 := &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: make([]byte, 4), DstIP: make([]byte, 4)}
	ip6 := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolUDP, SrcIP: make([]byte, 16), DstIP: make([]byte, 16)}
	options := []layers.TCPOption{{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: make([]byte, 8)}}
	ether := func(next layers.EthernetType) *layers.Ethernet {
		return &layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: next}
	}
	tag := &layers.Dot1Q{VLANIdentifier: 10, Type: layers.EthernetTypeIPv4}
	bytes := func(n int) gopacket.Payload { return make([]byte, n) }
	for name, test := range map[string]struct {
		layers         []gopacket.SerializableLayer
		segments, size uint32
		want           uint8
	}{
		"one":            {[]gopacket.SerializableLayer{ether(layers.EthernetTypeIPv4), ip4, &layers.TCP{}, bytes(100)}, 0, 0, 0},
		"counted":        {[]gopacket.SerializableLayer{ether(layers.EthernetTypeIPv4), ip4, &layers.TCP{}, bytes(3000)}, 7, 1000, 7},
		"many":           {[]gopacket.SerializableLayer{ether(layers.EthernetTypeIPv4), ip4, &layers.TCP{}, bytes(3000)}, 0, 1, wire.MaxSegments},
		"full":           {[]gopacket.SerializableLayer{ether(layers.EthernetTypeIPv4), ip4, &layers.TCP{}, bytes(3000)}, 0, 1000, 3},
		"one byte more":  {[]gopacket.SerializableLayer{ether(layers.EthernetTypeIPv4), ip4, &layers.TCP{}, bytes(3001)}, 0, 1000, 4},
		"options":        {[]gopacket.SerializableLayer{ether(layers.EthernetTypeIPv4), ip4, &layers.TCP{Options: options}, bytes(3000)}, 0, 1000, 3},
		"a tag":          {[]gopacket.SerializableLayer{ether(layers.EthernetTypeDot1Q), tag, ip4, &layers.TCP{}, bytes(3000)}, 0, 1000, 3},
		"UDP and IPv6":   {[]gopacket.SerializableLayer{ether(layers.EthernetTypeIPv6), ip6, &layers.UDP{}, bytes(3000)}, 0, 1000, 3},
		"no payload":     {[]gopacket.SerializableLayer{ether(layers.EthernetTypeIPv4), ip4, &layers.TCP{}}, 0, 1000, 0},
		"less than size": {[]gopacket.SerializableLayer{ether(layers.EthernetTypeIPv4), ip4, &layers.TCP{}, bytes(900)}, 0, 1000, 0},
	} {
		t.Run(name, func(t *testing.T) {
			buffer := gopacket.NewSerializeBuffer()
			if err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true}, test.layers...); err != nil {
				t.Fatal(err)
			}
			m := newTCMachine(t, Config{All: true}, trafficControl{copied{false}, wire.In})
			context := struct { // struct __sk_buff, up to gso_size
				_        [164]byte
				Segments uint32
				_        [8]byte
				Size     uint32
			}{Segments: test.segments, Size: test.size}
			if _, err := m.program.Run(&ebpf.RunOptions{Data: buffer.Bytes(), Context: context}); err != nil {
				t.Fatal(err)
			}
			err := m.events.ReadInto(&m.sample)
			if errors.Is(err, os.ErrDeadlineExceeded) { // of the last read, which took all there was
				err = m.events.ReadInto(&m.sample)
			}
			var record wire.Record
			if err := errors.Join(err, record.Decode(m.sample.RawSample)); err != nil {
				t.Fatal(err)
			}
			if got := record.Segments(); got != test.want {
				t.Errorf("%d segments, want %d", got, test.want)
			}
		})
	}
}
