package reader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

var transports = []asm.Transport{asm.Perf, asm.Ringbuf, asm.Mmap}

// eachTransport runs a test on each of them.
func eachTransport(t *testing.T, cfg asm.Config, opts Options, test func(*testing.T, *ebpf.Program, *Reader)) {
	for _, transport := range transports {
		t.Run(transport.String(), func(t *testing.T) {
			cfg := cfg
			cfg.Transport = transport
			program, reader := setupConfig(t, cfg, opts)
			test(t, program, reader)
		})
	}
}

// drain reads until the end.
func drain(t testing.TB, reader *Reader) (events []Event) {
	t.Helper()
	batch := make([]Event, 64)
	for {
		n, err := reader.Read(batch)
		events = append(events, batch[:n]...)
		if errors.Is(err, io.EOF) {
			return events
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestTransportDeliversAll(t *testing.T) {
	eachTransport(t, asm.Config{}, Options{}, func(t *testing.T, program *ebpf.Program, reader *Reader) {
		const sent = 5000
		for i := range sent {
			packet := append([]byte(nil), datagram...)
			binary.BigEndian.PutUint16(packet[34:], uint16(i))
			if _, err := program.Run(&ebpf.RunOptions{Data: packet}); err != nil {
				t.Fatal(err)
			}
		}
		reader.Finish()
		events := drain(t, reader)
		seen := make(map[uint16]bool)
		for _, event := range events {
			seen[event.Source.Port()] = true
		}
		counters, err := reader.Counters()
		if err != nil {
			t.Fatal(err)
		}
		if len(events) != sent || len(seen) != sent || counters.Captured != sent || counters.Lost != 0 {
			t.Errorf("%d events, %d different, counters %+v, want %d each", len(events), len(seen), counters, sent)
		}
	})
}

func TestTransportFull(t *testing.T) {
	eachTransport(t, asm.Config{Buffer: 4096}, Options{}, func(t *testing.T, program *ebpf.Program, reader *Reader) {
		const sent = 3000
		for range 3 {
			send(t, program, sent/3)
			if _, err := reader.Read(make([]Event, 10)); err != nil {
				t.Fatal(err)
			}
		}
		reader.Finish()
		delivered := 3*10 + len(drain(t, reader))
		counters, err := reader.Counters()
		if err != nil {
			t.Fatal(err)
		}
		if counters.Lost == 0 || counters.Captured != uint64(delivered) || counters.Matched() != sent {
			t.Errorf("%d delivered, counters %+v, want as many captured, and %d matched", delivered, counters, sent)
		}
	})
}

// TestTransportAge sends packets one by one, after pauses that let the reader
// fall asleep in each of its ways. Every one must come without another that
// follows; that the machine is busy may delay some, but not most.
func TestTransportAge(t *testing.T) {
	const latency, packets = 50 * time.Millisecond, 15
	eachTransport(t, asm.Config{}, Options{Latency: latency}, func(t *testing.T, program *ebpf.Program, reader *Reader) {
		ages := make(chan time.Duration, packets)
		go func() {
			defer close(ages)
			events := make([]Event, 16)
			for {
				n, err := reader.Read(events)
				if err != nil {
					return
				}
				for _, event := range events[:n] {
					ages <- time.Since(event.Time)
				}
			}
		}()
		var all []time.Duration
		for i := range packets {
			time.Sleep(time.Duration(i) * 10 * time.Millisecond)
			send(t, program, 1)
			select {
			case age := <-ages:
				all = append(all, age)
			case <-time.After(10 * time.Second):
				t.Fatalf("packet %d does not come by itself", i)
			}
		}
		reader.Finish()
		for range ages {
			t.Error("a packet too many")
		}
		slices.Sort(all)
		if median := all[packets/2]; median > latency+latency/2 {
			t.Errorf("half of the events were older than %v, want at most %v", median, latency)
		}
	})
}

func TestTransportAllocatesNothing(t *testing.T) {
	eachTransport(t, asm.Config{}, Options{}, func(t *testing.T, program *ebpf.Program, reader *Reader) {
		send(t, program, 64*(1+100))
		events := make([]Event, 64)
		allocations := testing.AllocsPerRun(100, func() {
			if n, err := reader.Read(events); n != len(events) || err != nil {
				t.Fatalf("Read = %d, %v", n, err)
			}
		})
		if allocations != 0 {
			t.Errorf("%v allocations per Read", allocations)
		}
	})
}

func TestTransportClose(t *testing.T) {
	eachTransport(t, asm.Config{}, Options{Latency: time.Hour}, func(t *testing.T, _ *ebpf.Program, reader *Reader) {
		time.AfterFunc(10*time.Millisecond, func() { reader.Close() })
		if _, err := reader.Read(make([]Event, 1)); !errors.Is(err, os.ErrClosed) {
			t.Errorf("Read = %v, want %v", err, os.ErrClosed)
		}
	})
}

func TestSampling(t *testing.T) {
	const sent, n = 10_000, 10
	for _, random := range []bool{false, true} {
		cfg := asm.Config{Sample: asm.Sampling{N: n, Random: random}}
		t.Run(fmt.Sprintf("random %v", random), func(t *testing.T) {
			eachTransport(t, cfg, Options{}, func(t *testing.T, program *ebpf.Program, reader *Reader) {
				send(t, program, sent)
				reader.Finish()
				events := len(drain(t, reader))
				counters, err := reader.Counters()
				if err != nil {
					t.Fatal(err)
				}
				if counters.Captured != uint64(events) || counters.Matched() != sent || counters.Captured+counters.SampledOut != sent {
					t.Errorf("%d events, counters %+v", events, counters)
				}
				if low, high := sent/n*8/10, sent/n*12/10; events < low || events > high || (!random && events != sent/n) {
					t.Errorf("%d of %d events, want about one in %d", events, sent, n)
				}
			})
		})
	}
}

// hasCoarseTime reports whether the kernel has that helper function.
func hasCoarseTime() bool {
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type:         ebpf.XDP,
		Instructions: bpf.Instructions{bpf.FnKtimeGetCoarseNs.Call(), bpf.Mov.Imm(bpf.R0, 2), bpf.Return()},
	})
	if errors.Is(err, unix.EINVAL) {
		return false
	}
	if err == nil {
		program.Close()
	}
	return true
}

func TestClocks(t *testing.T) {
	for _, clock := range []asm.Clock{asm.PreciseClock, asm.CoarseClock, asm.NoClock} {
		t.Run(clock.String(), func(t *testing.T) {
			if clock == asm.CoarseClock && !hasCoarseTime() {
				t.Skip("this kernel lacks coarse time stamps (Linux 5.11)")
			}
			program, reader := setupConfig(t, asm.Config{Clock: clock}, Options{})
			before := time.Now()
			send(t, program, 1)
			events := make([]Event, 1)
			if _, err := reader.Read(events); err != nil {
				t.Fatal(err)
			}
			const tick = 10 * time.Millisecond // CONFIG_HZ=100
			if got := events[0].Time; got.Before(before.Add(-tick)) || got.After(time.Now().Add(tick)) {
				t.Errorf("time %v, sent at %v", got, before)
			}
		})
	}
}

// TestHostileRing writes nonsense into the control words while the program
// runs: events may be lost, but the program stays in the ring and the reader
// goes on.
func TestHostileRing(t *testing.T) {
	program, reader := setupConfig(t, asm.Config{Transport: asm.Mmap, Buffer: 4096}, Options{Latency: time.Millisecond})
	source := reader.source.(*mmapSource)
	slots := uint64(len(source.rings[0].slots))
	words := []uint64{0, 1, slots - 1, slots, slots + 1, 1 << 31, 1<<32 - 1, 1 << 63, ^uint64(0)}
	events := make([]Event, 256)
	for _, head := range words {
		for _, tail := range words {
			for i := range source.rings {
				control := source.rings[i].control
				atomic.StoreUint64(&control.Head, head)
				atomic.StoreUint64(&control.Tail, tail)
				atomic.StoreUint64(&control.Wake, head+1)
			}
			send(t, program, int(slots)+2)
			for range 4 {
				source.take(batch{events: events}, &reader.clock)
			}
		}
	}
	counters, err := reader.Counters()
	if err != nil {
		t.Fatal(err)
	}
	if sent := uint64(len(words)*len(words)) * (slots + 2); counters.Matched() != sent {
		t.Errorf("counters %+v, want %d matched", counters, sent)
	}

	send(t, program, 1)
	if n, err := reader.Read(events); n != 1 || err != nil {
		t.Errorf("Read = %d, %v afterwards, want one event", n, err)
	}
}
