package asm

import (
	"testing"

	"github.com/xdplog/xdplog/asm/internal/oracle"
	"github.com/xdplog/xdplog/asm/wire"
)

// configs are the programs that the kernel tests run.
var configs = map[string]Config{
	"default":     {},
	"all":         {All: true},
	"nofrags":     {NoFrags: true},
	"first":       {FirstBuffer: true},
	"all-nofrags": {All: true, NoFrags: true},
}

// TestEveryFixtureAtEveryLength runs frames with all combinations of headers,
// whole and cut at every length that the kernel accepts: event or none as the
// oracle says, always XDP_PASS, the packet unchanged, the counters exact.
func TestEveryFixtureAtEveryLength(t *testing.T) {
	for name, cfg := range configs {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, cfg)
			for _, fixture := range oracle.Fixtures() {
				var packets []packet
				for length := oracle.Shortest; length <= len(fixture.Frame); length++ {
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

// TestEveryFixtureAtEverySplit runs frames whose first buffer ends at every
// byte, and is empty: what is behind it the program has copied, but for one
// that takes no packets of several buffers.
func TestEveryFixtureAtEverySplit(t *testing.T) {
	for name, cfg := range configs {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, cfg)
			needSplits(t, m)
			for _, fixture := range oracle.Fixtures() {
				var packets []packet
				for first := range len(fixture.Frame) {
					packets = append(packets, packet{fixture.Frame, first})
				}
				if err := m.check(packets); err != nil {
					t.Fatalf("%s: %v", fixture.Name, err)
				}
			}
			t.Logf("%d frames, %d events", m.counted.Seen, m.counted.Captured)
		})
	}
}

// TestLostIsCounted: without a reader, and with one whose ring is full, what
// matches is lost, and each of those packets counted once.
func TestLostIsCounted(t *testing.T) {
	for name, cfg := range configs {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, cfg)
			var packets []packet
			for _, fixture := range oracle.Fixtures() {
				packets = append(packets, whole(fixture.Frame))
			}
			if err := m.check(packets); err != nil {
				t.Fatal(err)
			}
			if err := m.lose(packets); err != nil {
				t.Fatalf("no reader: %v", err)
			}
			if m.counted.Lost == 0 {
				t.Error("no packet was lost")
			}

			m.expected = m.expected[:0]
			for len(m.expected) < 2*ringSize/wire.RecordSize {
				for _, p := range packets {
					if err := m.runPacket(p); err != nil {
						t.Fatal(err)
					}
					m.expect(p)
				}
			}
			if err := m.drain(); err != nil {
				t.Fatal(err)
			}
			full := len(m.expected) - len(m.records)
			if full <= 0 {
				t.Fatalf("the ring took all %d events", len(m.expected))
			}
			m.counted.Captured -= uint64(full)
			m.counted.Lost += uint64(full)
			for i := range full {
				bytes := uint64(m.expected[len(m.records)+i].Length())
				m.counted.CapturedBytes -= bytes
				m.counted.LostBytes += bytes
			}
			m.expected = m.expected[:len(m.records)] // the first ones, as nothing was read meanwhile
			if err := m.agree(); err != nil {
				t.Error(err)
			}
			if err := m.checkCounters(); err != nil {
				t.Error(err)
			}
			if err := m.check(packets); err != nil {
				t.Errorf("after it was emptied: %v", err)
			}
		})
	}
}

// needSplits skips where the kernel does not let a test choose the length of
// the first buffer, as Linux 6.1 does and 5.10 does not.
func needSplits(t *testing.T, m *machine) {
	t.Helper()
	if !m.splits() {
		t.Skip("this kernel lacks test runs of packets that are split where the test wants it")
	}
}

// splits reports whether the kernel splits packets. It counts as a frame seen.
func (m *machine) splits() bool {
	if err := m.runPacket(packet{make([]byte, 64), 7}); err != nil {
		return false
	}
	m.expected = m.expected[:0]
	m.expect(packet{make([]byte, 64), 7})
	return m.drain() == nil
}

// TestStrictAlignment: the verifier takes the program also where the machine
// does not load words from just anywhere (BPF_F_STRICT_ALIGNMENT, linux/bpf.h).
func TestStrictAlignment(t *testing.T) {
	const strictAlignment = 1 << 0
	for name, cfg := range configs {
		t.Run(name, func(t *testing.T) {
			spec, err := Program(cfg)
			if err != nil {
				t.Fatal(err)
			}
			spec.Programs[ProgramName].Flags |= strictAlignment
			load(t, spec)
			for _, raw := range [][]bool{nil, {true}} {
				cfg.Place, cfg.RawIP = TCIngress, raw
				spec, err = Program(cfg)
				if err != nil {
					t.Fatal(err)
				}
				spec.Programs[ProgramName].Flags |= strictAlignment
				load(t, spec)
			}
		})
	}
}
