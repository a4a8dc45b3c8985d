package reader

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/loader"
)

// setupReplay loads a program for recorded packets.
func setupReplay(t testing.TB, cfg asm.Config) *Replay {
	t.Helper()
	cfg.Replay, cfg.Transport, cfg.CPUs = true, asm.Ringbuf, ebpf.MustPossibleCPU()
	coll, err := loader.Load(cfg)
	if errors.Is(err, os.ErrPermission) && os.Getenv("XDPLOG_E2E") != "required" {
		t.Skipf("needs root: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(coll.Close)
	replay, err := NewReplay(coll, cfg.Match)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { replay.Close() })
	return replay
}

// events runs packets and returns their events.
func (r *Replay) eventsOf(t testing.TB, packets ...Packet) []Event {
	t.Helper()
	for i := range packets {
		if err := r.Run(&packets[i]); err != nil {
			t.Fatal(err)
		}
	}
	events := make([]Event, len(packets)+1)
	n, err := r.Read(events)
	if err != nil {
		t.Fatal(err)
	}
	return events[:n]
}

func TestReplay(t *testing.T) {
	replay := setupReplay(t, asm.Config{})
	at := time.Unix(1_700_000_000, 123_456_789)
	arp := append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 6}, make([]byte, 28)...)
	events := replay.eventsOf(t,
		Packet{Event: Event{Time: at, Length: len(datagram), Interface: 3}, Data: datagram},
		Packet{Event: Event{Time: at, Length: len(arp)}, Data: arp},
		Packet{Event: Event{Time: time.Unix(0, 0), Length: 9000}, Data: datagram},
	)
	if len(events) != 2 {
		t.Fatalf("%d events, want 2", len(events))
	}
	first, second := events[0], events[1]
	if !first.Time.Equal(at) || first.Interface != 3 || first.Length != len(datagram) || first.Source.String() != "192.0.2.1:1000" {
		t.Errorf("first event is %+v", first)
	}
	if !second.Time.Equal(time.Unix(0, 0)) || second.Interface != 0 || second.Length != 9000 {
		t.Errorf("second event is %+v", second)
	}
	counters, err := replay.Counters()
	if want := (wire.Counters{Seen: 3, Captured: 2, CapturedBytes: uint64(len(datagram)) + 9000}); err != nil || counters != want {
		t.Errorf("counters are %+v, %v, want %+v", counters, err, want)
	}
	if rest := replay.eventsOf(t); len(rest) != 0 {
		t.Errorf("%d more events", len(rest))
	}
}

// TestReplayLengths runs frames of every length that the kernel takes, and of
// others, on filters about lengths and bytes near the end.
func TestReplayLengths(t *testing.T) {
	frame := make([]byte, 70_000)
	for i := range frame {
		frame[i] = byte(i)
	}
	copy(frame, datagram)
	var lengths []int
	for n := range 100 {
		lengths = append(lengths, n)
	}
	lengths = append(lengths, maxRun-1, maxRun, maxRun+1, 4095, 4096, 4097, 9014, 65535, 65536, len(frame))
	for _, text := range []string{
		"", "ip", "not ip", "tcp or udp", "greater 50", "less 50", "len != 9014", "ether[5] == 2", "ether[13] == 0",
		"ether[12] == 8", "ether[3071] != 0", "ether[5000:2] = 0x8889", "ether[len - 1] >= 0", "udp port 53",
	} {
		t.Run(text, func(t *testing.T) { // whose buffer is gone at its end: some kernels have no room for all
			parsed, err := filter.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			replay := setupReplay(t, asm.Config{Filter: parsed})
			for _, n := range lengths {
				for _, whole := range []int{n, n + 1000} {
					events := replay.eventsOf(t, Packet{Event: Event{Length: whole}, Data: frame[:n]})
					got := len(events) == 1
					if want := parsed.Match(frame[:n], whole); got != want {
						t.Errorf("%d of %d bytes: %v, want %v", n, whole, got, want)
					}
					if got && (events[0].Length != whole || n < 34 && events[0].IPVersion != 0 || n < 14 && events[0].EtherType != 0) {
						t.Errorf("%d of %d bytes: %+v", n, whole, events[0])
					}
				}
			}
		})
	}
}

// TestReplaySampling counts the frames that plain Go decides about as well.
func TestReplaySampling(t *testing.T) {
	replay := setupReplay(t, asm.Config{All: true, Sample: asm.Sampling{N: 4}})
	packets := make([]Packet, 0, 40)
	for i := range cap(packets) {
		packets = append(packets, Packet{Event: Event{Length: i}, Data: datagram[:i]})
	}
	pinned(t)
	if events := replay.eventsOf(t, packets...); len(events) != 10 || events[3].Length != 12 {
		t.Errorf("%d events of 40, want 10: %v", len(events), events)
	}
}

// TestReplayLongest: a length that a file claims and no record holds is cut, and the
// filter is asked about the whole.
func TestReplayLongest(t *testing.T) {
	longest := int(min(math.MaxUint32, int64(math.MaxInt))) // less where an int has 32 bits
	longer, err := filter.Parse(fmt.Sprintf("len = 16777226 or len = %d", longest))
	if err != nil {
		t.Fatal(err)
	}
	replay := setupReplay(t, asm.Config{Filter: longer})
	for length, want := range map[int]bool{wire.MaxLength: false, wire.MaxLength + 10: false, wire.MaxLength + 11: true, longest: true, -2: false} {
		events := replay.eventsOf(t, Packet{Event: Event{Length: length}, Data: datagram})
		if (len(events) == 1) != want {
			t.Errorf("length %d: %d events", length, len(events))
		}
		for _, event := range events {
			if event.Length != wire.MaxLength || event.Slot != 0 {
				t.Errorf("length %d is %d, of program %d", length, event.Length, event.Slot)
			}
		}
	}
}

func TestReplayRefuses(t *testing.T) {
	_, reader := setup(t, Options{})
	if _, err := NewReplay(&ebpf.Collection{}, nil); err == nil {
		t.Error("a collection without the map is taken")
	}
	reader.Close()
}

func TestNanosecondsOf(t *testing.T) {
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{time.Unix(1, 2), "1000000002"},
		{time.Unix(-1, 5), "-999999995"},
		{time.Time{}, "-9223372036854775808"},
		{time.Unix(1<<40, 0), "9223372036854775807"},
	} {
		if got := fmt.Sprint(nanosecondsOf(c.at)); got != c.want {
			t.Errorf("%v is %s, want %s", c.at, got, c.want)
		}
	}
}

func BenchmarkReplay(b *testing.B) {
	replay := setupReplay(b, asm.Config{})
	packet := Packet{Event: Event{Time: time.Now(), Length: len(datagram)}, Data: datagram}
	events := make([]Event, 256)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := replay.Run(&packet); err != nil {
			b.Fatal(err)
		}
		if i%len(events) == 0 {
			if _, err := replay.Read(events); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// pinned keeps the test on one CPU.
func pinned(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	for cpu := 0; one.Count() == 0; cpu++ {
		if before.IsSet(cpu) {
			one.Set(cpu)
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.SchedSetaffinity(0, &before)
		runtime.UnlockOSThread()
	})
}

// TestReplayMisused is what should end in an error.
func TestReplayMisused(t *testing.T) {
	replay := setupReplay(t, asm.Config{})
	for range 2 {
		if err := replay.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := replay.Run(&Packet{Data: datagram}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Run = %v after Close, want %v", err, os.ErrClosed)
	}
	match := asm.Config{}.Match
	if _, err := NewReplay(load(t, asm.Config{Replay: true, Transport: asm.Mmap}), match); err == nil {
		t.Error("it takes another transport than a ring buffer")
	}
	if _, err := NewReplay(load(t, asm.Config{Replay: true, Transport: asm.Ringbuf}), nil); err == nil {
		t.Error("it takes no match")
	}
}
