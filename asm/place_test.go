package asm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/internal/oracle"
	"github.com/xdplog/xdplog/asm/wire"
)

// tcPlaces are the ways in which a packet may lie before a program at tc: all of
// it to be read directly, or no more than its first bytes, or with a tag beside it.
var tcPlaces = map[string]place{
	"linear":           trafficControl{way: wire.In},
	"nothing direct":   shortened{trafficControl{way: wire.Out}, 0},
	"ethernet direct":  shortened{trafficControl{way: wire.In}, layout.EtherLen},
	"ports direct":     shortened{trafficControl{way: wire.In}, layout.EtherLen + layout.IPv4MinLen + layout.PortsLen},
	"tag beside":       tagged{trafficControl{way: wire.In}},
	"tag beside, sent": tagged{trafficControl{way: wire.Out}},
}

// shortened is tc where no more than the first bytes of a packet can be read directly.
type shortened struct {
	trafficControl
	linear int32
}

func (s shortened) within(b *builder, reg bpf.Register, otherwise label) {
	short, long, there := b.Fresh("short"), b.Fresh("long"), b.Fresh("both_there")
	const slot = layout.FilterSlot - 8
	b.Emit(
		bpf.StoreMem(stack, slot, bpf.R1, bpf.DWord),
		bpf.LoadMem(bpf.R1, stack, layout.CopiedSlot, bpf.DWord),
	)
	b.JumpIf(bpf.R1, bpf.JNE, 0, long)
	s.Start(b.Builder, bpf.R1)
	b.Emit(bpf.Add.Imm(bpf.R1, s.linear))
	b.JumpIfReg(reg, bpf.JGT, bpf.R1, short)
	b.Block(long)
	b.Emit(bpf.LoadMem(bpf.R1, stack, slot, bpf.DWord))
	s.trafficControl.within(b, reg, otherwise)
	b.Jump(there)
	b.Block(short)
	b.Jump(copyAll)
	b.Block(there)
}

// tagged is tc where the card took a tag off each packet, and put it beside.
type tagged struct{ trafficControl }

const besideTPID, besideTCI = 0x88a8, 0xeabc // VLAN 0xabc, with priority 7

func (p tagged) begin(b *builder) {
	var tpid [2]byte
	binary.BigEndian.PutUint16(tpid[:], besideTPID)
	b.Emit(
		bpf.Mov.Reg(bpf.R1, ctx),
		bpf.Mov.Imm(bpf.R2, int32(binary.NativeEndian.Uint16(tpid[:]))),
		bpf.Mov.Imm(bpf.R3, besideTCI),
		bpf.FnSkbVlanPush.Call(),
	)
	p.trafficControl.begin(b)
}

// onWire puts the tag back.
func onWire(frame []byte) []byte {
	all := slices.Clone(frame[:12])
	all = binary.BigEndian.AppendUint16(all, besideTPID)
	all = binary.BigEndian.AppendUint16(all, besideTCI)
	return append(all, frame[12:]...)
}

// besideIn reports whether packets have a tag beside them at a place.
func besideIn(at place) bool {
	switch at := at.(type) {
	case tagged:
		return true
	case asked:
		return len(at.vlanTag) > 1 // not an answer that there is none
	}
	return false
}

// newTCMachine is a machine of a program at tc.
func newTCMachine(t *testing.T, cfg Config, at place) *machine {
	t.Helper()
	way, err := cfg.transport()
	if err != nil {
		t.Fatal(err)
	}
	spec, err := program(cfg, []place{at}, way)
	if err != nil {
		t.Fatal(err)
	}
	m := newMachineOf(t, cfg, spec, maxFrame)
	next := int32(tcNext)
	m.verdict = uint32(next)
	switch at := at.(type) {
	case trafficControl:
		m.fate = uint8(at.way) << wire.DirectionShift
	case shortened:
		m.fate = uint8(at.way) << wire.DirectionShift
	case tagged:
		m.fate = uint8(at.way)<<wire.DirectionShift | 1<<wire.TagBesideShift
		m.onWire = onWire
	}
	return m
}

// runsTC reports whether kernels run a frame as an skb: they do not run a header that is cut.
func runsTC(frame []byte) bool { return len(frame) >= layout.EtherLen+layout.IPv6Len }

// TestTCFixtures runs frames with all combinations of headers, cut at every
// length, at tc: there the program says what the oracle says.
func TestTCFixtures(t *testing.T) {
	for name, at := range tcPlaces {
		for kind, cfg := range map[string]Config{"default": {}, "all": {All: true}} {
			t.Run(name+", "+kind, func(t *testing.T) {
				m := newTCMachine(t, cfg, at)
				for _, fixture := range oracle.Fixtures() {
					var packets []packet
					for length := range len(fixture.Frame) + 1 {
						if frame := fixture.Frame[:length]; runsTC(frame) {
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

// TestTCDifferential is [TestDifferential] at tc.
func TestTCDifferential(t *testing.T) {
	packets := uint64(number(t, "XDPLOG_FUZZ_PACKETS", 200_000)) / uint64(2*len(tcPlaces))
	seed := uint64(number(t, "XDPLOG_FUZZ_SEED", 1))
	t.Logf("XDPLOG_FUZZ_SEED=%d", seed)
	for name, at := range tcPlaces {
		for kind, cfg := range map[string]Config{"default": {}, "all": {All: true}} {
			t.Run(name+", "+kind, func(t *testing.T) {
				m := newTCMachine(t, cfg, at)
				generator := oracle.NewGenerator(seed, 3000)
				var batch [batchSize]packet
				var arena []byte
				for done := uint64(0); done < packets; {
					arena = fill(generator, arena[:0], batch[:], false)
					runs := slices.DeleteFunc(slices.Clone(batch[:]), func(p packet) bool { return !runsTC(p.frame) })
					if err := m.check(runs); err != nil {
						t.Fatal(err)
					}
					done += uint64(len(runs))
				}
				t.Logf("%d frames, %d events", m.counted.Seen, m.counted.Captured)
			})
		}
	}
}

// TestTCFilters runs filters at tc: they must say of each frame what the
// evaluator says of the frame on the wire.
func TestTCFilters(t *testing.T) {
	way, err := Config{}.transport()
	if err != nil {
		t.Fatal(err)
	}
	frames := newFrameMaker(1)
	for where, at := range tcPlaces {
		for name, expression := range filterListings {
			t.Run(where+", "+name, func(t *testing.T) {
				cfg := Config{Filter: parseFilter(t, expression)}
				spec, err := program(cfg, []place{at}, way)
				if err != nil {
					t.Fatal(err)
				}
				coll, err := ebpf.NewCollection(spec)
				if errors.Is(err, os.ErrPermission) && os.Getenv("XDPLOG_E2E") != "required" {
					t.Skipf("needs root: %v", err)
				}
				if err != nil {
					t.Fatalf("%+v", err)
				}
				defer coll.Close()
				seen := compiled{counters: coll.Maps[wire.CountersMap]}
				ran := 0
				for range 1000 {
					frame := frames.next()
					_, err := coll.Programs[ProgramName].Run(&ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+512)})
					if errors.Is(err, unix.EINVAL) && !runsTC(frame) {
						continue
					}
					if err != nil {
						t.Fatalf("%d bytes: %v", len(frame), err)
					}
					ran++
					matched, err := seen.countMatched()
					if err != nil {
						t.Fatal(err)
					}
					if besideIn(at) {
						frame = onWire(frame)
					}
					if got, want := matched-seen.matched == 1, cfg.Filter.Match(frame, len(frame)); got != want {
						var listing bytes.Buffer
						_ = Listing(&listing, filterPart(spec.Programs[ProgramName].Instructions))
						t.Fatalf("%s\nmatches: kernel %v, evaluator %v, on\n%x\n%s", expression, got, want, frame, &listing)
					}
					seen.matched = matched
				}
				if ran < 400 {
					t.Errorf("%d frames of 1000 were run", ran)
				}
			})
		}
	}
}

// TestPlaces: what a config says of places, and what it may not say.
func TestPlaces(t *testing.T) {
	spec, err := Program(Config{Places: []Place{XDP, TCEgress}})
	if err != nil {
		t.Fatal(err)
	}
	if in, out := spec.Programs[ProgramOf(0)].Type, spec.Programs[ProgramOf(1)].Type; in != ebpf.XDP || out != ebpf.SchedCLS {
		t.Errorf("programs of types %v and %v", in, out)
	}
	for _, test := range []struct {
		cfg  Config
		says string
	}{
		{Config{Place: nowhere}, "unknown nowhere"},
		{Config{Place: 200}, "unknown place 200"},
		{Config{Place: TCEgress, Replay: true}, "recorded packets pass no tc egress"},
		{Config{Place: TCEgress, Places: []Place{XDP}}, "Place and Interfaces say it too"},
		{Config{Interfaces: 3, Places: []Place{XDP}}, "Place and Interfaces say it too"},
		{Config{Places: make([]Place, 257)}, "257 programs: at most 256"},
	} {
		if err := test.cfg.Check(); err == nil || !bytes.Contains([]byte(err.Error()), []byte(test.says)) {
			t.Errorf("%+v: %v, want %q", test.cfg, err, test.says)
		}
	}
}
