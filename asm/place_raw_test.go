package asm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/internal/oracle"
	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader"
)

// TestHeaderless runs packets in which an Ethernet header is still before the IP header, as
// it is in the kernel's test runs: it is no part of the packet.
func TestHeaderless(t *testing.T) {
	for _, cfg := range []Config{
		{Transport: Perf}, {Transport: Ringbuf}, {Transport: Mmap},
		{Transport: Perf, SnapLen: 61}, {Transport: Perf, SnapLen: 300},
		{Transport: Mmap, SnapLen: 61}, {Transport: Mmap, SnapLen: 300},
	} {
		t.Run(fmt.Sprint(cfg.Transport, ", ", cfg.SnapLen), func(t *testing.T) {
			onCPU(t, 0)
			cfg.All, cfg.Place, cfg.RawIP, cfg.CPUs = true, TCIngress, []bool{true}, ebpf.MustPossibleCPU()
			spec, err := Program(cfg)
			if err != nil {
				t.Fatal(err)
			}
			coll := load(t, spec)
			events, err := reader.New(coll, reader.Options{Latency: time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			defer events.Close()
			for _, fixture := range oracle.Fixtures() {
				switch binary.BigEndian.Uint16(fixture.Frame[addressesLen:]) {
				case layout.EtherIPv4, layout.EtherIPv6:
				default:
					continue
				}
				for _, length := range []int{len(fixture.Frame) - 3, len(fixture.Frame)} {
					frame := fixture.Frame[:length]
					if !runsTC(frame) {
						continue
					}
					if _, err := coll.Programs[ProgramName].Run(&ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+512)}); err != nil {
						t.Fatal(err)
					}
					var got reader.Packet
					if cfg.SnapLen > 0 {
						packets := make([]reader.Packet, 1)
						if n, err := events.ReadPackets(packets); n != 1 || err != nil {
							t.Fatalf("%d packets, %v", n, err)
						}
						got = packets[0]
					} else {
						read := make([]reader.Event, 1)
						if n, err := events.Read(read); n != 1 || err != nil {
							t.Fatalf("%d events, %v", n, err)
						}
						got.Event = read[0]
					}
					record := oracle.Decode(frame, len(frame))
					record.LengthSlot -= layout.EtherLen
					want := reader.FromRecord(&record)
					got.Time, got.Interface = time.Time{}, 0
					want.Time, want.Interface = time.Time{}, 0
					if got.Event != want {
						t.Fatalf("%s, %d bytes: got\n%+v\nwant\n%+v", fixture.Name, length, got.Event, want)
					}
					most := cfg.SnapLen
					least := min(length-layout.EtherLen, most)
					if cfg.Transport == Perf {
						least = min(length-layout.EtherLen, most-layout.EtherLen) // see headerless.ahead
					}
					if len(got.Data) < least || !bytes.HasPrefix(frame[layout.EtherLen:], got.Data) {
						t.Fatalf("%s, %d bytes: got\n%x\nwant %d of\n%x", fixture.Name, length, got.Data, least, frame[layout.EtherLen:])
					}
				}
			}
		})
	}
}

// TestHeaderlessInner: in tunnels, too, the header that is still before the packet is no part of
// its bytes, and leaves the inner packet's tags alone.
func TestHeaderlessInner(t *testing.T) {
	m := newTCMachine(t, Config{All: true, Inner: true, SnapLen: 1000, RawIP: []bool{true}}, headerless{trafficControl{copied: copied{true}}})
	tags := 0
	for _, fixture := range oracle.InnerFixtures() {
		switch binary.BigEndian.Uint16(fixture.Frame[addressesLen:]) {
		case layout.EtherIPv4, layout.EtherIPv6:
		default:
			continue
		}
		if _, err := m.program.Run(&ebpf.RunOptions{Data: fixture.Frame, DataOut: make([]byte, len(fixture.Frame)+512)}); err != nil {
			t.Fatal(err)
		}
		err := m.events.ReadInto(&m.sample)
		if errors.Is(err, os.ErrDeadlineExceeded) { // of the last read, which took all there was
			err = m.events.ReadInto(&m.sample)
		}
		if err != nil {
			t.Fatal(err)
		}
		var record wire.WideRecord
		if err := record.Decode(m.sample.RawSample); err != nil {
			t.Fatal(err)
		}
		want := oracle.DecodeInner(fixture.Frame, len(fixture.Frame))
		got := record.Packet(m.sample.RawSample)
		if !bytes.Equal(got, fixture.Frame[layout.EtherLen:]) {
			t.Fatalf("%s: bytes are\n%x\nwant\n%x", fixture.Name, got, fixture.Frame[layout.EtherLen:])
		}
		want.LengthSlot -= layout.EtherLen
		record.Time, record.Interface, want.Interface = 0, 0, 0
		if record != want {
			t.Fatalf("%s: record is\n%+v\nwant\n%+v", fixture.Name, record, want)
		}
		tags += int(record.Tags())
	}
	if tags == 0 {
		t.Error("no inner packet had tags")
	}
}
