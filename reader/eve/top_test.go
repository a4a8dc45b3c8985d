package eve

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader/tally"
)

var topTime = time.Date(2026, 11, 23, 8, 57, 42, 112233, time.UTC)

// TestTop: the line is what a log shipper expects, field by field.
func TestTop(t *testing.T) {
	ten := tally.Sum{Packets: 10, Bytes: 640}
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8:1::")
	const begin, end = `{"timestamp":"2026-11-23T08:57:42.000112233Z","event_type":"top","by":"`, `,"other":{"packets":0,"bytes":0},"total":{"packets":10,"bytes":640}}` + "\n"
	for _, c := range []struct {
		by   tally.By
		row  tally.Row
		want string
	}{
		{tally.Source, tally.Row{Key: tally.Key{Source: a}, Sum: ten, TCPFlags: 0x1b, First: topTime, Last: topTime.Add(1)},
			`{"src_ip":"192.0.2.1","packets":10,"bytes":640,"start":"2026-11-23T08:57:42.000112233Z","end":"2026-11-23T08:57:42.000112234Z","tcp_flags":"1b"}`},
		{tally.Source, tally.Row{Sum: ten}, `{"packets":10,"bytes":640}`},
		{tally.Pair, tally.Row{Key: tally.Key{Source: a, Destination: b}, Sum: ten},
			`{"src_ip":"192.0.2.1","dest_ip":"2001:db8:1::","packets":10,"bytes":640}`},
		{tally.Conversation, tally.Row{
			Key: tally.Key{Source: a, SourcePort: 443, Destination: b, DestinationPort: 40000, HasPorts: true, IsIP: true, Protocol: 6, VLANs: 1, VLAN: [2]uint16{10}},
			Sum: tally.Sum{Packets: 4, Bytes: 240}, Back: tally.Sum{Packets: 6, Bytes: 400}, Reversed: true, TCPFlags: 0x12, BackTCPFlags: 1},
			`{"vlan":[10],"src_ip":"2001:db8:1::","src_port":40000,"dest_ip":"192.0.2.1","dest_port":443,"proto":"TCP","packets":10,"bytes":640,` +
				`"pkts_toserver":6,"bytes_toserver":400,"pkts_toclient":4,"bytes_toclient":240,"tcp_flags":"13"}`},
		{tally.Port, tally.Row{Key: tally.Key{DestinationPort: 53, HasPorts: true, IsIP: true, Protocol: 17}, Sum: ten},
			`{"dest_port":53,"proto":"UDP","packets":10,"bytes":640}`},
		{tally.VLAN, tally.Row{Key: tally.Key{VLANs: 2, VLAN: [2]uint16{10, 20}}, Sum: ten}, `{"vlan":[10,20],"packets":10,"bytes":640}`},
		{tally.MAC, tally.Row{Key: tally.Key{MAC: [6]byte{2, 0, 0, 0, 0, 0xab}}, Sum: ten}, `{"ether":{"src_mac":"02:00:00:00:00:ab"},"packets":10,"bytes":640}`},
		{tally.Protocol, tally.Row{Key: tally.Key{EtherType: 0x0806}, Sum: ten}, `{"ether_type":2054,"packets":10,"bytes":640}`},
		{tally.Prefix, tally.Row{Key: tally.Key{Source: b}, Sum: ten}, `{"src_net":"2001:db8:1::/48","packets":10,"bytes":640}`},
		{tally.Verdict, tally.Row{Key: tally.Key{Verdict: wire.Drop}, Sum: ten}, `{"verdict":"drop","packets":10,"bytes":640}`},
	} {
		top := Top{By: c.by, Rows: []tally.Row{c.row}, Duration: 1500 * time.Millisecond, Final: true}
		got := string(AppendTop(nil, &top, topTime))
		if want := begin + c.by.String() + `","seconds":1.500,"final":true,"rows":[` + c.want + "]" + end; got != want {
			t.Errorf("by %v:\n%swant\n%s", c.by, got, want)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("by %v: no JSON: %s", c.by, got)
		}
	}
}

// TestTopEmpty: a table without rows is an object with none.
func TestTopEmpty(t *testing.T) {
	got := string(AppendTop([]byte("x"), &Top{Other: tally.Sum{Packets: 1, Bytes: 60}}, topTime))
	want := `x{"timestamp":"2026-11-23T08:57:42.000112233Z","event_type":"top","by":"src","seconds":0.000,"rows":[],` +
		`"other":{"packets":1,"bytes":60},"total":{"packets":1,"bytes":60}}` + "\n"
	if got != want {
		t.Errorf("\n%swant\n%s", got, want)
	}
}
