package flow_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/xdplog/xdplog/reader"
	"github.com/xdplog/xdplog/reader/flow"
)

// Put events together to conversations, each of which is told of when it has ended.
func Example() {
	client, server := netip.MustParseAddrPort("192.0.2.1:34990"), netip.MustParseAddrPort("192.0.2.2:53")
	at := time.Date(2026, 11, 23, 8, 57, 41, 0, time.UTC)
	query := reader.Event{Time: at, Source: client, Destination: server, IPVersion: 4, Protocol: 17, HasPorts: true, Length: 80}
	answer := reader.Event{Time: at.Add(time.Second), Source: server, Destination: client, IPVersion: 4, Protocol: 17, HasPorts: true, Length: 120}

	flows := flow.New(flow.Options{Idle: 10 * time.Second}, func(f *flow.Flow) {
		fmt.Println(f.Client, f.Server, f.ToServer.Packets, f.ToClient.Bytes, f.End.Sub(f.Start), f.State, f.Reason)
	})
	flows.Add(&query)
	flows.Add(&answer)
	flows.Advance(at.Add(11 * time.Second)) // as a clock does where nothing more comes
	flows.Close()
	// Output:
	// 192.0.2.1:34990 192.0.2.2:53 1 120 1s established timeout
}
