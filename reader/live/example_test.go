package live_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/xdplog/xdplog/reader/live"
)

// Print the source and the destination of every TCP and UDP packet that an
// interface receives.
//
// The README shows this code, and e2e builds and runs what the README shows.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	capture, err := live.Open(live.Options{Interfaces: []string{"eth0"}})
	if err != nil {
		log.Fatal(err)
	}
	defer capture.Close()
	for event, err := range capture.All(ctx) {
		if err != nil {
			log.Fatal(err) // the interface is gone; the program is off
		}
		fmt.Println(event.Source, event.Destination)
	}
}
