package reader

import (
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm"
)

// BenchmarkRead reports what an event costs the reader: one that was captured
// just before, on another CPU where there are several, decoded into an Event.
func BenchmarkRead(b *testing.B) {
	for _, transport := range transports {
		b.Run(transport.String(), func(b *testing.B) {
			const buffer = 2 << 20
			program, reader := setupConfig(b, asm.Config{Transport: transport, Buffer: buffer}, Options{})
			const chunk = 8192 // fits into any of the buffers, twice if it must: see fill
			all := cpus(b)
			events := make([]Event, 256)
			var delivered uint64
			var reading time.Duration // stopping the benchmark's clock takes longer than a chunk
			b.ReportAllocs()
			for delivered < uint64(b.N) {
				fill(b, program, all[0], chunk)
				counters, err := reader.Counters()
				if err != nil {
					b.Fatal(err)
				}
				back := pin(b, all[len(all)-1])
				start := time.Now()
				for delivered < counters.Captured {
					n, err := reader.Read(events)
					if err != nil {
						b.Fatal(err)
					}
					delivered += uint64(n)
				}
				reading += time.Since(start)
				back()
			}
			b.ReportMetric(float64(reading.Nanoseconds())/float64(delivered), "read-ns/event")
		})
	}
}

// fill runs the program on n datagrams on a CPU, as fast as that can: on more
// where a signal interrupts it, and it begins again.
func fill(b *testing.B, program *ebpf.Program, cpu, n int) {
	b.Helper()
	defer pin(b, cpu)()
	if _, _, err := program.Benchmark(datagram, n, func() {}); err != nil {
		b.Fatal(err)
	}
}
