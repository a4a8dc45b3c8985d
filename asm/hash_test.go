package asm

import (
	"fmt"
	"testing"

	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/oracle"
	"github.com/xdplog/xdplog/asm/wire"
)

// toldHash is what the driver tells below.
var toldHash = wire.Hash{Value: 0x1f2e3d4c, Over: wire.HashIPv4 | wire.HashTransport | wire.HashUDP}

// hashes is a driver that writes a hash, and returns a number.
func hashes(err int32) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.Mov.Imm(bpf.R4, int32(toldHash.Value)),
		bpf.StoreMem(bpf.R2, 0, bpf.R4, bpf.Word),
		bpf.Mov.Imm(bpf.R4, int32(toldHash.Over)),
		bpf.StoreMem(bpf.R3, 0, bpf.R4, bpf.Word),
		bpf.Mov.Imm(bpf.R0, err),
	}
}

// hashedSKB is tc with packets that have a hash.
type hashedSKB struct{ trafficControl }

func (h hashedSKB) rxHash(b *builder) {
	b.Emit(
		bpf.Mov.Reg(bpf.R1, ctx),
		bpf.Mov.Imm(bpf.R2, int32(toldHash.Value)),
		bpf.FnSetHash.Call(),
	)
	h.trafficControl.rxHash(b)
}

// TestHash: a hash is of the packet for which it is told, whatever else is in the record, and
// nothing of what a driver writes that says an error.
func TestHash(t *testing.T) {
	for name, test := range map[string]struct {
		place func(Config) place
		want  wire.Hash
	}{
		"told":          {func(cfg Config) place { s := cfg.slot(); s.hashed = hashes(0); return s }, toldHash},
		"error":         {func(cfg Config) place { s := cfg.slot(); s.hashed = hashes(-61); return s }, wire.Hash{}}, // ENODATA
		"not asked":     {func(cfg Config) place { return cfg.slot() }, wire.Hash{}},
		"at tc":         {func(cfg Config) place { return hashedSKB{newTCIngress(cfg).(trafficControl)} }, wire.Hash{Value: toldHash.Value}},
		"none at tc":    {newTCIngress, wire.Hash{}},
		"told, and tag": {func(cfg Config) place { return tellsBoth(cfg) }, toldHash},
	} {
		for _, inner := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, inner %v", name, inner), func(t *testing.T) {
				cfg := Config{All: true, Hash: true, Inner: inner, NoFrags: !takesFrags()}
				at := test.place(cfg)
				m := newTCMachine(t, cfg, at)
				m.hash = test.want
				switch at.(type) {
				case hashedSKB, trafficControl:
				case asked:
					if !takesFrags() {
						t.Skip("this kernel lacks XDP for packets of several buffers (Linux 5.18)")
					}
					m.verdict, m.fate, m.onWire = xdpPass, 1<<wire.TagBesideShift, onWire
				default:
					m.verdict, m.linear = xdpPass, linearSize(t)
				}
				for _, fixture := range append(oracle.InnerFixtures(), oracle.Fixtures()...) {
					var packets []packet
					for _, length := range []int{len(fixture.Frame), len(fixture.Frame) * 3 / 4} {
						if frame := fixture.Frame[:length]; runsTC(frame) && len(frame) >= oracle.Shortest {
							packets = append(packets, whole(frame))
						}
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

// tellsBoth is a driver that tells a tag and a hash.
func tellsBoth(cfg Config) place {
	s := cfg.slot()
	s.hashed = hashes(0)
	return asked{xdpSlot: s, vlanTag: tellsTag()}
}

// TestHashPrograms: the verifier takes what asks for a hash with all that there is beside it.
func TestHashPrograms(t *testing.T) {
	until := parseFilter(t, "udp port 53")
	for name, cfg := range map[string]Config{
		"perf":                    {},
		"perf, bytes":             {SnapLen: MaxSnapLen},
		"ringbuf":                 {Transport: Ringbuf, CPUs: 2},
		"mmap":                    {Transport: Mmap, CPUs: 2},
		"mmap, bytes":             {Transport: Mmap, CPUs: 2, SnapLen: 1500},
		"kept":                    {Transport: Mmap, CPUs: 2, SnapLen: 1500, Keep: true, Until: until},
		"counted by conversation": {CPUs: 2, Count: &Count{By: wire.ByConversation, Events: true}},
	} {
		for _, inner := range []bool{false, true} {
			cfg.Hash, cfg.Inner = true, inner
			for where, at := range map[string]place{"XDP": tellsBoth(cfg), "tc": newTCEgress(cfg)} {
				t.Run(fmt.Sprintf("%s, %s, inner %v", name, where, inner), func(t *testing.T) {
					if where == "XDP" && !takesFrags() {
						t.Skip("this kernel lacks XDP for packets of several buffers (Linux 5.18)")
					}
					way, err := cfg.transport()
					if err != nil {
						t.Fatal(err)
					}
					spec, err := program(cfg, []place{at}, way)
					if err != nil {
						t.Fatal(err)
					}
					load(t, spec)
				})
			}
		}
	}
}

// TestHashSpec: the driver is asked by its number, and of a program without records nothing.
func TestHashSpec(t *testing.T) {
	asks := Config{Hash: true, Metadata: []Metadata{{Index: 7, Hash: 103}}}
	for _, cfg := range []Config{asks, {Metadata: asks.Metadata}} {
		spec, err := Program(cfg)
		if err != nil {
			t.Fatal(err)
		}
		calls := 0
		for _, ins := range spec.Programs[ProgramName].Instructions {
			if ins.IsKfuncCall() && ins.Constant == 103 {
				calls++
			}
		}
		if want := map[bool]int{true: 1}[cfg.Hash]; calls != want {
			t.Errorf("%+v: %d calls, want %d", cfg, calls, want)
		}
	}
	for _, cfg := range []Config{{Hash: true, Replay: true}, {Hash: true, CPUs: 1, Count: &Count{}}} {
		if err := cfg.Check(); err == nil {
			t.Errorf("%+v is no error", cfg)
		}
	}
}
