package reader_test

import (
	"context"
	"fmt"
	"log"
	"maps"
	"net/netip"
	"os"
	"os/signal"
	"slices"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/loader"
	"github.com/xdplog/xdplog/reader"
)

// Count the connection attempts by their source until Ctrl-C, and print those
// that made the most.
//
// docs/embedding.md shows this code, and e2e builds and runs it.
func Example_countSources() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
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
	program, err := loader.Load(asm.Config{Filter: wanted})
	if err != nil {
		return nil, 0, err
	}
	defer program.Close()
	events, err := reader.New(program, reader.Options{})
	if err != nil {
		return nil, 0, err
	}
	defer events.Close()
	attachment, err := loader.Attach(program, loader.Options{Interface: iface})
	if err != nil {
		return nil, 0, err
	}
	defer attachment.Close()

	counts = make(map[netip.Addr]int)
	for event, err := range events.All(ctx) {
		if err != nil {
			return nil, 0, err
		}
		counts[event.Source.Addr()]++
	}
	counters, err := events.Counters()
	return counts, counters.Lost, err
}
