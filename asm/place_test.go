package asm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// skbPlace is a place that is no XDP: a classifier of tc, whose context is a
// struct __sk_buff (linux/bpf.h). It is here to hold the seam to its word.
type skbPlace struct {
	xdpSlot        // for maps, settle and time
	near    uint32 // see [match.Place]
}

const tcOK = 0 // TC_ACT_OK (linux/pkt_cls.h)

var (
	skbLen     = layout.Field{Name: "__sk_buff.len", Offset: 0, Size: bpf.Word}
	skbIfindex = layout.Field{Name: "__sk_buff.ifindex", Offset: 40, Size: bpf.Word}
	skbData    = layout.Field{Name: "__sk_buff.data", Offset: 76, Size: bpf.Word}
	skbDataEnd = layout.Field{Name: "__sk_buff.data_end", Offset: 80, Size: bpf.Word}
)

func (skbPlace) spec() *ebpf.ProgramSpec { return &ebpf.ProgramSpec{Type: ebpf.SchedCLS} }

func (skbPlace) context() *btf.Struct { return contextOf("__sk_buff") }

func (skbPlace) begin(b *builder) {
	skbData.LoadRaw(b.Builder, header, ctx)
	skbDataEnd.LoadRaw(b.Builder, end, ctx)
}

func (skbPlace) Start(b *assemble.Builder, dst bpf.Register) { skbData.LoadRaw(b, dst, ctx) }

func (p skbPlace) Limits() (near uint32, direct int32) { return p.near, maxDirect }

func (skbPlace) Length(b *assemble.Builder) { skbLen.LoadRaw(b, bpf.R0, ctx) }

func (skbPlace) Fragmented() bool { return true }

func (skbPlace) Copy(b *assemble.Builder, slot int16, size int32) {
	b.Emit(
		bpf.Mov.Reg(bpf.R1, ctx),
		bpf.Mov.Reg(bpf.R2, bpf.R0),
		bpf.Mov.Reg(bpf.R3, stack),
		bpf.Add.Imm(bpf.R3, int32(slot)),
		bpf.Mov.Imm(bpf.R4, size),
		bpf.FnSkbLoadBytes.Call(),
	)
}

func (skbPlace) iface(b *builder, dst bpf.Register) { skbIfindex.LoadRaw(b.Builder, dst, ctx) }

func (skbPlace) pass() int32 { return tcOK }

// TestAnotherPlace runs parser and filters in a place that is not the XDP slot:
// they must say of each frame what they say there.
func TestAnotherPlace(t *testing.T) {
	way, err := Config{}.transport()
	if err != nil {
		t.Fatal(err)
	}
	frames := newFrameMaker(1)
	for _, near := range []uint32{0, 512} {
		for name, expression := range filterListings {
			t.Run(fmt.Sprintf("%s, near %d", name, near), func(t *testing.T) {
				cfg := Config{Filter: parseFilter(t, expression)}
				spec, err := program(cfg, skbPlace{near: near}, way)
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
					verdict, err := coll.Programs[ProgramName].Run(&ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+512)})
					if errors.Is(err, unix.EINVAL) && len(frame) < layout.EtherLen+layout.IPv6Len {
						continue // kernels make no test run of a header that is cut
					}
					if err != nil {
						t.Fatalf("%d bytes: %v", len(frame), err)
					}
					ran++
					if verdict != tcOK {
						t.Fatalf("verdict %d on %x, want %d", verdict, frame, tcOK)
					}
					matched, err := seen.countMatched()
					if err != nil {
						t.Fatal(err)
					}
					if got, want := matched-seen.matched == 1, cfg.Filter.Match(frame, len(frame)); got != want {
						var listing bytes.Buffer
						_ = Listing(&listing, filterPart(spec.Programs[ProgramName].Instructions))
						t.Fatalf("%s\nmatches: kernel %v, evaluator %v, on\n%x\n%s", expression, got, want, frame, &listing)
					}
					seen.matched = matched
				}
				t.Logf("%d frames, %d matches", ran, seen.matched)
				if ran < 400 {
					t.Errorf("%d frames of 1000 were run", ran)
				}
			})
		}
	}
}
