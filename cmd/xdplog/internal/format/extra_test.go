package format

import (
	"strings"
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/detail"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/eventtest"
)

// framed is the usual event's packet, as far as its options.
var framed = detail.Packet{Data: []byte{
	2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0,
	0x45, 0, 0, 46, 0, 7, 0x40, 0, 57, 6, 0, 0, 60, 235, 240, 157, 10, 0, 0, 2,
	1, 0xbb, 0xc8, 0x7c, 0, 0, 0, 100, 0, 0, 0, 9, 0x50, 0x12, 1, 0, 0, 0, 0, 0, 'h', 'e', 'l', 'l', 'o', '\n',
}}

// TestDetails has all formats say what is wanted beside the event, and text on a
// terminal the same words as elsewhere.
func TestDetails(t *testing.T) {
	all := detail.Options{Number: true, Ether: true, Verbose: true, Dump: detail.HexASCII, Most: 34}
	for _, c := range []struct {
		output string
		detail detail.Options
		want   string
	}{
		{"text", all, "    1  08:57:41.123456 eth0 02:00:00:00:00:01 > 02:00:00:00:00:02, tcp 60.235.240.157:443 > 10.0.0.2:51324 [S.] ttl 57 len 60" +
			" dscp 0 id 7 DF seq 100:106 ack 9 win 256\n" +
			"\t0x0000:  4500 002e 0007 4000 3906 0000 3ceb f09d  E.....@.9...<...\n" +
			"\t0x0010:  0a00 0002                                ....\n"},
		{"json", all, `{"timestamp":"2023-01-25T08:57:41.123456789Z","event_type":"packet","in_iface":"eth0","pkt_len":60,"ether_type":2048,"ip_v":4,` +
			`"src_ip":"60.235.240.157","src_port":443,"dest_ip":"10.0.0.2","dest_port":51324,"proto":"TCP","proto_number":6,"ttl":57,"tcp_flags":"12",` +
			`"number":1,"ether":{"src_mac":"02:00:00:00:00:01","dest_mac":"02:00:00:00:00:02"},"tos":0,"dscp":0,"ipid":7,"dont_fragment":true,` +
			`"tcpseq":100,"tcpack":9,"tcpwin":256,"tcpurgp":0,"payload_len":6,"packet":"AgAAAAACAgAAAAABCABFAAAuAAdAADkGAAA86/CdCgAAAg=="}` + "\n"},
		{"log", detail.Options{Ether: true}, "[2023-01-25T08:57:41Z INFO  xdplog] SRC MAC: 02:00:00:00:00:01, SRC IP: 60.235.240.157, SRC_PORT: 443\n"},
		{"none", all, ""},
	} {
		kind, err := Find(c.output)
		if err != nil {
			t.Fatal(err)
		}
		f := kind.New(Options{Interfaces: eventtest.Interfaces, Detail: c.detail, Location: time.UTC})
		e := eventtest.Usual()
		if got := string(f.AppendEvent(nil, &e, framed)); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.output, got, c.want)
		}
		line := make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(10, func() { line = f.AppendEvent(line[:0], &e, framed) }); n != 0 {
			t.Errorf("%s: %v allocations", c.output, n)
		}
		if c.output != "text" {
			continue
		}
		plain := f.(*text)
		plain.number = 0
		terminal := &terminalText{text: plain}
		if got := string(terminal.AppendEvent(nil, &e, framed)); got != c.want {
			t.Errorf("on a terminal:\ngot  %s\nwant %s", got, c.want)
		}
	}
}

func TestNumbers(t *testing.T) {
	f := newText(nil, time.UTC)
	f.detail.Number = true
	for number, want := range map[uint64]string{1: "    1  ", 10: "   10  ", 9999: " 9999  ", 10000: "10000  ", 123456: "123456  "} {
		f.number = number - 1
		if got := string(f.appendNumber(nil)); got != want {
			t.Errorf("%d is %q, want %q", number, got, want)
		}
	}
}

// TestPrecision is six or nine digits, of text and of JSON, also of its counters.
func TestPrecision(t *testing.T) {
	for _, c := range []struct{ output, times, precision, want string }{
		{"text", "time", "nano", "08:57:41.123456789 "},
		{"text", "epoch", "nano", "1674637061.123456789 "},
		{"text", "delta", "nano", "00:00:00.000000000 "},
		{"text", "time", "micro", "08:57:41.123456 "},
		{"json", "", "nano", `{"timestamp":"2023-01-25T08:57:41.123456789Z",`},
		{"json", "", "micro", `{"timestamp":"2023-01-25T08:57:41.123456Z",`},
	} {
		kind, err := Find(c.output)
		if err != nil {
			t.Fatal(err)
		}
		f := kind.New(Options{Style: Style{Times: c.times, Precision: c.precision}, Location: time.UTC})
		e := eventtest.Usual()
		if got := string(f.AppendEvent(nil, &e, detail.Packet{})); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s, %s, %s: %s", c.output, c.times, c.precision, got)
		}
		if c.output == "json" {
			if got := string(f.AppendCounters(nil, wire.Counters{}, eventtest.Time)); !strings.HasPrefix(got, c.want) {
				t.Errorf("counters: %s", got)
			}
		}
	}
}
