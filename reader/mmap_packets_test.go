package reader

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// longFrame is a UDP datagram from port seq in a frame of so many bytes, which are none
// alike.
func longFrame(length, seq int) []byte {
	frame := make([]byte, length)
	rand.NewChaCha8([32]byte{byte(seq), byte(seq >> 8)}).Read(frame)
	copy(frame, datagram)
	binary.BigEndian.PutUint16(frame[16:], uint16(length-14))
	binary.BigEndian.PutUint16(frame[34:], uint16(seq))
	return frame
}

// TestPacketRing takes packets of many lengths through a ring that is small for them, round
// and round: each comes in its order, with all its bytes or those that are wanted.
func TestPacketRing(t *testing.T) {
	for _, snapLen := range []int{1, 60, 1500, 9000, asm.Mmap.MaxSnapLen()} {
		for _, noFrags := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d, without frags %v", snapLen, noFrags), func(t *testing.T) {
				testPacketRing(t, asm.Config{Transport: asm.Mmap, SnapLen: snapLen, NoFrags: noFrags, Buffer: 64 << 10})
			})
		}
	}
}

func testPacketRing(t *testing.T, cfg asm.Config) {
	pinned(t)
	program, reader := setupConfig(t, cfg, Options{})
	packets := make([]Packet, 16)
	lengths := rand.New(rand.NewPCG(1, 2))
	next, sent := 0, 0
	read := func() error {
		n, err := reader.ReadPackets(packets)
		for _, p := range packets[:n] {
			if int(p.Source.Port()) != next {
				t.Fatalf("packet %d came for %d", p.Source.Port(), next)
			}
			frame := longFrame(p.Length, next)
			if want := frame[:min(len(frame), cfg.SnapLen)]; !bytes.Equal(p.Data, want) {
				t.Fatalf("%d of %d bytes of packet %d, which are not those", len(p.Data), p.Length, next)
			}
			next++
		}
		return err
	}
	for sent < 4000 {
		for range 8 { // at most 8 * 3260 bytes, of 64 KiB; test runs of s390x have no longer buffers than 3328
			frame := longFrame(60+lengths.IntN(3200), sent)
			if _, err := program.Run(&ebpf.RunOptions{Data: frame}); err != nil {
				t.Fatal(err)
			}
			sent++
		}
		for next < sent {
			if err := read(); err != nil {
				t.Fatal(err)
			}
		}
	}
	// And the same where it is read late.
	for range 8 {
		if _, err := program.Run(&ebpf.RunOptions{Data: longFrame(1000, sent)}); err != nil {
			t.Fatal(err)
		}
		sent++
	}
	reader.Finish()
	for {
		if err := read(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	counters, err := reader.Counters()
	if err != nil {
		t.Fatal(err)
	}
	if next != sent || counters.Captured != uint64(sent) || counters.Lost != 0 {
		t.Errorf("%d of %d packets came, counters %+v", next, sent, counters)
	}
}

// TestPacketRingFull: what the ring has no room for is lost, and counted; so is a packet
// that is larger than the ring.
func TestPacketRingFull(t *testing.T) {
	pinned(t)
	program, reader := setupConfig(t, asm.Config{Transport: asm.Mmap, SnapLen: 9000, Buffer: 4096}, Options{})
	notRun := uint64(0)
	for i, step := range []struct{ length, captured, lost uint64 }{
		{4096, 0, 1}, {60, 1, 1}, {3000, 2, 1}, {3000, 2, 2}, {60, 3, 2},
	} {
		_, err := program.Run(&ebpf.RunOptions{Data: longFrame(int(step.length), i)})
		if i == 0 && errors.Is(err, unix.EMSGSIZE) { // Linux 5.10 runs none that long
			notRun = 1
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		step.lost -= notRun
		counters, err := reader.Counters()
		if err != nil {
			t.Fatal(err)
		}
		if counters.Captured != step.captured || counters.Lost != step.lost {
			t.Errorf("after %d bytes: counters %+v, want %d captured and %d lost", step.length, counters, step.captured, step.lost)
		}
	}
	reader.Finish()
	var ports []uint16
	var dropped []uint64
	packets := make([]Packet, 8)
	for {
		n, err := reader.ReadPackets(packets)
		for _, p := range packets[:n] {
			ports = append(ports, p.Source.Port())
			dropped = append(dropped, p.Dropped)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if want := []uint16{1, 2, 4}; !slices.Equal(ports, want) {
		t.Errorf("packets %d came, want %d", ports, want)
	}
	if want := []uint64{1 - notRun, 0, 1}; !slices.Equal(dropped, want) {
		t.Errorf("%d were dropped before them, want %d", dropped, want)
	}
}

// TestPacketRingPromise: bytes that were handed out stay as they are until the next read,
// whatever comes meanwhile.
func TestPacketRingPromise(t *testing.T) {
	pinned(t)
	program, reader := setupConfig(t, asm.Config{Transport: asm.Mmap, SnapLen: 9000, Buffer: 8192}, Options{})
	packets := make([]Packet, 4)
	for i := range 100 {
		want := longFrame(1400, i)
		if _, err := program.Run(&ebpf.RunOptions{Data: want}); err != nil {
			t.Fatal(err)
		}
		n, err := reader.ReadPackets(packets)
		if err != nil || n != 1 {
			t.Fatalf("%d packets, %v", n, err)
		}
		for range 10 { // fill it, and more
			if _, err := program.Run(&ebpf.RunOptions{Data: longFrame(1400, 9999)}); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(packets[0].Data, want) {
			t.Fatalf("the bytes of packet %d were overwritten", i)
		}
		counters, err := reader.Counters()
		if err != nil {
			t.Fatal(err)
		}
		for left := counters.Captured - reader.delivered; left > 0; {
			n, err := reader.ReadPackets(packets)
			if err != nil {
				t.Fatal(err)
			}
			left -= uint64(n)
		}
	}
}
