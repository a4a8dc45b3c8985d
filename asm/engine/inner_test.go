package engine

import (
	"os"
	"strconv"
	"testing"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/oracle"
	"github.com/xdplog/xdplog/asm/wire"
)

// againstInner is against of an engine that looks into tunnels.
func againstInner(t *testing.T, e *Engine, all bool, frame []byte) (tunnel bool) {
	t.Helper()
	want := oracle.DecodeInner(frame, len(frame))
	if err := want.Check(); err != nil {
		t.Fatalf("frame %x: the oracle says %+v: %v", frame, want, err)
	}
	var got wire.WideRecord
	reported := e.RunInner(&got, frame, len(frame))
	if wanted := all || oracle.Default(&want.Record); reported != wanted {
		t.Fatalf("frame %x: reported %v, want %v", frame, reported, wanted)
	}
	if reported && got != want {
		t.Fatalf("frame %x:\n got %+v\nwant %+v", frame, got, want)
	}
	return want.Outer.Tunnel != wire.NoTunnel
}

func TestInnerFixturesAtEveryLength(t *testing.T) {
	all, tcpUDP := newEngine(t, asm.Config{All: true, Inner: true}), newEngine(t, asm.Config{Inner: true})
	for _, fixture := range append(oracle.Fixtures(), oracle.InnerFixtures()...) {
		for length := range len(fixture.Frame) + 1 {
			againstInner(t, all, true, fixture.Frame[:length])
			againstInner(t, tcpUDP, false, fixture.Frame[:length])
		}
	}
}

// TestInnerDifferential is TestDifferential of tunnels.
func TestInnerDifferential(t *testing.T) {
	packets := 500_000
	if n, err := strconv.Atoi(os.Getenv("XDPLOG_FUZZ_PACKETS")); err == nil && n > 0 {
		packets = n
	}
	const longest = 9000
	generator := oracle.NewGenerator(uint64(os.Getpid()), longest)
	generator.Tunnels = true
	all, tcpUDP := newEngine(t, asm.Config{All: true, Inner: true}), newEngine(t, asm.Config{Inner: true})
	var arena []byte
	tunnels := 0
	for range packets {
		arena = generator.Append(arena[:0])
		if againstInner(t, all, true, arena) {
			tunnels++
		}
		againstInner(t, tcpUDP, false, arena)
	}
	t.Logf("%d of %d packets are in tunnels", tunnels, packets)
	if tunnels < packets/10 {
		t.Errorf("%d of %d packets are in tunnels", tunnels, packets)
	}
}

// TestTunnelKinds: package filter numbers tunnels as package wire does.
func TestTunnelKinds(t *testing.T) {
	for kind, tunnel := range map[filter.TunnelKind]wire.Tunnel{
		filter.VXLAN: wire.VXLAN, filter.Geneve: wire.Geneve, filter.GRE: wire.GRE,
		filter.IPIP: wire.IPIP, filter.IP6: wire.IP6, filter.GTPU: wire.GTPU,
	} {
		if wire.Tunnel(kind) != tunnel {
			t.Errorf("%v is %d there and %d here", tunnel, kind, tunnel)
		}
	}
}
