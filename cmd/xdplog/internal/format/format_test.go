package format

import (
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/detail"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/eventtest"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/reader"
	"github.com/xdplog/xdplog/reader/flow"
)

// newFormat is one by its name.
func newFormat(t testing.TB, name string, interfaces []names.Interface) Format {
	t.Helper()
	kind, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return kind.New(Options{Interfaces: interfaces})
}

// TestUsage is what flags and errors say of the table.
func TestUsage(t *testing.T) {
	if got, want := Usage(), "text (default), json, log, none (counters alone)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := Find(""); err == nil || err.Error() != "must be one of text, json, log, none" {
		t.Errorf("no name: %v", err)
	}
	if name := Default().Name; name != "text" {
		t.Errorf("the default is %s", name)
	}
	if name := None().Name; name != "none" {
		t.Errorf("none is %s", name)
	}
}

var formatCases = []struct {
	name            string
	event           reader.Event
	text, json, log string // json from "in_iface" on
}{
	{
		"TCP over IPv4", eventtest.Usual(),
		`eth0 tcp 60.235.240.157:443 > 10.0.0.2:51324 [S.] ttl 57 len 60`,
		`"eth0","pkt_len":60,"ether_type":2048,"ip_v":4,"src_ip":"60.235.240.157","src_port":443,"dest_ip":"10.0.0.2","dest_port":51324,"proto":"TCP","proto_number":6,"ttl":57,"tcp_flags":"12"`,
		`SRC IP: 60.235.240.157, SRC_PORT: 443`,
	},
	{
		"TCP over IPv6, no flags", eventtest.Usual(eventtest.IPv6, eventtest.TCPFlags(0)),
		`eth0 tcp [2001:db8::1]:443 > [2001:db8::2]:51324 [none] ttl 57 len 60`,
		`"eth0","pkt_len":60,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8::1","src_port":443,"dest_ip":"2001:db8::2","dest_port":51324,"proto":"TCP","proto_number":6,"ttl":57,"tcp_flags":"00"`,
		`SRC IP: 2001:db8::1, SRC_PORT: 443`,
	},
	{
		"all TCP flags", eventtest.Usual(eventtest.TCPFlags(0xff)),
		`eth0 tcp 60.235.240.157:443 > 10.0.0.2:51324 [FSRP.UEW] ttl 57 len 60`,
		`"eth0","pkt_len":60,"ether_type":2048,"ip_v":4,"src_ip":"60.235.240.157","src_port":443,"dest_ip":"10.0.0.2","dest_port":51324,"proto":"TCP","proto_number":6,"ttl":57,"tcp_flags":"ff"`,
		`SRC IP: 60.235.240.157, SRC_PORT: 443`,
	},
	{
		"by a port of a bond", eventtest.Usual(eventtest.Via(7)),
		`eth0 tcp 60.235.240.157:443 > 10.0.0.2:51324 [S.] ttl 57 len 60 via 7`,
		`"eth0","in_port":"7","pkt_len":60,"ether_type":2048,"ip_v":4,"src_ip":"60.235.240.157","src_port":443,"dest_ip":"10.0.0.2","dest_port":51324,"proto":"TCP","proto_number":6,"ttl":57,"tcp_flags":"12"`,
		`SRC IP: 60.235.240.157, SRC_PORT: 443`,
	},
	{
		"UDP", eventtest.Usual(eventtest.UDP),
		`eth0 udp 60.235.240.157:443 > 10.0.0.2:51324 ttl 57 len 60`,
		`"eth0","pkt_len":60,"ether_type":2048,"ip_v":4,"src_ip":"60.235.240.157","src_port":443,"dest_ip":"10.0.0.2","dest_port":51324,"proto":"UDP","proto_number":17,"ttl":57`,
		`SRC IP: 60.235.240.157, SRC_PORT: 443`,
	},
	{
		"one tag", eventtest.Usual(eventtest.UDP, eventtest.Tagged(10)),
		`eth0 udp 60.235.240.157:443 > 10.0.0.2:51324 ttl 57 len 60 vlan 10`,
		`"eth0","pkt_len":60,"vlan":[10],"ether_type":2048,"ip_v":4,"src_ip":"60.235.240.157","src_port":443,"dest_ip":"10.0.0.2","dest_port":51324,"proto":"UDP","proto_number":17,"ttl":57`,
		`SRC IP: 60.235.240.157, SRC_PORT: 443`,
	},
	{
		"later fragment behind two tags", eventtest.Usual(eventtest.UDP, eventtest.Fragment, eventtest.Tagged(0, 4095)),
		`eth0 udp 60.235.240.157 > 10.0.0.2 ttl 57 len 60 vlan 0,4095 frag`,
		`"eth0","pkt_len":60,"vlan":[0,4095],"ether_type":2048,"ip_v":4,"src_ip":"60.235.240.157","dest_ip":"10.0.0.2","proto":"UDP","proto_number":17,"ttl":57,"fragment":true`,
		`SRC IP: 60.235.240.157`,
	},
	{
		"cut short", eventtest.Usual(eventtest.Truncated),
		`eth0 tcp 60.235.240.157 > 10.0.0.2 ttl 57 len 60 cut`,
		`"eth0","pkt_len":60,"ether_type":2048,"ip_v":4,"src_ip":"60.235.240.157","dest_ip":"10.0.0.2","proto":"TCP","proto_number":6,"ttl":57,"truncated":true`,
		`SRC IP: 60.235.240.157`,
	},
	{
		"everything at once", eventtest.Usual(eventtest.IPv6, eventtest.Fragment, eventtest.Truncated, eventtest.Tagged(10, 20)),
		`eth0 tcp 2001:db8::1 > 2001:db8::2 ttl 57 len 60 vlan 10,20 frag cut`,
		`"eth0","pkt_len":60,"vlan":[10,20],"ether_type":34525,"ip_v":6,"src_ip":"2001:db8::1","dest_ip":"2001:db8::2","proto":"TCP","proto_number":6,"ttl":57,"fragment":true,"truncated":true`,
		`SRC IP: 2001:db8::1`,
	},
	{
		"sent in segments", eventtest.Usual(eventtest.UDP, eventtest.Fated(wire.Out, 45, wire.NoVerdict)),
		`eth0 out udp 60.235.240.157:443 > 10.0.0.2:51324 ttl 57 len 60 segments 45`,
		`"eth0","pkt_len":60,"segments":45,"direction":"out","ether_type":2048,"ip_v":4,"src_ip":"60.235.240.157","src_port":443,"dest_ip":"10.0.0.2","dest_port":51324,"proto":"UDP","proto_number":17,"ttl":57`,
		`SRC IP: 60.235.240.157, SRC_PORT: 443`,
	},
	{
		"received, and dropped by another", eventtest.Usual(eventtest.UDP, eventtest.Tagged(10), eventtest.Fated(wire.In, 0, wire.Drop)),
		`eth0 in udp 60.235.240.157:443 > 10.0.0.2:51324 ttl 57 len 60 vlan 10 drop`,
		`"eth0","pkt_len":60,"direction":"in","verdict":"drop","vlan":[10],"ether_type":2048,"ip_v":4,"src_ip":"60.235.240.157","src_port":443,"dest_ip":"10.0.0.2","dest_port":51324,"proto":"UDP","proto_number":17,"ttl":57`,
		`SRC IP: 60.235.240.157, SRC_PORT: 443`,
	},
	{
		"in VXLAN", eventtest.Usual(eventtest.Inside(wire.VXLAN, 42), eventtest.Tagged(10)),
		`eth0 tcp 60.235.240.157:443 > 10.0.0.2:51324 [S.] ttl 57 len 60 vlan 10 inside 192.0.2.1 > 192.0.2.2 vxlan 42`,
		`"eth0","pkt_len":60,"vlan":[10],"ether_type":2048,"ip_v":4,"src_ip":"60.235.240.157","src_port":443,"dest_ip":"10.0.0.2","dest_port":51324,"proto":"TCP","proto_number":6,"ttl":57,"tcp_flags":"12",` +
			`"tunnel":{"src_ip":"192.0.2.1","src_port":50000,"dest_ip":"192.0.2.2","dest_port":4789,"proto":"UDP","proto_number":17,"ttl":63,"depth":1,"type":"vxlan","vni":42}`,
		`SRC IP: 60.235.240.157, SRC_PORT: 443`,
	},
	{
		"with a hash", eventtest.Usual(eventtest.UDP, eventtest.Hashed(0x1f2e3d4c, wire.HashIPv4|wire.HashTransport|wire.HashUDP)),
		`eth0 udp 60.235.240.157:443 > 10.0.0.2:51324 ttl 57 len 60 hash 0x1f2e3d4c (ipv4 udp)`,
		`"eth0","pkt_len":60,"ether_type":2048,"ip_v":4,"src_ip":"60.235.240.157","src_port":443,"dest_ip":"10.0.0.2","dest_port":51324,"proto":"UDP","proto_number":17,"ttl":57,` +
			`"hash":523124044,"hash_over":["ipv4","udp"]`,
		`SRC IP: 60.235.240.157, SRC_PORT: 443`,
	},
	{
		"with a hash over nobody says what", eventtest.Usual(eventtest.UDP, eventtest.Hashed(7, 0)),
		`eth0 udp 60.235.240.157:443 > 10.0.0.2:51324 ttl 57 len 60 hash 0x00000007`,
		`"eth0","pkt_len":60,"ether_type":2048,"ip_v":4,"src_ip":"60.235.240.157","src_port":443,"dest_ip":"10.0.0.2","dest_port":51324,"proto":"UDP","proto_number":17,"ttl":57,"hash":7`,
		`SRC IP: 60.235.240.157, SRC_PORT: 443`,
	},
	{
		"ARP in GRE with a key", eventtest.Usual(eventtest.NotIP(0x0806, 84), eventtest.Inside(wire.GRE, 7)),
		`eth0 arp len 84 inside 192.0.2.1 > 192.0.2.2 gre 7`,
		`"eth0","pkt_len":84,"ether_type":2054,"tunnel":{"src_ip":"192.0.2.1","dest_ip":"192.0.2.2","proto":"GRE","proto_number":47,"ttl":63,"depth":1,"type":"gre","key":7}`,
		`ETHER TYPE: arp`,
	},
	{
		"ICMP over IPv6", eventtest.Usual(eventtest.IPv6, eventtest.Protocol(58)),
		`eth0 ipv6-icmp 2001:db8::1 > 2001:db8::2 ttl 57 len 60`,
		`"eth0","pkt_len":60,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8::1","dest_ip":"2001:db8::2","proto":"IPv6-ICMP","proto_number":58,"ttl":57`,
		`SRC IP: 2001:db8::1`,
	},
	{
		"keyword of two words", eventtest.Usual(eventtest.IPv6, eventtest.Protocol(135)),
		`eth0 mobility-header 2001:db8::1 > 2001:db8::2 ttl 57 len 60`,
		`"eth0","pkt_len":60,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8::1","dest_ip":"2001:db8::2","proto":"Mobility Header","proto_number":135,"ttl":57`,
		`SRC IP: 2001:db8::1`,
	},
	{
		"unassigned protocol", eventtest.Usual(eventtest.Protocol(253)),
		`eth0 253 60.235.240.157 > 10.0.0.2 ttl 57 len 60`,
		`"eth0","pkt_len":60,"ether_type":2048,"ip_v":4,"src_ip":"60.235.240.157","dest_ip":"10.0.0.2","proto":"253","proto_number":253,"ttl":57`,
		`SRC IP: 60.235.240.157`,
	},
	{
		"ARP", eventtest.Usual(eventtest.NotIP(0x0806, 42)),
		`eth0 arp len 42`,
		`"eth0","pkt_len":42,"ether_type":2054`,
		`ETHER TYPE: arp`,
	},
	{
		"tagged LLDP", eventtest.Usual(eventtest.NotIP(0x88cc, 42), eventtest.Tagged(7)),
		`eth0 lldp len 42 vlan 7`,
		`"eth0","pkt_len":42,"vlan":[7],"ether_type":35020`,
		`ETHER TYPE: lldp`,
	},
	{
		"EtherType without a name", eventtest.Usual(eventtest.NotIP(0xc0de, 1514)),
		`eth0 0xc0de len 1514`,
		`"eth0","pkt_len":1514,"ether_type":49374`,
		`ETHER TYPE: 0xc0de`,
	},
	{
		"a length where the EtherType stands", eventtest.Usual(eventtest.NotIP(38, 60)),
		`eth0 802.3 len 60`,
		`"eth0","pkt_len":60,"ether_type":38`,
		`ETHER TYPE: 802.3`,
	},
	{
		"no EtherType", eventtest.Usual(eventtest.NotIP(0, 12)),
		`eth0 0x0000 len 12`,
		`"eth0","pkt_len":12`,
		`ETHER TYPE: 0x0000`,
	},
	{
		"malformed IPv4", eventtest.Usual(eventtest.NotIP(0x0800, 34)),
		`eth0 ip malformed len 34`,
		`"eth0","pkt_len":34,"ether_type":2048`,
		`ETHER TYPE: ip malformed`,
	},
	{
		"malformed IPv6", eventtest.Usual(eventtest.NotIP(0x86dd, 34)),
		`eth0 ip6 malformed len 34`,
		`"eth0","pkt_len":34,"ether_type":34525`,
		`ETHER TYPE: ip6 malformed`,
	},
	{
		"interface with an odd name", eventtest.Usual(eventtest.Received(3), eventtest.NotIP(0x0806, 42)),
		`a"\` + "\x01\xff<é" + ` arp len 42`,
		`"a\"\\\u0001` + "\ufffd" + `<é","pkt_len":42,"ether_type":2054`,
		`ETHER TYPE: arp`,
	},
	{
		"interface that is none of ours", eventtest.Usual(eventtest.Received(70), eventtest.NotIP(0x8035, 42)),
		`70 rarp len 42`,
		`"70","pkt_len":42,"ether_type":32821`,
		`ETHER TYPE: rarp`,
	},
}

func TestEvents(t *testing.T) {
	for _, c := range formatCases {
		t.Run(c.name, func(t *testing.T) {
			check := func(f Format, want string) {
				t.Helper()
				if got := string(f.AppendEvent([]byte("before\n"), &c.event, detail.Packet{})); got != "before\n"+want+"\n" {
					t.Errorf("got  %q\nwant %q", got, "before\n"+want+"\n")
				}
			}
			check(newText(eventtest.Interfaces, time.UTC), "08:57:41.123456 "+c.text)
			check(newJSON(eventtest.Interfaces), `{"timestamp":"2023-01-25T08:57:41.123456789Z","event_type":"packet","in_iface":`+c.json+"}")
			check(newLog(false), "[2023-01-25T08:57:41Z INFO  xdplog] "+c.log)
		})
	}
	e := eventtest.Usual()
	if got := (none{}).AppendEvent(nil, &e, detail.Packet{}); len(got) != 0 {
		t.Errorf("none wrote %q", got)
	}
}

// The second is kept between events: it must follow them back and forth.
func TestTimes(t *testing.T) {
	zone := time.FixedZone("", 2*3600+30*60)
	text, json, log := newText(eventtest.Interfaces, zone), newJSON(eventtest.Interfaces), newLog(false)
	for _, c := range []struct {
		after           time.Duration // of the usual one
		text, json, log string
	}{
		{0, "11:27:41.123456", "2023-01-25T08:57:41.123456789", "2023-01-25T08:57:41"},
		{-123456789, "11:27:41.000000", "2023-01-25T08:57:41.000000000", "2023-01-25T08:57:41"},
		{-123456790, "11:27:40.999999", "2023-01-25T08:57:40.999999999", "2023-01-25T08:57:40"},
		{876543211, "11:27:42.000000", "2023-01-25T08:57:42.000000000", "2023-01-25T08:57:42"},
		{24 * time.Hour, "11:27:41.123456", "2023-01-26T08:57:41.123456789", "2023-01-26T08:57:41"},
	} {
		e := eventtest.Usual()
		e.Time = e.Time.Add(c.after)
		for _, line := range []struct {
			Format
			start, want string
		}{
			{text, "", c.text}, {json, `{"timestamp":"`, c.json}, {log, "[", c.log},
		} {
			got := string(line.AppendEvent(nil, &e, detail.Packet{}))
			if want := line.start + line.want; got[:len(want)] != want {
				t.Errorf("after %v: got %q, want it to begin with %q", c.after, got, want)
			}
		}
	}
}

func TestCounters(t *testing.T) {
	counters := wire.Counters{Seen: 1000, Captured: 790, Lost: 10, CapturedBytes: 50560, LostBytes: 640}
	const stats = `{"timestamp":"2023-01-25T08:57:41.123456789Z","event_type":"stats","stats":`
	for _, c := range []struct {
		output   string
		counters wire.Counters
		want     string
	}{
		{"json", counters, stats + `{"seen":1000,"matched":800,"sampled_out":0,"captured":790,"lost":10,"matched_bytes":51200,"captured_bytes":50560,"lost_bytes":640}}` + "\n"},
		{"json", wire.Counters{Seen: 9, SampledOut: 4, Captured: 2, Lost: 1, SampledOutBytes: 400, CapturedBytes: 20, LostBytes: 1}, stats + `{"seen":9,"matched":7,"sampled_out":4,"captured":2,"lost":1,"matched_bytes":421,"captured_bytes":20,"lost_bytes":1}}` + "\n"},
		{"text", counters, "790 packets captured\n800 packets received by filter\n10 packets dropped by kernel\n"},
		{"log", wire.Counters{Seen: 3, Captured: 1}, "1 packet captured\n1 packet received by filter\n0 packets dropped by kernel\n"},
		{"none", wire.Counters{Lost: 1}, "0 packets captured\n1 packet received by filter\n1 packet dropped by kernel\n"},
	} {
		f := newFormat(t, c.output, eventtest.Interfaces)
		if got := string(f.AppendCounters(nil, c.counters, eventtest.Time)); got != c.want {
			t.Errorf("%s:\ngot  %q\nwant %q", c.output, got, c.want)
		}
	}
}

// TestFlows is a flow as each format writes it.
func TestFlows(t *testing.T) {
	e := eventtest.Usual()
	f := flow.Flow{
		Client: e.Source, Server: e.Destination, HasPorts: true, IPVersion: 4, Protocol: 6, EtherType: 0x0800,
		VLAN: [2]uint16{10}, VLANs: 1, Interface: 2, Direction: wire.In,
		ToServer: flow.Side{Packets: 6, Bytes: 480, TCPFlags: 0x1b}, ToClient: flow.Side{Packets: 1, Bytes: 1, TCPFlags: 0xf4},
		Start: e.Time, End: e.Time.Add(1900 * time.Millisecond), Ended: e.Time.Add(time.Minute), State: flow.Closed, Reason: flow.Full,
		Verdict: wire.Drop, Verdicts: [...]uint64{wire.Drop: 3, wire.Pass: 4, wire.Redirect: 0},
	}
	check := func(format Format, want string) {
		t.Helper()
		if got := string(format.AppendFlow([]byte("before\n"), &f)); got != "before\n"+want {
			t.Errorf("got  %q\nwant %q", got, "before\n"+want)
		}
	}
	check(newText(eventtest.Interfaces, time.UTC), "08:57:41.123456 eth0 in tcp 60.235.240.157:443 > 10.0.0.2:51324 6 packets 480 bytes [FSP.], 1 packet 1 byte [R.UEW] back, 1.900s, closed (forced) vlan 10 drop\n")
	check(newJSON(eventtest.Interfaces), `{"timestamp":"2023-01-25T08:58:41.123456789Z","event_type":"flow","in_iface":"eth0","direction":"in","vlan":[10],`+
		`"ether_type":2048,"ip_v":4,"src_ip":"60.235.240.157","src_port":443,"dest_ip":"10.0.0.2","dest_port":51324,"proto":"TCP","proto_number":6,`+
		`"verdict":"drop","verdicts":{"drop":3,"pass":4},"flow":{"pkts_toserver":6,"pkts_toclient":1,"bytes_toserver":480,"bytes_toclient":1,`+
		`"start":"2023-01-25T08:57:41.123456789Z","end":"2023-01-25T08:57:43.023456789Z","age":2,"emergency":true,"state":"closed","reason":"forced","alerted":false},`+
		`"tcp":{"tcp_flags":"ff","tcp_flags_ts":"1b","tcp_flags_tc":"f4","syn":true,"fin":true,"rst":true,"psh":true,"ack":true,"urg":true,"ecn":true,"cwr":true}}`+"\n")
	check(newLog(false), "[2023-01-25T08:57:41Z INFO  xdplog] SRC IP: 60.235.240.157, SRC_PORT: 443\n")
	check(none{}, "")

	f = flow.Flow{EtherType: 0x0806, Interface: 2, ToServer: flow.Side{Packets: 1, Bytes: 42}, Start: e.Time, End: e.Time, Ended: e.Time}
	check(newText(eventtest.Interfaces, time.UTC), "08:57:41.123456 eth0 arp 1 packet 42 bytes, 0.000s, new\n")
	check(newJSON(eventtest.Interfaces), `{"timestamp":"2023-01-25T08:57:41.123456789Z","event_type":"flow","in_iface":"eth0","ether_type":2054,`+
		`"flow":{"pkts_toserver":1,"pkts_toclient":0,"bytes_toserver":42,"bytes_toclient":0,"start":"2023-01-25T08:57:41.123456789Z","end":"2023-01-25T08:57:41.123456789Z","age":0,"state":"new","reason":"timeout","alerted":false}}`+"\n")
	f.Tunnel, f.VNI = wire.VXLAN, 42
	check(newText(eventtest.Interfaces, time.UTC), "08:57:41.123456 eth0 arp 1 packet 42 bytes, 0.000s, new inside vxlan 42\n")
	check(newJSON(eventtest.Interfaces), `{"timestamp":"2023-01-25T08:57:41.123456789Z","event_type":"flow","in_iface":"eth0","ether_type":2054,`+
		`"flow":{"pkts_toserver":1,"pkts_toclient":0,"bytes_toserver":42,"bytes_toclient":0,"start":"2023-01-25T08:57:41.123456789Z","end":"2023-01-25T08:57:41.123456789Z","age":0,"state":"new","reason":"timeout","alerted":false},`+
		`"tunnel":{"depth":1,"type":"vxlan","vni":42}}`+"\n")
	f.Tunnel, f.VNI = wire.GRE, 0
	check(newText(eventtest.Interfaces, time.UTC), "08:57:41.123456 eth0 arp 1 packet 42 bytes, 0.000s, new inside gre\n")
	for _, name := range Names() {
		format := newFormat(t, name, eventtest.Interfaces)
		b := make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(10, func() { b = format.AppendFlow(b[:0], &f) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestFlowCounters(t *testing.T) {
	c, flows := wire.Counters{Seen: 9, Captured: 7}, flow.Stats{Packets: 7, Begun: 3, Ended: 1, Early: 1}
	for name, want := range map[string]string{
		"json": `{"timestamp":"2023-01-25T08:57:41.123456789Z","event_type":"stats","stats":{"seen":9,"matched":7,"sampled_out":0,"captured":7,"lost":0,"matched_bytes":0,"captured_bytes":0,"lost_bytes":0},"flows":{"total":3,"active":2,"packets":7,"early":1}}` + "\n",
		"none": "7 packets captured\n7 packets received by filter\n0 packets dropped by kernel\n3 flows of 7 packets, 2 of them open, 1 ended early for want of room\n",
	} {
		if got := string(newFormat(t, name, nil).AppendFlowCounters(nil, c, flows, eventtest.Time)); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}
