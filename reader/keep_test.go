package reader

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/filter"
)

// keeping is a program that keeps the last packets in 64 KiB a CPU.
func keeping(t *testing.T, until string) (*ebpf.Program, *Reader) {
	t.Helper()
	pinned(t)
	cfg := asm.Config{Transport: asm.Mmap, SnapLen: 2000, Buffer: 64 << 10, Keep: true}
	if until != "" {
		parsed, err := filter.Parse(until)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Until = parsed
	}
	return setupConfig(t, cfg, Options{})
}

// run sends packets, from number first up to below end, of lengths that follow from that.
func run(t *testing.T, program *ebpf.Program, first, end int) {
	t.Helper()
	for i := first; i < end; i++ {
		if _, err := program.Run(&ebpf.RunOptions{Data: keptFrame(i)}); err != nil {
			t.Fatal(err)
		}
	}
}

func keptFrame(i int) []byte {
	return longFrame(60+rand.New(rand.NewPCG(uint64(i), 1)).IntN(1500), i)
}

// wantLast reads what is kept, which must be the last packets up to below end, whole and in
// their order, and most of what the ring has room for.
func wantLast(t *testing.T, reader *Reader, first, end int) {
	t.Helper()
	packets := make([]Packet, 1000)
	n, err := reader.ReadPackets(packets)
	if err != nil {
		t.Fatal(err)
	}
	next, size := end-n, 0
	for _, p := range packets[:n] {
		if frame := keptFrame(next); int(p.Source.Port()) != next || !bytes.Equal(p.Data, frame) {
			t.Fatalf("packet %d (%d bytes) for %d of %d bytes", p.Source.Port(), len(p.Data), next, len(frame))
		}
		missing := uint64(0)
		if next == end-n { // what came since the last time, and was written over
			missing = uint64(next - first)
		}
		if p.Dropped != missing {
			t.Errorf("%d packets are missing before packet %d, want %d", p.Dropped, next, missing)
		}
		size += len(p.Data)
		next++
	}
	if end-n < first || size < 56<<10 && end-n > first {
		t.Errorf("%d packets before %d, of %d bytes, first %d", n, end, size, first)
	}
}

// TestKeep has thousands of packets go round in a ring, nobody reading, and asks for the
// last ones, more than once.
func TestKeep(t *testing.T) {
	program, reader := keeping(t, "")
	run(t, program, 0, 3)
	reader.Release()
	wantLast(t, reader, 0, 3)
	for end := 1000; end < 5000; end += 997 {
		run(t, program, end-997, end)
		reader.Release()
		wantLast(t, reader, end-997, end)
	}
	run(t, program, 6000, 7000)
	reader.Finish()
	wantLast(t, reader, 6000, 7000)
	if _, err := reader.ReadPackets(make([]Packet, 10)); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// TestKeepUntil has a packet come that the second filter finds: what is kept is delivered,
// that packet last, without anybody's asking; and again.
func TestKeepUntil(t *testing.T) {
	program, reader := keeping(t, "udp src port 777 or len > 1990")
	for round := range 3 {
		first := 100 * round
		run(t, program, first, first+50)
		reader.SetDeadline(time.Now().Add(20 * time.Millisecond))
		if n, err := reader.ReadPackets(make([]Packet, 10)); n != 0 || err == nil {
			t.Fatalf("%d packets, %v, before the one that is waited for", n, err)
		}
		reader.SetDeadline(time.Time{})
		if _, err := program.Run(&ebpf.RunOptions{Data: longFrame(100, 777)}); err != nil {
			t.Fatal(err)
		}
		packets := make([]Packet, 100)
		n, err := reader.ReadPackets(packets)
		if err != nil || n == 0 || packets[n-1].Source.Port() != 777 {
			t.Fatalf("%d packets, %v", n, err)
		}
		if n != 51 {
			t.Errorf("%d packets were kept, want 51", n)
		}
	}
	counters, err := reader.Counters()
	if err != nil || counters.Captured != 153 || counters.Lost != 0 {
		t.Errorf("counters %+v, %v", counters, err)
	}
}
