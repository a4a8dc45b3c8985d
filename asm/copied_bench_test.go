package asm

import (
	"slices"
	"testing"

	"github.com/cilium/ebpf"
)

// BenchmarkCopied measures what it costs a packet whose headers are in its first buffer
// that they might not be: the program with a copy of the packet's beginning and the one
// without ([Config.FirstBuffer]) run in turns, on packets that they parse and that don't
// match, and the median of the differences is given.
//
//	go test ./asm -run '^$' -bench '^BenchmarkCopied$' -benchtime 100x
func BenchmarkCopied(b *testing.B) {
	const portion = 100_000 // a run begins with milliseconds in which the kernel rewrites its dispatcher
	onCPU(b, 0)
	for _, name := range []string{"ipv4/udp", "ipv4/tcp", "ipv6/tcp", "8100/ipv4/udp"} {
		b.Run(name, func(b *testing.B) {
			frame := fixture(b, name)
			var programs [2]*ebpf.Program
			for i, firstBuffer := range []bool{false, true} {
				spec, err := Program(Config{Filter: parseFilter(b, "port 9999"), FirstBuffer: firstBuffer})
				if err != nil {
					b.Fatal(err)
				}
				programs[i] = load(b, spec).Programs[ProgramName]
			}
			var more, without []float64 // ns
			for b.Loop() {
				var taken [2]float64
				for _, i := range []int{0, 1, 1, 0} { // what drifts cancels out
					verdict, each, err := programs[i].Benchmark(frame, portion, func() {})
					if err != nil || verdict != xdpPass {
						b.Fatalf("verdict %d, %v", verdict, err)
					}
					taken[i] += float64(each) / 2
				}
				more, without = append(more, taken[0]-taken[1]), append(without, taken[1])
			}
			slices.Sort(more)
			slices.Sort(without)
			b.ReportMetric(0, "ns/op") // of this loop
			b.ReportMetric(more[len(more)/2], "ns-more")
			b.ReportMetric(without[len(without)/2], "ns-without")
		})
	}
}
