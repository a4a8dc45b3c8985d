package eve_test

import (
	"net/netip"
	"os"
	"time"

	"github.com/xdplog/xdplog/reader"
	"github.com/xdplog/xdplog/reader/eve"
)

// Write events as lines of JSON. The buffer is used again for each.
func Example() {
	events := []reader.Event{{
		Time: time.Date(2026, 11, 23, 8, 57, 41, 986144021, time.UTC), Interface: 2, Length: 74,
		EtherType: 0x0800, IPVersion: 4, Protocol: 6, TTL: 64,
		Source: netip.MustParseAddrPort("192.0.2.1:34990"), Destination: netip.MustParseAddrPort("192.0.2.2:80"),
		HasPorts: true, HasTCPFlags: true, TCPFlags: 0x02,
	}}
	var lines eve.Encoder
	lines.Name(2, "eth0")
	var b []byte
	for i := range events {
		b = lines.AppendEvent(b[:0], &events[i])
		os.Stdout.Write(b)
	}
	// Output:
	// {"timestamp":"2026-11-23T08:57:41.986144021Z","event_type":"packet","in_iface":"eth0","pkt_len":74,"ether_type":2048,"ip_v":4,"src_ip":"192.0.2.1","src_port":34990,"dest_ip":"192.0.2.2","dest_port":80,"proto":"TCP","proto_number":6,"ttl":64,"tcp_flags":"02"}
}
