package asm

import (
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

// BenchmarkCopied measures what it costs a packet whose headers are in its first buffer
// that they might not be: the program with a copy of the packet's beginning and the one
// without ([Config.FirstBuffer]) run in turns, on packets that they parse and that don't
// match, and the median of the differences is given. short-ns is what a packet costs of
// which the first buffer has nothing but the Ethernet header.
//
//	go test ./asm -run '^$' -bench '^BenchmarkCopied$' -benchtime 5000x
func BenchmarkCopied(b *testing.B) {
	onCPU(b, 0)
	for _, name := range []string{"ipv4/udp", "ipv4/tcp", "ipv6/tcp", "8100/ipv4/udp"} {
		b.Run(name, func(b *testing.B) {
			frame := fixture(b, name)
			var programs [2]*ebpf.Program
			for i, firstBuffer := range []bool{false, true} {
				spec, err := Program(Config{Filter: parseFilter(b, "port 9"), FirstBuffer: firstBuffer})
				if err != nil {
					b.Fatal(err)
				}
				programs[i] = load(b, spec).Programs[ProgramName]
			}
			var more, both, short []float64 // ns
			for b.Loop() {
				var taken [2]float64
				for _, i := range []int{0, 1, 1, 0} { // what drifts cancels out
					taken[i] += nsEach(b, programs[i], frame, 0) / 2
				}
				more, both = append(more, taken[0]-taken[1]), append(both, taken[1])
				short = append(short, nsEach(b, programs[0], frame, 14))
			}
			b.ReportMetric(0, "ns/op") // of this loop
			for unit, all := range map[string][]float64{"ns-more": more, "without-ns": both, "short-ns": short} {
				slices.Sort(all)
				b.ReportMetric(all[len(all)/2], unit)
			}
		})
	}
}

// nsEach is what a packet takes in the kernel, whose first buffer has so many bytes; 0: all.
func nsEach(b *testing.B, program *ebpf.Program, frame []byte, first uint32) float64 {
	b.Helper()
	const portion = 1_000 // so few that most are not interrupted
	var spent time.Duration
	options := ebpf.RunOptions{Data: frame, Repeat: portion}
	if first > 0 {
		options.Context = &xdpMD{DataEnd: first}
	}
	begin := time.Now()
	verdict, err := program.Run(&options)
	spent = time.Since(begin)
	if err != nil || verdict != xdpPass {
		b.Fatalf("verdict %d, %v", verdict, err)
	}
	return float64(spent) / portion
}
