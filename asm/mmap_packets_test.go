package asm

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm/internal/oracle"
	"github.com/xdplog/xdplog/reader"
)

// TestPacketRingPlaces has packets with all combinations of headers come through a ring
// with their bytes, wherever the program stands: all of them, and a tag that is beside in
// its place.
func TestPacketRingPlaces(t *testing.T) {
	places := map[string]place{
		"XDP":               Config{NoFrags: !takesFrags()}.slot(),
		"XDP without frags": xdpSlot{},
	}
	for name, at := range tcPlaces {
		places["tc, "+name] = at
	}
	if takesFrags() {
		places["XDP, tag beside"] = metadataPlaces(t)["tag beside"]
	}
	for name, at := range places {
		for _, snapLen := range []int{16, 61, 1500} {
			t.Run(name, func(t *testing.T) {
				onCPU(t, 0)
				cfg := Config{All: true, Transport: Mmap, CPUs: ebpf.MustPossibleCPU(), SnapLen: snapLen}
				way, err := cfg.transport()
				if err != nil {
					t.Fatal(err)
				}
				spec, err := program(cfg, []place{at}, way)
				if err != nil {
					t.Fatal(err)
				}
				coll := load(t, spec)
				events, err := reader.New(coll, reader.Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer events.Close()
				packets := make([]reader.Packet, 1)
				for _, fixture := range oracle.Fixtures() {
					if !runsTC(fixture.Frame) {
						continue
					}
					_, err := coll.Programs[ProgramName].Run(&ebpf.RunOptions{Data: fixture.Frame, DataOut: make([]byte, len(fixture.Frame)+512)})
					if err != nil {
						t.Fatal(err)
					}
					if n, err := events.ReadPackets(packets); n != 1 || err != nil {
						t.Fatalf("%d packets, %v", n, err)
					}
					queue := uint16(0)
					if strings.HasPrefix(name, "XDP") {
						queue = 1
					}
					if packets[0].Queue != queue {
						t.Fatalf("%s: came by queue %d, want %d", fixture.Name, packets[0].Queue, queue)
					}
					want := fixture.Frame
					if besideIn(at) {
						want = onWire(want)
					}
					if want = want[:min(len(want), snapLen)]; !bytes.Equal(packets[0].Data, want) {
						t.Fatalf("%s: got\n%x\nwant\n%x", fixture.Name, packets[0].Data, want)
					}
				}
			})
		}
	}
}
