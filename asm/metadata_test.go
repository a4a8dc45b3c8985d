package asm

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/oracle"
	"github.com/xdplog/xdplog/asm/wire"
)

// A program that asks a driver is not run by BPF_PROG_TEST_RUN. So here, instructions
// stand for the driver, that answer as veth's does.

// tellsTag is a driver that has a tag beside each packet.
func tellsTag() []bpf.Instruction {
	var tpid [2]byte
	binary.BigEndian.PutUint16(tpid[:], besideTPID)
	return []bpf.Instruction{
		bpf.Mov.Imm(bpf.R4, int32(binary.NativeEndian.Uint16(tpid[:]))),
		bpf.StoreMem(bpf.R2, 0, bpf.R4, bpf.Half),
		bpf.Mov.Imm(bpf.R4, besideTCI),
		bpf.StoreMem(bpf.R3, 0, bpf.R4, bpf.Half),
		bpf.Mov.Imm(bpf.R0, 0),
	}
}

// answers is a driver that has no tag, and says so by an error.
func answers(err int32) []bpf.Instruction { return []bpf.Instruction{bpf.Mov.Imm(bpf.R0, err)} }

// metadataPlaces are the XDP slots of devices that were asked for tags.
func metadataPlaces(t *testing.T) map[string]place {
	t.Helper()
	if !takesFrags() {
		t.Skip("this kernel lacks XDP for packets of several buffers (Linux 5.18), and functions to ask drivers by (6.3)")
	}
	slot := Config{}.slot()
	return map[string]place{
		"tag beside":    asked{xdpSlot: slot, vlanTag: tellsTag()},
		"no tag":        asked{xdpSlot: slot, vlanTag: answers(-61)}, // ENODATA
		"not supported": asked{xdpSlot: slot, vlanTag: answers(-95)}, // EOPNOTSUPP
	}
}

// metadataConfigs are such that have packets parsed where they lie, and one that asks for
// bytes, and finds the same: of that, packets with a tag beside them are copied.
func metadataConfigs(t *testing.T) map[string]Config {
	t.Helper()
	return map[string]Config{"default": {}, "all": {All: true}, "copied": {Filter: parseFilter(t, "(tcp or udp) and ether[0] & 0 = 0")}}
}

func newMetadataMachine(t *testing.T, cfg Config, name string, at place) *machine {
	t.Helper()
	way, err := cfg.transport()
	if err != nil {
		t.Fatal(err)
	}
	spec, err := program(cfg, []place{at}, way)
	if err != nil {
		t.Fatal(err)
	}
	m := newMachineOf(t, cfg, spec, linearSize(t))
	if name == "tag beside" {
		m.fate, m.onWire = 1<<wire.TagBesideShift, onWire
	}
	return m
}

// TestMetadataFixtures is [TestFixtures] of programs that ask a driver for tags.
func TestMetadataFixtures(t *testing.T) {
	for name, at := range metadataPlaces(t) {
		for kind, cfg := range metadataConfigs(t) {
			t.Run(name+", "+kind, func(t *testing.T) {
				m := newMetadataMachine(t, cfg, name, at)
				for _, fixture := range oracle.Fixtures() {
					var packets []packet
					for length := oracle.Shortest; length < len(fixture.Frame)+1; length++ {
						packets = append(packets, whole(fixture.Frame[:length]))
					}
					if err := m.check(packets); err != nil {
						t.Fatalf("%s: %v", fixture.Name, err)
					}
				}
				t.Logf("%d frames, %d events", m.counted.Seen, m.counted.Captured)
			})
		}
	}
}

// TestMetadataInner: tunnels behind a tag that is beside the packet.
func TestMetadataInner(t *testing.T) {
	for name, at := range metadataPlaces(t) {
		for kind, cfg := range map[string]Config{"default": {Inner: true}, "all": {All: true, Inner: true}} {
			t.Run(name+", "+kind, func(t *testing.T) {
				at := asked{xdpSlot: cfg.slot(), vlanTag: at.(asked).vlanTag}
				m := newMetadataMachine(t, cfg, name, at)
				for _, fixture := range oracle.InnerFixtures() {
					var packets []packet
					for length := oracle.Shortest; length < len(fixture.Frame)+1; length++ {
						packets = append(packets, whole(fixture.Frame[:length]))
					}
					if err := m.check(packets); err != nil {
						t.Fatalf("%s: %v", fixture.Name, err)
					}
				}
				t.Logf("%d frames, %d events", m.counted.Seen, m.counted.Captured)
			})
		}
	}
}

// TestMetadataDifferential is [TestDifferential] of programs that ask a driver for tags.
func TestMetadataDifferential(t *testing.T) {
	packets := uint64(number(t, "XDPLOG_FUZZ_PACKETS", 200_000)) / 9
	seed := uint64(number(t, "XDPLOG_FUZZ_SEED", 1))
	for name, at := range metadataPlaces(t) {
		for kind, cfg := range metadataConfigs(t) {
			t.Run(name+", "+kind, func(t *testing.T) {
				m := newMetadataMachine(t, cfg, name, at)
				generator := oracle.NewGenerator(seed, longestFrame(t))
				splits := m.splits()
				var batch [batchSize]packet
				var arena []byte
				for done := uint64(0); done < packets; done += batchSize {
					arena = fill(generator, arena[:0], batch[:], splits)
					if err := m.check(batch[:]); err != nil {
						t.Fatal(err)
					}
				}
				t.Logf("%d frames, %d events", m.counted.Seen, m.counted.Captured)
			})
		}
	}
}

// TestMetadataFilters: filters say of each frame what the evaluator says of the frame on
// the wire.
func TestMetadataFilters(t *testing.T) {
	frames := newFrameMaker(1)
	for where, at := range metadataPlaces(t) {
		for name, expression := range filterListings {
			t.Run(where+", "+name, func(t *testing.T) {
				cfg := Config{Filter: parseFilter(t, expression)}
				m := newMetadataMachine(t, cfg, where, at)
				seen := compiled{counters: m.counters}
				for range 500 {
					frame := frames.next()
					if len(frame) < oracle.Shortest {
						continue
					}
					if _, err := m.program.Run(&ebpf.RunOptions{Data: frame}); err != nil {
						t.Fatalf("%d bytes: %v", len(frame), err)
					}
					matched, err := seen.countMatched()
					if err != nil {
						t.Fatal(err)
					}
					if m.onWire != nil {
						frame = onWire(frame)
					}
					if got, want := matched-seen.matched == 1, cfg.Filter.Match(frame, len(frame)); got != want {
						t.Fatalf("%s\nmatches: kernel %v, evaluator %v, on\n%x", expression, got, want, frame)
					}
					seen.matched = matched
				}
			})
		}
	}
}

// TestMetadataPacketBytes: the tag is put back where it was.
func TestMetadataPacketBytes(t *testing.T) {
	at := metadataPlaces(t)["tag beside"]
	for _, snapLen := range []int{1, 16, 21, 60, 96, 1500} {
		m := newMetadataMachine(t, Config{All: true, SnapLen: max(snapLen, wire.MinTagged)}, "tag beside", at)
		for length := oracle.Shortest; length < 200; length++ {
			frame := bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7}, length)[:length]
			m.wantBytes(t, whole(frame), onWire(frame), max(snapLen, wire.MinTagged))
		}
	}
}

// TestMetadataSpec: what a config says becomes flags, a device and calls, and what makes
// no sense is refused.
func TestMetadataSpec(t *testing.T) {
	spec, err := Program(Config{Interfaces: 2, Clock: HardwareClock, Metadata: []Metadata{{}, {Index: 7, VLANTag: 101, Timestamp: 102}}})
	if err != nil {
		t.Fatal(err)
	}
	plain, asks := spec.Programs[ProgramOf(0)], spec.Programs[ProgramOf(1)]
	if plain.Ifindex != 0 || plain.Flags&flagDevBound != 0 || asks.Ifindex != 7 || asks.Flags != flagDevBound|flagHasFrags {
		t.Errorf("programs of devices %d and %d, flags %#x and %#x", plain.Ifindex, asks.Ifindex, plain.Flags, asks.Flags)
	}
	var listing strings.Builder
	if err := Listing(&listing, asks.Instructions); err != nil {
		t.Fatal(err)
	}
	for _, call := range []string{"call function 101 of the kernel's BTF", "call function 102 of the kernel's BTF"} {
		if strings.Count(listing.String(), call) != 1 {
			t.Errorf("no %q in\n%s", call, &listing)
		}
	}
	for _, test := range []struct {
		cfg  Config
		says string
	}{
		{Config{Metadata: []Metadata{{Index: 1}, {Index: 2}}}, "Metadata speaks of 2 programs, and there are 1"},
		{Config{Place: TCIngress, Metadata: []Metadata{{Index: 1}}}, "no driver is asked for metadata at tc ingress"},
		{Config{Replay: true, Metadata: []Metadata{{Index: 1}}}, "no driver is asked for metadata"},
		{Config{Metadata: []Metadata{{VLANTag: 1}}}, "Metadata.Index"},
	} {
		if err := test.cfg.Check(); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: %v, want %q", test.cfg, err, test.says)
		}
	}
}
