package readertest_test

import (
	"context"
	"fmt"
	"iter"

	"github.com/xdplog/xdplog/reader"
	"github.com/xdplog/xdplog/reader/readertest"
)

// events is what count needs of a reader: [reader.Reader] has it, and so has the one
// for tests.
type events interface {
	All(context.Context) iter.Seq2[reader.Event, error]
}

// count counts packets by protocol.
func count(from events) map[string]int {
	counts := make(map[string]int)
	for event, err := range from.All(context.Background()) {
		if err != nil {
			break
		}
		counts[reader.ProtocolName(event.Protocol)]++
	}
	return counts
}

// Test what counts events without a kernel.
func Example() {
	event := readertest.Event(datagram, len(datagram))
	fake := readertest.New(event, event)
	fake.Finish()
	fmt.Println(event)
	fmt.Println(count(fake))
	// Output:
	// udp 192.0.2.1:1000 > 192.0.2.2:53 ttl 64 len 42
	// map[UDP:2]
}
