package asm

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/perf"

	"github.com/xdplog/xdplog/asm/internal/oracle"
	"github.com/xdplog/xdplog/asm/wire"
)

// TestPacketBytes runs frames of all sorts of lengths and compares the bytes
// behind their records with the frames.
func TestPacketBytes(t *testing.T) {
	longest := make([]byte, longestFrame(t))
	rand.NewChaCha8([32]byte{}).Read(longest)
	lengths := []int{1500, 1514, 3000, 4096, 8999, 9000, 9014, 20_000, MaxSnapLen - 1, MaxSnapLen, MaxSnapLen + 1, len(longest)}
	for length := oracle.Shortest; length < 200; length++ {
		lengths = append(lengths, length)
	}
	for _, noFrags := range []bool{false, true} {
		for _, snapLen := range []int{1, 12, 13, 14, 15, 16, 20, 21, 60, 96, 1500, 9000, MaxSnapLen} {
			t.Run(fmt.Sprintf("%d, without frags %v", snapLen, noFrags), func(t *testing.T) {
				m := newMachine(t, Config{All: true, SnapLen: snapLen, NoFrags: noFrags})
				for _, length := range lengths {
					if length > len(longest) {
						continue
					}
					want := longest[:length]
					if noFrags {
						want = want[:min(length, m.linear)]
					}
					m.wantBytes(t, whole(longest[:length]), want, snapLen)
				}
			})
		}
	}
}

// TestPacketBytesOfSplits does so with frames whose first buffer ends anywhere.
func TestPacketBytesOfSplits(t *testing.T) {
	m := newMachine(t, Config{All: true, SnapLen: 100})
	needSplits(t, m)
	frame := make([]byte, 150)
	rand.NewChaCha8([32]byte{}).Read(frame)
	for first := range len(frame) {
		m.wantBytes(t, packet{frame, first}, frame, 100)
	}
}

// wantBytes runs a packet, whose bytes these are, on a program that keeps so
// many of them.
func (m *machine) wantBytes(t *testing.T, p packet, want []byte, snapLen int) {
	t.Helper()
	if err := m.runPacket(p); err != nil {
		t.Fatal(err)
	}
	err := m.events.ReadInto(&m.sample)
	if errors.Is(err, os.ErrDeadlineExceeded) { // of the last read, which took all there was
		err = m.events.ReadInto(&m.sample)
	}
	if err != nil {
		t.Fatalf("%d bytes: %v", len(p.frame), err)
	}
	var record wire.Record
	if err := record.Decode(m.sample.RawSample); err != nil {
		t.Fatal(err)
	}
	got := record.Packet(m.sample.RawSample)
	least := min(len(want), snapLen, MaxSnapLen)
	if record.Length() != len(want) || len(got) < least || len(got) > max(least+7, wire.MinPacket) || !bytes.HasPrefix(want, got) {
		t.Fatalf("%d bytes, %d in the first buffer: the record says %d, with %d bytes\n%x\nwant %d of\n%x",
			len(p.frame), p.first, record.Length(), len(got), got, least, want)
	}
}

// TestPacketBytesLost: a packet that the ring has no room for is lost, and
// counted, also one that is larger than the ring.
func TestPacketBytesLost(t *testing.T) {
	spec, err := Program(Config{All: true, SnapLen: MaxSnapLen})
	if err != nil {
		t.Fatal(err)
	}
	onCPU(t, 0)
	coll := load(t, spec)
	events, err := perf.NewReader(coll.Maps[wire.EventsMap], 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	for _, step := range []struct{ length, captured, lost int }{
		{9000, 0, 1}, {60, 1, 1}, {3000, 2, 1}, {3000, 2, 2}, {60, 3, 2},
	} {
		if _, err := coll.Programs[ProgramName].Run(&ebpf.RunOptions{Data: make([]byte, step.length)}); err != nil {
			t.Fatal(err)
		}
		counters, err := readCounters(coll.Maps[wire.CountersMap])
		if err != nil {
			t.Fatal(err)
		}
		if counters.Captured != uint64(step.captured) || counters.Lost != uint64(step.lost) {
			t.Errorf("after %d bytes: counters %+v, want %d captured and %d lost", step.length, counters, step.captured, step.lost)
		}
	}
}

func TestSnapLenRefused(t *testing.T) {
	for _, cfg := range []Config{
		{SnapLen: -1}, {SnapLen: MaxSnapLen + 1}, {SnapLen: 1, Transport: Ringbuf, CPUs: 2}, {SnapLen: maxRingSnapLen + 1, Transport: Mmap, CPUs: 2},
	} {
		if _, err := Program(cfg); err == nil {
			t.Errorf("%+v: no error", cfg)
		}
	}
}
