package reader

import (
	"net/netip"
	"testing"

	"github.com/xdplog/xdplog/asm/wire"
)

func TestString(t *testing.T) {
	tcp := Event{
		Interface: 2, Length: 74, EtherType: 0x0800, IPVersion: 4, Protocol: 6, TTL: 64,
		Source: netip.MustParseAddrPort("192.0.2.1:34990"), Destination: netip.MustParseAddrPort("192.0.2.2:80"),
		HasPorts: true, HasTCPFlags: true, TCPFlags: 0x12,
	}
	edit := func(change func(*Event)) Event {
		e := tcp
		change(&e)
		return e
	}
	withoutPorts := func(e *Event) { e.HasPorts, e.HasTCPFlags = false, false }
	for want, event := range map[string]Event{
		"tcp 192.0.2.1:34990 > 192.0.2.2:80 [S.] ttl 64 len 74":  tcp,
		"tcp 192.0.2.1:34990 > 192.0.2.2:80 [none] ttl 64 len 0": edit(func(e *Event) { e.TCPFlags, e.Length = 0, 0 }),
		"tcp 192.0.2.1 > 192.0.2.2 ttl 64 len 74 vlan 10,20 frag": edit(func(e *Event) {
			withoutPorts(e)
			e.VLANs, e.VLAN, e.Fragment = 2, [2]uint16{10, 20}, true
		}),
		"isis-over-ipv4 192.0.2.1 > 192.0.2.2 ttl 64 len 74 cut": edit(func(e *Event) {
			withoutPorts(e)
			e.Protocol, e.Truncated = 124, true
		}),
		"254 192.0.2.1 > 192.0.2.2 ttl 64 len 74 vlan 7": edit(func(e *Event) {
			withoutPorts(e)
			e.Protocol, e.VLANs, e.VLAN = 254, 1, [2]uint16{7}
		}),
		"udp [2001:db8::1]:53 > [2001:db8::2]:53 ttl 1 len 80": {
			IPVersion: 6, Protocol: 17, TTL: 1, Length: 80, HasPorts: true,
			Source: netip.MustParseAddrPort("[2001:db8::1]:53"), Destination: netip.MustParseAddrPort("[2001:db8::2]:53"),
		},
		"out tcp 192.0.2.1:34990 > 192.0.2.2:80 [S.] ttl 64 len 74 segments 45 drop": edit(func(e *Event) {
			e.Direction, e.Segments, e.Verdict = wire.Out, 45, wire.Drop
		}),
		"tcp 192.0.2.1:34990 > 192.0.2.2:80 [S.] ttl 64 len 74 drop inside 2001:db8::1 > 2001:db8::2 geneve 7": edit(func(e *Event) {
			e.Verdict = wire.Drop
			e.Tunnel = Tunnel{Kind: wire.Geneve, Source: netip.MustParseAddrPort("[2001:db8::1]:1"), Destination: netip.MustParseAddrPort("[2001:db8::2]:6081"), ID: 7, HasID: true}
		}),
		"arp len 42":    {EtherType: 0x0806, Length: 42},
		"0x88b5 len 60": {EtherType: 0x88b5, Length: 60},
		"0x0000 len 0":  {},
	} {
		if got := event.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	line := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { line = tcp.AppendTo(line[:0]) }); n != 0 {
		t.Errorf("AppendTo allocates %v times", n)
	}
	if n := (&Event{VLANs: 200}).Tags(); len(n) != 2 {
		t.Errorf("%d tags of an event that a caller made wrong, want 2", len(n))
	}
}

func TestNames(t *testing.T) {
	for number, want := range map[uint8]string{0: "HOPOPT", 6: "TCP", 17: "UDP", 58: "IPv6-ICMP", 61: "61", 147: "BIT-EMU", 148: "148", 255: "255"} {
		if got := ProtocolName(number); got != want {
			t.Errorf("protocol %d is %s, want %s", number, got, want)
		}
	}
	for etherType, want := range map[uint16]string{0x0806: "arp", 0x88b5: "0x88b5", 1500: "802.3", 0: "0x0000"} {
		if got := EtherTypeName(etherType); got != want {
			t.Errorf("EtherType %#x is %s, want %s", etherType, got, want)
		}
	}
}
