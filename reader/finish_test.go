package reader

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm"
)

// TestFinishUnderLoad ends a reader that is slower than the packets come, while
// they go on coming.
func TestFinishUnderLoad(t *testing.T) {
	cfg, opts := asm.Config{Buffer: 16 << 10}, Options{}
	eachTransport(t, cfg, opts, func(t *testing.T, program *ebpf.Program, reader *Reader) {
		ctx, stop := context.WithCancel(context.Background())
		var load sync.WaitGroup
		load.Go(func() {
			for ctx.Err() == nil {
				if _, err := program.Run(&ebpf.RunOptions{Data: datagram, Repeat: 10_000}); err != nil {
					t.Error(err)
					return
				}
			}
		})
		defer load.Wait()
		defer stop()

		events := make([]Event, 16)
		for i := 0; ; i++ {
			if i == 5 {
				reader.Finish()
			}
			_, err := reader.Read(events)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if i == 300 { // far more than the buffers hold
				t.Fatal("the reader does not end while packets come")
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}

// TestReopen reads on where an earlier reader of the same program stopped, where
// the buffer is not the reader's.
func TestReopen(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport.String(), func(t *testing.T) {
			coll := load(t, asm.Config{Transport: transport})
			program := coll.Programs[asm.ProgramName]
			first := open(t, coll, Options{})
			send(t, program, 10)
			for read := 0; read < 10; {
				n, err := first.Read(make([]Event, 10-read))
				if err != nil {
					t.Fatal(err)
				}
				read += n
			}
			send(t, program, 7)
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}

			left := 7
			if transport == asm.Perf {
				left = 0
			}
			// A reader that knows what is all does not wait out its grace; a busy
			// machine may take as long, but not each time.
			best := time.Hour
			for range 5 {
				next := open(t, coll, Options{})
				send(t, program, 3)
				next.Finish()
				begin := time.Now()
				if got := len(drain(t, next)); got != left+3 {
					t.Errorf("%d events, want the %d that were left and 3", got, left)
				}
				best = min(best, time.Since(begin))
				if err := next.Close(); err != nil {
					t.Fatal(err)
				}
				left = 0
			}
			if best >= finishGrace && !testing.Short() {
				t.Errorf("it took %v to find out that this is all", best)
			}
		})
	}
}

// TestAllLeft goes on behind the event at which a loop was left.
func TestAllLeft(t *testing.T) {
	eachTransport(t, asm.Config{}, Options{}, func(t *testing.T, program *ebpf.Program, reader *Reader) {
		const sent = 100
		send(t, program, sent)
		for range reader.All(context.Background()) {
			break
		}
		packets := make([]Packet, 1)
		if n, err := reader.ReadPackets(packets); n != 1 || err != nil || packets[0].Source.Port() != 1000 {
			t.Errorf("ReadPackets = %d, %v, %v", n, err, packets[0].Source)
		}
		reader.Finish()
		rest := 0
		for _, err := range reader.All(context.Background()) {
			if err != nil {
				t.Fatal(err)
			}
			rest++
		}
		if rest != sent-2 {
			t.Errorf("%d events are left of %d, want all but 2", rest, sent)
		}
	})
}

// TestCloseThenCollection closes the reader and then the collection while
// another goroutine reads: for the race detector.
func TestCloseThenCollection(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport.String(), func(t *testing.T) {
			for i := range 10 {
				coll := load(t, asm.Config{Transport: transport})
				reader := open(t, coll, Options{Latency: time.Millisecond})
				send(t, coll.Programs[asm.ProgramName], 1)
				ended := make(chan error)
				go func() {
					events := make([]Event, 1)
					for {
						if _, err := reader.Read(events); err != nil {
							ended <- err
							return
						}
					}
				}()
				time.Sleep(time.Duration(i) * 500 * time.Microsecond)
				if err := reader.Close(); err != nil {
					t.Error(err)
				}
				coll.Close()
				if err := <-ended; !errors.Is(err, os.ErrClosed) {
					t.Errorf("Read = %v, want %v", err, os.ErrClosed)
				}
			}
		})
	}
}

// TestFair gives every CPU's ring its turn, however full another one is.
func TestFair(t *testing.T) {
	all := cpus(t)
	if len(all) < 2 {
		t.Skip("needs two CPUs")
	}
	program, reader := setupConfig(t, asm.Config{Transport: asm.Mmap}, Options{})
	send(t, program, 500) // on the first
	const port = 9
	packet := append([]byte(nil), datagram...)
	binary.BigEndian.PutUint16(packet[34:], port)
	back := pin(t, all[1])
	_, err := program.Run(&ebpf.RunOptions{Data: packet})
	back()
	if err != nil {
		t.Fatal(err)
	}
	events := make([]Event, 8)
	rings := len(reader.source.(*mmapSource).rings)
	for range rings {
		n, err := reader.Read(events)
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(events[:n], func(e Event) bool { return e.Source.Port() == port }) {
			return
		}
	}
	t.Errorf("the second CPU's event is not among the first %d", rings*len(events))
}
