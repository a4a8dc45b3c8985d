package reader

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/loader"
)

// datagram is Ethernet, IPv4 and UDP from 192.0.2.1:1000 to 192.0.2.2:53.
var datagram = []byte{
	2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0,
	0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
	1000 >> 8, 1000 & 0xff, 0, 53, 0, 8, 0, 0,
}

// setup loads the default program and opens a reader on it.
func setup(t testing.TB, opts Options) (*ebpf.Program, *Reader) {
	t.Helper()
	return setupConfig(t, asm.Config{}, opts)
}

// setupConfig does so with another program.
func setupConfig(t testing.TB, cfg asm.Config, opts Options) (*ebpf.Program, *Reader) {
	t.Helper()
	coll := load(t, cfg)
	return coll.Programs[asm.ProgramName], open(t, coll, opts)
}

func load(t testing.TB, cfg asm.Config) *ebpf.Collection {
	t.Helper()
	coll, err := loader.Load(cfg)
	if errors.Is(err, unix.EPERM) && os.Getenv("XDPLOG_E2E") != "required" {
		t.Skipf("needs root: %v", err)
	}
	if err != nil && strings.Contains(err.Error(), "Linux 5.12") {
		t.Skip("this kernel lacks atomics that fetch, which transport mmap takes (Linux 5.12)")
	}
	if err != nil && strings.Contains(err.Error(), "bpf_jit_enable=0") {
		t.Skip("this kernel lacks a compiler for transport mmap's atomics, and an interpreter beside the compiler")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(coll.Close)
	release, err := hold(coll.Programs[asm.ProgramName])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return coll
}

func open(t testing.TB, coll *ebpf.Collection, opts Options) *Reader {
	t.Helper()
	reader, err := New(coll, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	return reader
}

// send runs the program on n datagrams, all on one CPU, where a sample is one
// in so many. It runs them one by one: a run of many that a signal interrupts,
// as the Go runtime's do, would be begun again.
func send(t testing.TB, program *ebpf.Program, n int) {
	t.Helper()
	defer pin(t, cpus(t)[0])()
	for range n {
		if _, err := program.Run(&ebpf.RunOptions{Data: datagram}); err != nil {
			t.Fatal(err)
		}
	}
}

// cpus are those that the test may run on.
func cpus(t testing.TB) (all []int) {
	t.Helper()
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		t.Fatal(err)
	}
	for cpu := range len(allowed) * 64 {
		if allowed.IsSet(cpu) {
			all = append(all, cpu)
		}
	}
	return all
}

// pin keeps the goroutine on a CPU until back is called.
func pin(t testing.TB, cpu int) (back func()) {
	t.Helper()
	runtime.LockOSThread()
	var before, one unix.CPUSet
	err := unix.SchedGetaffinity(0, &before)
	if err == nil {
		one.Set(cpu)
		err = unix.SchedSetaffinity(0, &one)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		unix.SchedSetaffinity(0, &before)
		runtime.UnlockOSThread()
	}
}

func TestRead(t *testing.T) {
	program, reader := setup(t, Options{})
	before := time.Now()
	send(t, program, 1)

	events := make([]Event, 4)
	n, err := reader.Read(events)
	if n != 1 || err != nil {
		t.Fatalf("Read = %d, %v, want 1 event", n, err)
	}
	event := events[0]
	if want := netip.MustParseAddrPort("192.0.2.1:1000"); event.Source != want {
		t.Errorf("source %v, want %v", event.Source, want)
	}
	if want := netip.MustParseAddrPort("192.0.2.2:53"); event.Destination != want {
		t.Errorf("destination %v, want %v", event.Destination, want)
	}
	if event.Length != len(datagram) || event.TTL != 64 || event.Protocol != 17 || !event.HasPorts {
		t.Errorf("event is %+v", event)
	}
	if early, late := before.Add(-time.Millisecond), time.Now().Add(time.Millisecond); event.Time.Before(early) || event.Time.After(late) {
		t.Errorf("time %v, want one between %v and %v", event.Time, early, late)
	}
}

func TestFinishDeliversAll(t *testing.T) {
	program, reader := setup(t, Options{Latency: time.Hour})
	const sent = 1000
	send(t, program, sent)
	reader.Finish()

	events, total := make([]Event, 64), 0
	for {
		n, err := reader.Read(events)
		total += n
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if total != sent {
		t.Errorf("%d events, want %d", total, sent)
	}
	counters, err := reader.Counters()
	if err != nil {
		t.Fatal(err)
	}
	if counters.Seen != sent || counters.Captured != sent || counters.Matched() != sent || counters.Lost != 0 {
		t.Errorf("counters %+v, want %d seen and captured", counters, sent)
	}
}

func TestFullBufferCountsLost(t *testing.T) {
	program, reader := setupConfig(t, asm.Config{Buffer: 4096}, Options{})
	const sent = 1000
	send(t, program, sent)
	reader.Finish()

	delivered := uint64(0)
	for range reader.All(t.Context()) {
		delivered++
	}
	counters, err := reader.Counters()
	if err != nil {
		t.Fatal(err)
	}
	if counters.Lost == 0 || counters.Captured != delivered || counters.Captured+counters.Lost != sent {
		t.Errorf("counters %+v and %d delivered, want captured as delivered, and the rest of %d lost", counters, delivered, sent)
	}
}

func TestCloseEndsRead(t *testing.T) {
	_, reader := setup(t, Options{Latency: time.Hour})
	time.AfterFunc(10*time.Millisecond, func() { reader.Close() })
	if _, err := reader.Read(make([]Event, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Read = %v, want %v", err, os.ErrClosed)
	}
}

func TestContextEndsAll(t *testing.T) {
	program, reader := setup(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	send(t, program, 3)
	got := 0
	for event, err := range reader.All(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if got++; got == 1 {
			cancel() // the others were captured before, so they still come
		}
		_ = event
	}
	if got != 3 {
		t.Errorf("%d events, want 3", got)
	}
}

func TestReadAllocatesNothing(t *testing.T) {
	program, reader := setup(t, Options{})
	send(t, program, 64*(1+100)) // AllocsPerRun runs once to warm up
	events := make([]Event, 64)
	allocations := testing.AllocsPerRun(100, func() {
		if n, err := reader.Read(events); n != len(events) || err != nil {
			t.Fatalf("Read = %d, %v", n, err)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations per Read", allocations)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, wire.RecordSize))
	f.Add((&wire.Record{
		Source: [16]byte{10: 0xff, 11: 0xff, 12: 192, 14: 2}, Destination: [16]byte{10: 0xff, 11: 0xff},
		Flags: wire.FlagIPv4 | wire.FlagPorts, SourcePort: 1, TagsFate: 1,
	}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		event, err := Decode(b)
		switch {
		case err != nil && event != Event{}:
			t.Errorf("event beside the error %v", err)
		case err != nil:
			return
		case event.HasPorts && !event.Source.Addr().IsValid():
			t.Error("ports without addresses")
		case event.IPVersion == 4 && !event.Source.Addr().Is4():
			t.Errorf("source %v in an IPv4 event", event.Source)
		}
		var record wire.Record
		if err := record.Decode(b); err != nil {
			t.Fatal(err)
		}
		if again := record.Append(nil); string(again) != string(b[:wire.RecordSize]) {
			t.Errorf("record %x becomes %x", b[:wire.RecordSize], again)
		}
	})
}
