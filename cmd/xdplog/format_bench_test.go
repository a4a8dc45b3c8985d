package main

import "testing"

func BenchmarkFormat(b *testing.B) {
	for _, output := range outputs {
		for _, version := range []struct {
			name  string
			edits []edit
		}{{"IPv4", nil}, {"IPv6", []edit{ipv6}}} {
			b.Run(output+"/"+version.name, func(b *testing.B) {
				f, err := newFormat(output, testInterfaces)
				if err != nil {
					b.Fatal(err)
				}
				e := usual(version.edits...)
				line := f.appendEvent(nil, &e)
				b.ReportAllocs()
				for b.Loop() {
					e.Time = e.Time.Add(1000) // a million events a second
					line = f.appendEvent(line[:0], &e)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}

func TestFormatsDoNotAllocate(t *testing.T) {
	for _, output := range outputs {
		f, err := newFormat(output, testInterfaces)
		if err != nil {
			t.Fatal(err)
		}
		line := make([]byte, 0, 1024)
		for _, c := range formatCases {
			if c.event.Interface == 70 {
				continue // found in no table: allowed to cost
			}
			if n := testing.AllocsPerRun(100, func() { line = f.appendEvent(line[:0], &c.event) }); n != 0 {
				t.Errorf("%s, %s: %v allocations", output, c.name, n)
			}
		}
	}
}
