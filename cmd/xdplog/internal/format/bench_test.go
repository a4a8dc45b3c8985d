package format

import (
	"testing"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/detail"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/eventtest"
)

func BenchmarkFormat(b *testing.B) {
	for _, output := range Names() {
		for _, version := range []struct {
			name  string
			edits []eventtest.Edit
		}{{"IPv4", nil}, {"IPv6", []eventtest.Edit{eventtest.IPv6}}} {
			b.Run(output+"/"+version.name, func(b *testing.B) {
				f := newFormat(b, output, eventtest.Interfaces)
				e := eventtest.Usual(version.edits...)
				line := f.AppendEvent(nil, &e, detail.Packet{})
				b.ReportAllocs()
				for b.Loop() {
					e.Time = e.Time.Add(1000) // a million events a second
					line = f.AppendEvent(line[:0], &e, detail.Packet{})
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}

func TestFormatsDoNotAllocate(t *testing.T) {
	for _, output := range Names() {
		f := newFormat(t, output, eventtest.Interfaces)
		line := make([]byte, 0, 1024)
		for _, c := range formatCases {
			if c.event.Interface == 70 {
				continue // found in no table: allowed to cost
			}
			if n := testing.AllocsPerRun(100, func() { line = f.AppendEvent(line[:0], &c.event, detail.Packet{}) }); n != 0 {
				t.Errorf("%s, %s: %v allocations", output, c.name, n)
			}
		}
	}
}
