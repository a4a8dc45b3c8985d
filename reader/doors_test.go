package reader

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/perf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/wire"
)

// sampler is a reader of cilium/ebpf's.
type sampler interface {
	next(into *[]byte) error
	SetDeadline(time.Time)
	Close() error
}

type standardPerf struct{ *perf.Reader }

func (r standardPerf) next(into *[]byte) error {
	for {
		record, err := r.Read()
		if *into = record.RawSample; err != nil || record.LostSamples == 0 {
			return err
		}
	}
}

type standardRingbuf struct{ *ringbuf.Reader }

func (r standardRingbuf) next(into *[]byte) error {
	record, err := r.Read()
	*into = record.RawSample
	return err
}

// TestStandardReaders: a program whose records wake a poller is read by the
// readers of cilium/ebpf, one event at a time and many, none of them late.
func TestStandardReaders(t *testing.T) {
	for _, transport := range []asm.Transport{asm.Perf, asm.Ringbuf} {
		t.Run(transport.String(), func(t *testing.T) {
			coll := load(t, asm.Config{Transport: transport, Wake: asm.WakePoller})
			events, program := coll.Maps[wire.EventsMap], coll.Programs[asm.ProgramName]
			var standard sampler
			if transport == asm.Perf {
				r, err := perf.NewReader(events, asm.DefaultBuffer)
				if err != nil {
					t.Fatal(err)
				}
				standard = standardPerf{r}
			} else {
				r, err := ringbuf.NewReader(events)
				if err != nil {
					t.Fatal(err)
				}
				standard = standardRingbuf{r}
			}
			defer standard.Close()

			standard.SetDeadline(time.Now().Add(time.Minute))
			read := func() error {
				var sample []byte
				if err := standard.next(&sample); err != nil {
					return err
				}
				event, err := Decode(sample)
				if err == nil && event.Source.Port() != 1000 {
					err = fmt.Errorf("event %+v", event)
				}
				return err
			}
			for range 10 { // one by one, each read before the next is sent
				got := make(chan error, 1)
				go func() { got <- read() }()
				time.Sleep(time.Millisecond) // it waits, or is about to
				send(t, program, 1)
				if err := <-got; err != nil {
					t.Fatal(err)
				}
			}
			const many = 20_000
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				for range many / 100 {
					send(t, program, 100)
				}
			}()
			for i := range many {
				if err := read(); err != nil {
					t.Fatalf("event %d of %d: %v", i, many, err)
				}
			}
			<-sent
			counters, err := readCounters(coll)
			if err != nil || counters.Lost != 0 || counters.Captured != many+10 {
				t.Errorf("counters %+v, %v; want %d captured", counters, err, many+10)
			}
		})
	}
}

func readCounters(coll *ebpf.Collection) (wire.Counters, error) {
	r := Reader{counters: counters{coll.Maps[wire.CountersMap]}}
	return r.Counters()
}

// TestPollersProgram: what wakes others is nothing for this package's reader, and
// a ring in shared memory nothing for others.
func TestPollersProgram(t *testing.T) {
	coll := load(t, asm.Config{Transport: asm.Ringbuf, Wake: asm.WakePoller})
	if _, err := New(coll, Options{}); err == nil {
		t.Error("a reader that nobody wakes was opened")
	}
	if _, err := asm.Program(asm.Config{Transport: asm.Mmap, CPUs: 2, Wake: asm.WakePoller}); err == nil {
		t.Error("shared memory that wakes a poller was assembled")
	}
}

// TestInUse: a collection has one reader; the next may come when that is closed.
func TestInUse(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport.String(), func(t *testing.T) {
			coll := load(t, asm.Config{Transport: transport})
			first := open(t, coll, Options{})
			if _, err := New(coll, Options{}); !errors.Is(err, ErrInUse) {
				t.Fatalf("a second reader: %v, want %v", err, ErrInUse)
			}
			send(t, coll.Programs[asm.ProgramName], 1)
			if n, err := first.Read(make([]Event, 8)); n != 1 || err != nil {
				t.Errorf("the first reads %d events, %v", n, err)
			}
			if err := errors.Join(first.Close(), first.Close()); err != nil {
				t.Error(err)
			}
			open(t, coll, Options{})
		})
	}
}

// TestAbandoned: a reader whose process died does not keep its collection, also
// where another one has its id by now, as happens to the first of a container.
func TestAbandoned(t *testing.T) {
	const nobody = 1<<22 + 1 // above the highest process id (linux/threads.h)
	own := process(os.Getpid())
	for _, test := range []struct {
		name  string
		owner uint64
		want  error
	}{
		{"gone", nobody, nil},
		{"gone, and its id is ours", own - 1<<32, nil},
		{"alive", process(os.Getppid()), ErrInUse},
		{"alive, without a /proc", uint64(os.Getppid()), ErrInUse},
		{"this one", own, ErrInUse},
	} {
		t.Run(test.name, func(t *testing.T) {
			coll := load(t, asm.Config{})
			if err := coll.Maps[wire.ReaderMap].Put(wire.ReaderOwner, test.owner); err != nil {
				t.Fatal(err)
			}
			r, err := New(coll, Options{})
			if !errors.Is(err, test.want) {
				t.Fatalf("New = %v, want %v", err, test.want)
			}
			if r != nil {
				r.Close()
			}
		})
	}
}

// TestAbandonedAtOnce: of many that find a collection abandoned, one has it.
func TestAbandonedAtOnce(t *testing.T) {
	words := load(t, asm.Config{}).Maps[wire.ReaderMap]
	for range 100 {
		if err := words.Put(wire.ReaderOwner, uint64(1<<22+1)); err != nil {
			t.Fatal(err)
		}
		var won atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				switch _, err := claimReader(words); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, ErrInUse):
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := won.Load(); n != 1 {
			t.Fatalf("%d have it", n)
		}
		if err := words.Lookup(wire.ReaderHeir, new(uint64)); !errors.Is(err, ebpf.ErrKeyNotExist) {
			t.Fatalf("an heir is left: %v", err)
		}
	}
}

// TestDeadline: a read that waits ends with it, one that has something does not,
// and without it goes on as before.
func TestDeadline(t *testing.T) {
	eachTransport(t, asm.Config{}, Options{}, func(t *testing.T, program *ebpf.Program, reader *Reader) {
		events := make([]Event, 8)
		for range 2 { // also where the reader has gone to sleep
			reader.SetDeadline(time.Now().Add(50 * time.Millisecond))
			if n, err := reader.Read(events); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%d events, %v; want %v", n, err, os.ErrDeadlineExceeded)
			}
		}
		send(t, program, 1)
		if n, err := reader.Read(events); n != 1 || err != nil {
			t.Fatalf("%d events, %v behind the deadline, want what is there", n, err)
		}
		reader.SetDeadline(time.Time{})
		var sender sync.WaitGroup
		sender.Go(func() {
			time.Sleep(20 * time.Millisecond)
			send(t, program, 1)
		})
		n, err := reader.Read(events)
		sender.Wait()
		if n != 1 || err != nil {
			t.Fatalf("%d events, %v without a deadline", n, err)
		}
	})
}

// TestCountersOf: each program of a collection has counters of its own, and its
// events bear its number.
func TestCountersOf(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport.String(), func(t *testing.T) {
			coll := load(t, asm.Config{Transport: transport, Interfaces: 3})
			reader := open(t, coll, Options{})
			for slot, n := range []int{1, 0, 5} {
				send(t, coll.Programs[asm.ProgramOf(slot)], n)
			}
			reader.Finish()
			var events [3]int
			for _, event := range drain(t, reader) {
				events[event.Slot]++
				if event.Length != len(datagram) {
					t.Errorf("length %d, want %d", event.Length, len(datagram))
				}
			}
			if events != [3]int{1, 0, 5} {
				t.Errorf("events of the three programs: %d", events)
			}
			for slot, n := range []uint64{1, 0, 5} {
				if c, err := reader.CountersOf(uint8(slot)); c.Seen != n || c.Captured != n || err != nil {
					t.Errorf("program %d counts %+v, %v; want %d", slot, c, err, n)
				}
			}
			if all, err := reader.Counters(); all.Captured != 6 || err != nil {
				t.Errorf("all count %+v, %v", all, err)
			}
			if _, err := reader.CountersOf(3); err == nil {
				t.Error("a fourth program has counters")
			}
		})
	}
}

// TestZeroValues: what was never opened says so.
func TestZeroValues(t *testing.T) {
	var reader Reader
	var replay Replay
	reader.SetDeadline(time.Now())
	reader.Finish()
	_, counters := reader.Counters()
	_, countersOf := reader.CountersOf(0)
	_, read := reader.Read(make([]Event, 1))
	_, readPackets := reader.ReadPackets(make([]Packet, 1))
	_, replayed := replay.Read(make([]Event, 1))
	_, replayedPackets := replay.ReadPackets(make([]Packet, 1))
	_, replayCounters := replay.Counters()
	run := replay.Run(new(Packet))
	for i, err := range []error{counters, countersOf, read, readPackets, replayed, replayedPackets, replayCounters, run} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%d: %v, want %v", i, err, os.ErrClosed)
		}
	}
	for event, err := range reader.All(context.Background()) {
		t.Errorf("%v, %v of no reader", event, err)
	}
	if err := errors.Join(reader.Close(), replay.Close()); err != nil {
		t.Error(err)
	}
	if _, err := New(nil, Options{}); err == nil {
		t.Error("a reader of nothing")
	}
	if _, err := New(new(ebpf.Collection), Options{}); err == nil {
		t.Error("a reader of an empty collection")
	}
	if _, err := NewReplay(nil, asm.Config{}.Match); err == nil {
		t.Error("a replay of nothing")
	}
}
