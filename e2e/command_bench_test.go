package e2e

import (
	"os"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/xdplog/xdplog/asm"
)

// BenchmarkStart measures from the start of the process to attached, and the
// size of the command.
func BenchmarkStart(b *testing.B) {
	info, err := os.Stat(os.Getenv(binaryEnv))
	if err != nil {
		b.Fatal(err)
	}
	eachTransportBench(b, func(b *testing.B, transport asm.Transport) {
		lab := newLab(b)
		var taken []float64 // ms
		for b.Loop() {
			begin := time.Now()
			xdplog := lab.xdplog(b, "--transport", transport.String())
			taken = append(taken, float64(time.Since(begin).Microseconds())/1e3)
			xdplog.stop(b)
		}
		b.ReportMetric(middle(taken), "ms/start")
		b.ReportMetric(float64(info.Size())/1e6, "MB-binary")
		b.ReportMetric(0, "ns/op") // it would count the end, too
	})
}

func eachTransportBench(b *testing.B, bench func(*testing.B, asm.Transport)) {
	for _, transport := range transports {
		b.Run("transport="+transport.String(), func(b *testing.B) { bench(b, transport) })
	}
}

// BenchmarkCommand measures the command itself under ten million packets, with
// default buffers, its output thrown away.
//
//	cpu-ns/event  of the whole process, the Go runtime and the output included
//	MB-peak       resident, what it shares with the kernel included
func BenchmarkCommand(b *testing.B) {
	for _, output := range []string{"none", "json", "text"} {
		b.Run("output="+output, func(b *testing.B) {
			eachTransportBench(b, func(b *testing.B, transport asm.Transport) {
				benchmarkCommand(b, transport, output)
			})
		})
	}
}

func benchmarkCommand(b *testing.B, transport asm.Transport, output string) {
	const packets = 10_000_000
	var rate, cpu, peak, lost []float64
	for b.Loop() {
		lab := newLab(b)
		cmd := command("-i", right(0), "-o", output, "--transport", transport.String())
		nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		if err != nil {
			b.Fatal(err)
		}
		cmd.Stdout = nowhere
		xdplog := launch(b, lab.right, cmd).read().listens(b)
		nowhere.Close()
		flood := lab.flood(b, 0, cpus(b)[0], floodFrame(64, layers.EthernetTypeIPv4), alike)

		before, begin := xdplog.cpuTime(b), time.Now()
		flood.send(b, packets)
		rate = append(rate, packets/float64(time.Since(begin).Microseconds()))
		lab.settle()
		used := xdplog.cpuTime(b) - before
		peak = append(peak, xdplog.peakMemory(b))
		total := xdplog.stop(b).closing(b, output)
		cpu = append(cpu, float64(used.Nanoseconds())/float64(total.Captured))
		lost = append(lost, float64(total.Lost))
	}
	b.ReportMetric(middle(rate), "Mpps")
	b.ReportMetric(middle(cpu), "cpu-ns/event")
	b.ReportMetric(middle(peak), "MB-peak")
	b.ReportMetric(middle(lost), "lost")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkKeep measures the command as a flight recorder in a flood: what it takes while
// it keeps packets, and what writing the last ones takes at the end.
func BenchmarkKeep(b *testing.B) {
	const packets = 10_000_000
	var rate, cpu []float64
	for b.Loop() {
		lab := newLab(b)
		xdplog := start(b, lab.right, "-i", right(0), "-w", os.DevNull, "--keep", "64MiB").listens(b)
		flood := lab.flood(b, 0, cpus(b)[0], floodFrame(64, layers.EthernetTypeIPv4), alike)
		before, begin := xdplog.cpuTime(b), time.Now()
		flood.send(b, packets)
		took := time.Since(begin)
		used := xdplog.cpuTime(b) - before
		rate = append(rate, packets/float64(took.Microseconds()))
		cpu = append(cpu, 100*used.Seconds()/took.Seconds())
		xdplog.stop(b)
	}
	b.ReportMetric(middle(rate), "Mpps")
	b.ReportMetric(middle(cpu), "%CPU")
	b.ReportMetric(0, "ns/op")
}

// closing returns the counters at the end, which -o json prints its own way.
func (r result) closing(b *testing.B, output string) closing {
	b.Helper()
	if output != "json" {
		return r.balances(b)
	}
	if r.status != 0 {
		b.Errorf("exit status is %d:\n%s", r.status, r.stderr)
	}
	return closing{r.counters.Captured, r.counters.Matched, r.counters.Lost}
}

// BenchmarkIdle measures the command where nothing arrives.
func BenchmarkIdle(b *testing.B) {
	eachTransportBench(b, func(b *testing.B, transport asm.Transport) {
		lab := newLab(b)
		xdplog := lab.xdplog(b, "--transport", transport.String())
		time.Sleep(200 * time.Millisecond)
		before, begin := xdplog.cpuTime(b), time.Now()
		for b.Loop() {
			time.Sleep(time.Second)
		}
		used := xdplog.cpuTime(b) - before
		b.ReportMetric(100*used.Seconds()/time.Since(begin).Seconds(), "%CPU")
		b.ReportMetric(xdplog.peakMemory(b), "MB-peak")
		b.ReportMetric(0, "ns/op")
		xdplog.stop(b)
	})
}

// BenchmarkAge measures how old events are when they are delivered: at one
// packet a second, and under a flood.
func BenchmarkAge(b *testing.B) {
	eachTransportBench(b, func(b *testing.B, transport asm.Transport) {
		for _, rate := range []string{"slow", "flood"} {
			b.Run("rate="+rate, func(b *testing.B) {
				lab := newLab(b)
				capture := lab.capture(b, captureOptions{Config: asm.Config{Transport: transport}})
				send := func() {
					for range 4 {
						lab.send(b, marker())
						time.Sleep(time.Second)
					}
				}
				if rate == "flood" {
					flood := lab.flood(b, 0, cpus(b)[0], floodFrame(64, layers.EthernetTypeIPv4), alike)
					send = func() { flood.send(b, 1<<20) }
				}
				capture.ages.watched.Store(true)
				for b.Loop() {
					send()
				}
				capture.finish(b)
				b.ReportMetric(capture.ages.quantile(0.5).Seconds()*1e3, "ms-median")
				b.ReportMetric(capture.ages.quantile(0.999).Seconds()*1e3, "ms-p99.9")
				b.ReportMetric(capture.ages.oldest.Seconds()*1e3, "ms-max")
				b.ReportMetric(0, "ns/op")
			})
		}
	})
}
