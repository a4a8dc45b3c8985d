package main

import (
	"net/netip"
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/reader"
)

var (
	testTime       = time.Unix(1674637061, 123456789) // 2023-01-25T08:57:41Z
	testInterfaces = []names.Interface{{Index: 2, Name: "eth0"}, {Index: 3, Name: `a"\` + "\x01\xff<é"}}
)

// An edit makes an event from the usual one.
type edit func(*reader.Event)

// usual is the event of DESIGN's example lines, without what is unusual.
func usual(edits ...edit) reader.Event {
	e := reader.Event{
		Time:        testTime,
		Source:      netip.MustParseAddrPort("60.235.240.157:443"),
		Destination: netip.MustParseAddrPort("10.0.0.2:51324"),
		Interface:   2,
		Length:      60,
		EtherType:   0x0800,
		IPVersion:   4,
		Protocol:    6,
		TTL:         57,
		TCPFlags:    0x12,
		HasPorts:    true,
		HasTCPFlags: true,
	}
	for _, edit := range edits {
		edit(&e)
	}
	return e
}

func ipv6(e *reader.Event) {
	e.Source = netip.MustParseAddrPort("[2001:db8::1]:443")
	e.Destination = netip.MustParseAddrPort("[2001:db8::2]:51324")
	e.IPVersion, e.EtherType = 6, 0x86dd
}

func udp(e *reader.Event) { e.Protocol, e.HasTCPFlags, e.TCPFlags = 17, false, 0 }

func protocol(number uint8) edit {
	return func(e *reader.Event) {
		udp(e)
		e.Protocol = number
		withoutPorts(e)
	}
}

func withoutPorts(e *reader.Event) {
	e.HasPorts, e.HasTCPFlags, e.TCPFlags = false, false, 0
	e.Source = netip.AddrPortFrom(e.Source.Addr(), 0)
	e.Destination = netip.AddrPortFrom(e.Destination.Addr(), 0)
}

func fragment(e *reader.Event)  { withoutPorts(e); e.Fragment = true }
func truncated(e *reader.Event) { withoutPorts(e); e.Truncated = true }

func tagged(ids ...uint16) edit {
	return func(e *reader.Event) { e.VLANs = uint8(copy(e.VLAN[:], ids)) }
}

func tcpFlags(flags uint8) edit { return func(e *reader.Event) { e.TCPFlags = flags } }

func received(index int) edit { return func(e *reader.Event) { e.Interface = index } }

// notIP is a frame of an EtherType without a decoded IP header.
func notIP(etherType uint16, length int) edit {
	return func(e *reader.Event) {
		*e = reader.Event{Time: e.Time, Interface: e.Interface, EtherType: etherType, Length: length}
	}
}

var formatCases = []struct {
	name            string
	event           reader.Event
	text, json, log string // json from "in_iface" on
}{
	{
		"TCP over IPv4", usual(),
		`eth0 tcp 60.235.240.157:443 > 10.0.0.2:51324 [S.] ttl 57 len 60`,
		`"eth0","pkt_len":60,"ether_type":2048,"ip_v":4,"src_ip":"60.235.240.157","src_port":443,"dest_ip":"10.0.0.2","dest_port":51324,"proto":"TCP","proto_number":6,"ttl":57,"tcp_flags":"12"`,
		`SRC IP: 60.235.240.157, SRC_PORT: 443`,
	},
	{
		"TCP over IPv6, no flags", usual(ipv6, tcpFlags(0)),
		`eth0 tcp [2001:db8::1]:443 > [2001:db8::2]:51324 [none] ttl 57 len 60`,
		`"eth0","pkt_len":60,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8::1","src_port":443,"dest_ip":"2001:db8::2","dest_port":51324,"proto":"TCP","proto_number":6,"ttl":57,"tcp_flags":"00"`,
		`SRC IP: 2001:db8::1, SRC_PORT: 443`,
	},
	{
		"all TCP flags", usual(tcpFlags(0xff)),
		`eth0 tcp 60.235.240.157:443 > 10.0.0.2:51324 [FSRP.UEW] ttl 57 len 60`,
		`"eth0","pkt_len":60,"ether_type":2048,"ip_v":4,"src_ip":"60.235.240.157","src_port":443,"dest_ip":"10.0.0.2","dest_port":51324,"proto":"TCP","proto_number":6,"ttl":57,"tcp_flags":"ff"`,
		`SRC IP: 60.235.240.157, SRC_PORT: 443`,
	},
	{
		"UDP", usual(udp),
		`eth0 udp 60.235.240.157:443 > 10.0.0.2:51324 ttl 57 len 60`,
		`"eth0","pkt_len":60,"ether_type":2048,"ip_v":4,"src_ip":"60.235.240.157","src_port":443,"dest_ip":"10.0.0.2","dest_port":51324,"proto":"UDP","proto_number":17,"ttl":57`,
		`SRC IP: 60.235.240.157, SRC_PORT: 443`,
	},
	{
		"one tag", usual(udp, tagged(10)),
		`eth0 udp 60.235.240.157:443 > 10.0.0.2:51324 ttl 57 len 60 vlan 10`,
		`"eth0","pkt_len":60,"vlan":[10],"ether_type":2048,"ip_v":4,"src_ip":"60.235.240.157","src_port":443,"dest_ip":"10.0.0.2","dest_port":51324,"proto":"UDP","proto_number":17,"ttl":57`,
		`SRC IP: 60.235.240.157, SRC_PORT: 443`,
	},
	{
		"later fragment behind two tags", usual(udp, fragment, tagged(0, 4095)),
		`eth0 udp 60.235.240.157 > 10.0.0.2 ttl 57 len 60 vlan 0,4095 frag`,
		`"eth0","pkt_len":60,"vlan":[0,4095],"ether_type":2048,"ip_v":4,"src_ip":"60.235.240.157","dest_ip":"10.0.0.2","proto":"UDP","proto_number":17,"ttl":57,"fragment":true`,
		`SRC IP: 60.235.240.157`,
	},
	{
		"cut short", usual(truncated),
		`eth0 tcp 60.235.240.157 > 10.0.0.2 ttl 57 len 60 cut`,
		`"eth0","pkt_len":60,"ether_type":2048,"ip_v":4,"src_ip":"60.235.240.157","dest_ip":"10.0.0.2","proto":"TCP","proto_number":6,"ttl":57,"truncated":true`,
		`SRC IP: 60.235.240.157`,
	},
	{
		"everything at once", usual(ipv6, fragment, truncated, tagged(10, 20)),
		`eth0 tcp 2001:db8::1 > 2001:db8::2 ttl 57 len 60 vlan 10,20 frag cut`,
		`"eth0","pkt_len":60,"vlan":[10,20],"ether_type":34525,"ip_v":6,"src_ip":"2001:db8::1","dest_ip":"2001:db8::2","proto":"TCP","proto_number":6,"ttl":57,"fragment":true,"truncated":true`,
		`SRC IP: 2001:db8::1`,
	},
	{
		"ICMP over IPv6", usual(ipv6, protocol(58)),
		`eth0 ipv6-icmp 2001:db8::1 > 2001:db8::2 ttl 57 len 60`,
		`"eth0","pkt_len":60,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8::1","dest_ip":"2001:db8::2","proto":"IPv6-ICMP","proto_number":58,"ttl":57`,
		`SRC IP: 2001:db8::1`,
	},
	{
		"keyword of two words", usual(ipv6, protocol(135)),
		`eth0 mobility-header 2001:db8::1 > 2001:db8::2 ttl 57 len 60`,
		`"eth0","pkt_len":60,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8::1","dest_ip":"2001:db8::2","proto":"Mobility Header","proto_number":135,"ttl":57`,
		`SRC IP: 2001:db8::1`,
	},
	{
		"unassigned protocol", usual(protocol(253)),
		`eth0 253 60.235.240.157 > 10.0.0.2 ttl 57 len 60`,
		`"eth0","pkt_len":60,"ether_type":2048,"ip_v":4,"src_ip":"60.235.240.157","dest_ip":"10.0.0.2","proto":"253","proto_number":253,"ttl":57`,
		`SRC IP: 60.235.240.157`,
	},
	{
		"ARP", usual(notIP(0x0806, 42)),
		`eth0 arp len 42`,
		`"eth0","pkt_len":42,"ether_type":2054`,
		`ETHER TYPE: arp`,
	},
	{
		"tagged LLDP", usual(notIP(0x88cc, 42), tagged(7)),
		`eth0 lldp len 42 vlan 7`,
		`"eth0","pkt_len":42,"vlan":[7],"ether_type":35020`,
		`ETHER TYPE: lldp`,
	},
	{
		"EtherType without a name", usual(notIP(0xc0de, 1514)),
		`eth0 0xc0de len 1514`,
		`"eth0","pkt_len":1514,"ether_type":49374`,
		`ETHER TYPE: 0xc0de`,
	},
	{
		"a length where the EtherType stands", usual(notIP(38, 60)),
		`eth0 802.3 len 60`,
		`"eth0","pkt_len":60,"ether_type":38`,
		`ETHER TYPE: 802.3`,
	},
	{
		"no EtherType", usual(notIP(0, 12)),
		`eth0 0x0000 len 12`,
		`"eth0","pkt_len":12`,
		`ETHER TYPE: 0x0000`,
	},
	{
		"malformed IPv4", usual(notIP(0x0800, 34)),
		`eth0 ip malformed len 34`,
		`"eth0","pkt_len":34,"ether_type":2048`,
		`ETHER TYPE: ip malformed`,
	},
	{
		"malformed IPv6", usual(notIP(0x86dd, 34)),
		`eth0 ip6 malformed len 34`,
		`"eth0","pkt_len":34,"ether_type":34525`,
		`ETHER TYPE: ip6 malformed`,
	},
	{
		"interface with an odd name", usual(received(3), notIP(0x0806, 42)),
		`a"\` + "\x01\xff<é" + ` arp len 42`,
		`"a\"\\\u0001` + "\ufffd" + `<é","pkt_len":42,"ether_type":2054`,
		`ETHER TYPE: arp`,
	},
	{
		"interface that is none of ours", usual(received(70), notIP(0x8035, 42)),
		`70 rarp len 42`,
		`"70","pkt_len":42,"ether_type":32821`,
		`ETHER TYPE: rarp`,
	},
}

func TestEvents(t *testing.T) {
	for _, c := range formatCases {
		t.Run(c.name, func(t *testing.T) {
			check := func(f format, want string) {
				t.Helper()
				if got := string(f.appendEvent([]byte("before\n"), &c.event)); got != "before\n"+want+"\n" {
					t.Errorf("got  %q\nwant %q", got, "before\n"+want+"\n")
				}
			}
			check(newText(testInterfaces, time.UTC), "08:57:41.123456 "+c.text)
			check(newJSON(testInterfaces), `{"timestamp":"2023-01-25T08:57:41.123456789Z","event_type":"packet","in_iface":`+c.json+"}")
			check(newLog(), "[2023-01-25T08:57:41Z INFO  xdplog] "+c.log)
		})
	}
	e := usual()
	if got := (none{}).appendEvent(nil, &e); len(got) != 0 {
		t.Errorf("none wrote %q", got)
	}
}

// The second is kept between events: it must follow them back and forth.
func TestTimes(t *testing.T) {
	zone := time.FixedZone("", 2*3600+30*60)
	text, json, log := newText(testInterfaces, zone), newJSON(testInterfaces), newLog()
	for _, c := range []struct {
		after           time.Duration // testTime
		text, json, log string
	}{
		{0, "11:27:41.123456", "2023-01-25T08:57:41.123456789", "2023-01-25T08:57:41"},
		{-123456789, "11:27:41.000000", "2023-01-25T08:57:41.000000000", "2023-01-25T08:57:41"},
		{-123456790, "11:27:40.999999", "2023-01-25T08:57:40.999999999", "2023-01-25T08:57:40"},
		{876543211, "11:27:42.000000", "2023-01-25T08:57:42.000000000", "2023-01-25T08:57:42"},
		{24 * time.Hour, "11:27:41.123456", "2023-01-26T08:57:41.123456789", "2023-01-26T08:57:41"},
	} {
		e := usual()
		e.Time = e.Time.Add(c.after)
		for _, line := range []struct {
			format
			start, want string
		}{
			{text, "", c.text}, {json, `{"timestamp":"`, c.json}, {log, "[", c.log},
		} {
			got := string(line.appendEvent(nil, &e))
			if want := line.start + line.want; got[:len(want)] != want {
				t.Errorf("after %v: got %q, want it to begin with %q", c.after, got, want)
			}
		}
	}
}

func TestCounters(t *testing.T) {
	counters := wire.Counters{Seen: 1000, Captured: 790, Lost: 10}
	const stats = `{"timestamp":"2023-01-25T08:57:41.123456789Z","event_type":"stats","stats":`
	for _, c := range []struct {
		output   string
		counters wire.Counters
		want     string
	}{
		{"json", counters, stats + `{"seen":1000,"matched":800,"sampled_out":0,"captured":790,"lost":10}}` + "\n"},
		{"json", wire.Counters{Seen: 9, SampledOut: 4, Captured: 2, Lost: 1}, stats + `{"seen":9,"matched":7,"sampled_out":4,"captured":2,"lost":1}}` + "\n"},
		{"text", counters, "790 packets captured\n800 packets received by filter\n10 packets dropped by kernel\n"},
		{"log", wire.Counters{Seen: 3, Captured: 1}, "1 packet captured\n1 packet received by filter\n0 packets dropped by kernel\n"},
		{"none", wire.Counters{Lost: 1}, "0 packets captured\n1 packet received by filter\n1 packet dropped by kernel\n"},
	} {
		f, err := newFormat(c.output, testInterfaces)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(f.appendCounters(nil, c.counters, testTime)); got != c.want {
			t.Errorf("%s:\ngot  %q\nwant %q", c.output, got, c.want)
		}
	}
}
