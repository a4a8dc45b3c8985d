package live_test

import (
	"context"
	"fmt"
	"log"
	"maps"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/reader/live"
)

// Count the connection attempts by their source until Ctrl-C, and print those
// that made the most.
//
// docs/embedding.md shows this code, and e2e builds and runs it.
func Example_countSources() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	attempts, lost, err := countSources(ctx, "eth0", "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn")
	if err != nil {
		log.Fatal(err)
	}
	sources := slices.SortedFunc(maps.Keys(attempts), func(a, b netip.Addr) int {
		return attempts[b] - attempts[a]
	})
	for _, source := range sources[:min(10, len(sources))] {
		fmt.Println(attempts[source], source)
	}
	fmt.Println(lost, "not seen in time")
}

// countSources counts the packets of each source that an interface receives
// and an expression matches, until ctx is done.
func countSources(ctx context.Context, iface, expression string) (counts map[netip.Addr]int, lost uint64, err error) {
	wanted, err := filter.Parse(expression)
	if err != nil {
		return nil, 0, err
	}
	capture, err := live.Open(live.Options{
		Interfaces: []string{iface},
		Config:     asm.Config{Filter: wanted},
	})
	if err != nil {
		return nil, 0, err
	}
	defer capture.Close()

	counts = make(map[netip.Addr]int)
	for event, err := range capture.All(ctx) {
		if err != nil {
			return nil, 0, err
		}
		counts[event.Source.Addr()]++
	}
	counters, err := capture.Counters()
	return counts, counters.Lost, err
}
