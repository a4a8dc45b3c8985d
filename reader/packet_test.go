package reader

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm"
)

// payload is a datagram of so many bytes, all of which tell the number.
func payload(size, number int) []byte {
	frame := append(append([]byte(nil), datagram...), make([]byte, size-len(datagram))...)
	binary.BigEndian.PutUint16(frame[34:], uint16(number))
	for i := len(datagram); i < size; i++ {
		frame[i] = byte(number + i)
	}
	return frame
}

// runnable returns those sizes of packets that the kernel runs a program on.
func runnable(t testing.TB, sizes ...int) (all []int) {
	t.Helper()
	program, _ := setup(t, Options{})
	for _, size := range sizes {
		if _, err := program.Run(&ebpf.RunOptions{Data: payload(size, 0)}); err != nil {
			t.Logf("this kernel lacks test runs of packets of several buffers (Linux 5.18)")
			continue
		}
		all = append(all, size)
	}
	return all
}

func TestReadPackets(t *testing.T) {
	sizes := runnable(t, 42, 60, 1514, 9014, 9000, 43, 44, 45, 46, 47, 48, 49, 20_000)
	for _, snapLen := range []int{0, 100, asm.MaxSnapLen} {
		t.Run(fmt.Sprint(snapLen), func(t *testing.T) {
			// More than the arena takes at once.
			program, reader := setupConfig(t, asm.Config{SnapLen: snapLen, Buffer: 16 << 20}, Options{})
			sent := 2000
			if testing.Short() {
				sent = 400
			}
			for i := range sent {
				if _, err := program.Run(&ebpf.RunOptions{Data: payload(sizes[i%len(sizes)], i)}); err != nil {
					t.Fatal(err)
				}
			}
			reader.Finish()
			seen := 0
			packets := make([]Packet, 256)
			for {
				n, err := reader.ReadPackets(packets)
				for _, p := range packets[:n] {
					number := int(p.Source.Port())
					want := payload(sizes[number%len(sizes)], number)
					least := min(len(want), snapLen)
					if p.Length != len(want) || len(p.Data) < least || len(p.Data) > least+7 || !bytes.HasPrefix(want, p.Data) {
						t.Fatalf("packet %d: length %d and %d bytes, want %d and %d", number, p.Length, len(p.Data), len(want), least)
					}
				}
				seen += n
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if seen != sent {
				t.Errorf("%d packets, want %d", seen, sent)
			}
		})
	}
}

// TestReadPacketsOfAllTransports: only perf carries bytes, the others events.
func TestReadPacketsOfAllTransports(t *testing.T) {
	eachTransport(t, asm.Config{}, Options{}, func(t *testing.T, program *ebpf.Program, reader *Reader) {
		packets := []Packet{{Data: []byte("before")}}
		send(t, program, 1)
		if n, err := reader.ReadPackets(packets); n != 1 || err != nil {
			t.Fatalf("ReadPackets = %d, %v", n, err)
		}
		if p := packets[0]; p.Length != len(datagram) || len(p.Data) != 0 {
			t.Errorf("packet %+v, want an event without bytes", p)
		}
	})
}

func TestReadPacketsAllocatesNothing(t *testing.T) {
	program, reader := setupConfig(t, asm.Config{SnapLen: asm.MaxSnapLen}, Options{})
	send(t, program, 64*(1+100))
	packets := make([]Packet, 64)
	allocations := testing.AllocsPerRun(100, func() {
		if n, err := reader.ReadPackets(packets); n != len(packets) || err != nil {
			t.Fatalf("ReadPackets = %d, %v", n, err)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations per ReadPackets", allocations)
	}
}

// TestPacketsFull: with packet bytes too, what the buffer cannot take is lost
// and counted.
func TestPacketsFull(t *testing.T) {
	program, reader := setupConfig(t, asm.Config{SnapLen: asm.MaxSnapLen, Buffer: 64 << 10}, Options{})
	const sent = 1000
	frame := payload(1514, 1)
	if _, err := program.Run(&ebpf.RunOptions{Data: frame, Repeat: sent}); err != nil {
		t.Fatal(err)
	}
	reader.Finish()
	delivered := 0
	packets := make([]Packet, 16)
	for {
		n, err := reader.ReadPackets(packets)
		for _, p := range packets[:n] {
			if !bytes.Equal(p.Data, frame) {
				t.Fatalf("packet is %x", p.Data)
			}
		}
		delivered += n
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	counters, err := reader.Counters()
	if err != nil {
		t.Fatal(err)
	}
	if counters.Lost == 0 || counters.Captured != uint64(delivered) || counters.Matched() != sent {
		t.Errorf("%d delivered, counters %+v, want as many captured, and %d matched", delivered, counters, sent)
	}
}
