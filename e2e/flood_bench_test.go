package e2e

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/filter"
)

// A contender is a way to bring events to user space.
type contender struct {
	name string
	captureOptions
}

// tutorial is the way that others are compared with: a wake-up per event.
var tutorial = contender{"wakeup-each", captureOptions{perEvent: true}}

// contenders are the tutorial's way and the transports.
func contenders() []contender {
	all := []contender{tutorial}
	for _, transport := range []asm.Transport{asm.Perf, asm.Ringbuf, asm.Mmap} {
		all = append(all, contender{transport.String(), captureOptions{Config: asm.Config{Transport: transport}}})
	}
	return all
}

// BenchmarkFlood measures the whole path, from the driver to decoded events:
// one CPU makes and receives packets as fast as it can, another one reads.
//
//	Mpps              packets received a second
//	kernel-ns/packet  the program's, by the kernel's statistics, which add some 20 to it
//	reader-ns/event   CPU time of the reading thread, decoding into Event included
//	delivered-%       of the packets; the others were counted as lost
func BenchmarkFlood(b *testing.B) {
	for _, c := range contenders() {
		for _, size := range []int{64, 1500} {
			for _, expression := range []string{"", "udp port 53"} {
				opts, name := c.captureOptions, "default"
				if expression != "" {
					parsed, err := filter.Parse(expression)
					if err != nil {
						b.Fatal(err)
					}
					opts.Filter, name = parsed, "port53"
				}
				b.Run(fmt.Sprintf("transport=%s/size=%d/filter=%s", c.name, size, name), func(b *testing.B) {
					benchmarkFlood(b, opts, size)
				})
			}
		}
	}
	b.Run("transport=unattached", benchmarkUnread)
}

func benchmarkFlood(b *testing.B, opts captureOptions, size int) {
	packets := 1 << 20 // at a time
	if opts.perEvent {
		packets /= 8
	}
	lab := newLab(b)
	capture := lab.capture(b, opts)
	flood := lab.flood(b, 0, cpus(b)[0], floodFrame(size, layers.EthernetTypeIPv4), alike)
	flood.send(b, packets/10)
	capture.caughtUp(b)

	stats := watchProgram(b, capture.program)
	before, delivered, cpuTime := capture.counters(b), capture.delivered.Load(), capture.cpuTime(b)
	var flooding time.Duration
	for b.Loop() {
		start := time.Now()
		flood.send(b, packets)
		flooding += time.Since(start)
	}
	lab.settle()
	capture.caughtUp(b)
	after := capture.counters(b)
	seen := float64(after.Seen - before.Seen)
	events := float64(capture.delivered.Load() - delivered)
	b.ReportMetric(seen/float64(flooding.Microseconds()), "Mpps")
	b.ReportMetric(stats(b), "kernel-ns/packet")
	b.ReportMetric(float64(capture.cpuTime(b)-cpuTime)/events, "reader-ns/event")
	b.ReportMetric(100*events/seen, "delivered-%")
	b.ReportMetric(0, "ns/op") // of very many packets
	capture.finish(b)
}

// benchmarkUnread is what the generator gives without xdplog.
func benchmarkUnread(b *testing.B) {
	lab := newLab(b)
	flood := lab.flood(b, 0, cpus(b)[0], floodFrame(64, layers.EthernetTypeIPv4), alike)
	const packets = 1 << 20
	flood.send(b, packets/10)
	var flooding time.Duration
	for b.Loop() {
		start := time.Now()
		flood.send(b, packets)
		flooding += time.Since(start)
	}
	b.ReportMetric(packets*float64(b.N)/float64(flooding.Microseconds()), "Mpps")
	b.ReportMetric(0, "ns/op")
}

// watchProgram switches the kernel's statistics on for as long as the
// benchmark lasts, and returns a function that says what a run of the program
// took since it was last called, in ns.
func watchProgram(b *testing.B, program *ebpf.Program) (nsPerRun func(*testing.B) float64) {
	b.Helper()
	var on io.Closer
	on, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { on.Close() })
	look := func() *ebpf.ProgramStats {
		stats, err := program.Stats()
		if err != nil {
			b.Fatal(err)
		}
		return stats
	}
	before := look()
	return func(*testing.B) float64 {
		after := look()
		defer func() { before = after }()
		return float64(after.Runtime-before.Runtime) / float64(after.RunCount-before.RunCount)
	}
}
