package reader

import (
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm"
)

// BenchmarkRead reports what an event costs the reader: one that was captured
// before, decoded into an Event.
func BenchmarkRead(b *testing.B) {
	for _, transport := range transports {
		b.Run(transport.String(), func(b *testing.B) {
			const buffer = 2 << 20
			program, reader := setupConfig(b, asm.Config{Transport: transport, Buffer: buffer}, Options{Buffer: buffer})
			const chunk = 8192 // fits into any of the buffers
			events := make([]Event, 256)
			var reading time.Duration // stopping the benchmark's clock takes longer than a chunk
			b.ReportAllocs()
			for done := 0; done < b.N; {
				n := min(chunk, b.N-done)
				send(b, program, n)
				start := time.Now()
				for got := 0; got < n; {
					k, err := reader.Read(events)
					if err != nil {
						b.Fatal(err)
					}
					got += k
				}
				reading += time.Since(start)
				done += n
			}
			b.ReportMetric(float64(reading.Nanoseconds())/float64(b.N), "read-ns/event")
		})
	}
}
