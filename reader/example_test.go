package reader_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/loader"
	"github.com/xdplog/xdplog/reader"
)

// Print the source and the destination of every TCP and UDP packet that an
// interface receives.
//
// The README shows this code, and e2e builds and runs what the README shows.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	program := must(loader.Load(asm.Config{})) // TCP and UDP
	defer program.Close()
	events := must(reader.New(program, reader.Options{}))
	defer events.Close()
	eth0 := must(loader.Attach(program, loader.Options{Interface: "eth0"}))
	defer eth0.Close()
	for event, err := range events.All(ctx) {
		must(event, err)
		fmt.Println(event.Time.Format(time.TimeOnly), event.Source, event.Destination)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
