package reader

import (
	"net/netip"
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader/tally"
)

// TestPacketRow: what a packet adds to a count is its own, by the key that is asked for.
func TestPacketRow(t *testing.T) {
	tcp := Packet{Event: Event{
		Time: time.Unix(1_700_000_000, 5), Source: netip.MustParseAddrPort("198.51.100.7:40000"),
		Destination: netip.MustParseAddrPort("192.0.2.1:443"), Length: 74, EtherType: 0x0800,
		IPVersion: 4, Protocol: 6, HasPorts: true, HasTCPFlags: true, TCPFlags: 0x02,
		VLANs: 1, VLAN: [2]uint16{10, 99}, Verdict: wire.Drop,
	}, Data: []byte{0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0}}
	arp := Packet{Event: Event{Time: tcp.Time, Length: 60, EtherType: 0x0806}}
	icmp6 := Packet{Event: Event{
		Time: tcp.Time, Source: netip.MustParseAddrPort("[2001:db8:1:2::3]:0"), Length: 90, EtherType: 0x86dd,
		Destination: netip.MustParseAddrPort("[2001:db8::1]:0"), IPVersion: 6, Protocol: 58, VLANs: 2, VLAN: [2]uint16{10, 20},
	}}
	for _, c := range []struct {
		by               tally.By
		tcp, arp, icmpv6 string
	}{
		{tally.Source, "198.51.100.7", "not IP", "2001:db8:1:2::3"},
		{tally.Pair, "198.51.100.7 > 192.0.2.1", "not IP", "2001:db8:1:2::3 > 2001:db8::1"},
		{tally.Conversation, "tcp vlan 10 198.51.100.7:40000 > 192.0.2.1:443", "arp", "ipv6-icmp vlan 10,20 2001:db8:1:2::3 > 2001:db8::1"},
		{tally.Port, "tcp 443", "not IP", "ipv6-icmp"},
		{tally.VLAN, "vlan 10", "untagged", "vlan 10,20"},
		{tally.MAC, "02:00:00:00:00:09", "no address", "no address"},
		{tally.Protocol, "tcp", "arp", "ipv6-icmp"},
		{tally.Prefix, "198.51.100.0/24", "not IP", "2001:db8:1::/48"},
		{tally.Verdict, "drop", "no verdict", "no verdict"},
	} {
		for _, p := range []struct {
			packet Packet
			want   string
		}{{tcp, c.tcp}, {arp, c.arp}, {icmp6, c.icmpv6}} {
			row := p.packet.Row(c.by)
			if got := string(row.AppendTo(nil, c.by)); got != p.want {
				t.Errorf("by %v: %q, want %q", c.by, got, p.want)
			}
			if want := (tally.Sum{Packets: 1, Bytes: uint64(p.packet.Length)}); row.Total() != want {
				t.Errorf("by %v: %v of one packet, want %v", c.by, row.Total(), want)
			}
			if row.First != p.packet.Time || row.Last != p.packet.Time || row.TCPFlags|row.BackTCPFlags != p.packet.TCPFlags {
				t.Errorf("by %v: %+v of %+v", c.by, row, p.packet)
			}
		}
	}
}

// TestConversation: both directions are one row, which says who began.
func TestConversation(t *testing.T) {
	there := Packet{Event: Event{
		Time: time.Unix(1, 0), Source: netip.MustParseAddrPort("198.51.100.7:40000"), Destination: netip.MustParseAddrPort("192.0.2.1:443"),
		Length: 74, IPVersion: 4, Protocol: 6, HasPorts: true, HasTCPFlags: true, TCPFlags: 0x02,
	}}
	back := there
	back.Source, back.Destination = there.Destination, there.Source
	back.Time, back.Length, back.TCPFlags = time.Unix(2, 0), 60, 0x12
	for name, order := range map[string][]Packet{"as they came": {there, back, back}, "out of order": {back, there, back}} {
		var table tally.Table
		for i := range order {
			row := order[i].Row(tally.Conversation)
			table.Add(&row)
		}
		rows := table.All()
		if len(rows) != 1 {
			t.Fatalf("%s: %d rows, want 1", name, len(rows))
		}
		row := rows[0]
		if got, want := string(row.AppendTo(nil, tally.Conversation)), "tcp 198.51.100.7:40000 > 192.0.2.1:443"; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if row.Sum != (tally.Sum{Packets: 2, Bytes: 120}) || row.Back != (tally.Sum{Packets: 1, Bytes: 74}) {
			t.Errorf("%s: %v there and %v back", name, row.Back, row.Sum)
		}
		if row.TCPFlags != 0x12 || row.BackTCPFlags != 0x02 || !row.First.Equal(there.Time) || !row.Last.Equal(back.Time) {
			t.Errorf("%s: %+v", name, row)
		}
	}
}
