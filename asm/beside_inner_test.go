package asm_test

import (
	"testing"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/internal/oracle"
	"github.com/xdplog/xdplog/asm/wire"
)

// TestBesideInner runs tunnels through another program.
func TestBesideInner(t *testing.T) {
	target := firewall(t)
	w := watch(t, target, asm.Config{All: true, Inner: true})
	for _, fixture := range oracle.InnerFixtures() {
		for _, length := range []int{oracle.Shortest, 34, 50, 64, 80, 100, len(fixture.Frame) - 10, len(fixture.Frame)} {
			frame := append([]byte(nil), fixture.Frame[:min(length, len(fixture.Frame))]...)
			frame[0] = frame[0]&^7 | 2
			run(t, target, frame)
			got, ok := w.nextInner(t)
			want := oracle.DecodeInner(frame, len(frame))
			want.TagsFate |= uint8(wire.Pass) << wire.VerdictShift
			if !ok || got != want {
				t.Fatalf("%s at %d bytes: %v\n got %+v\nwant %+v\n%x", fixture.Name, length, ok, got, want, frame)
			}
		}
	}
}

// nextInner is next of a program that looks into tunnels.
func (w *watcher) nextInner(t *testing.T) (r wire.WideRecord, ok bool) {
	t.Helper()
	return w.read(t, func(sample []byte, r *wire.WideRecord) error { return r.Decode(sample) })
}
