package asm

import (
	"errors"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/perf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/internal/oracle"
	"github.com/xdplog/xdplog/asm/wire"
)

// BenchmarkProgram measures what the program costs a packet, as the kernel
// times it, while a reader on another CPU takes the events. "pass-alone" is
// the floor: what running anything costs there.
func BenchmarkProgram(b *testing.B) {
	const buffer = 2 << 20
	batched := perf.ReaderOptions{Watermark: buffer / 4}

	onCPU(b, 0)

	b.Run("pass-alone", func(b *testing.B) {
		program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
			Type:         ebpf.XDP,
			License:      "MIT",
			Instructions: bpf.Instructions{bpf.Mov.Imm(bpf.R0, xdpPass), bpf.Return()},
		})
		if errors.Is(err, unix.EPERM) && os.Getenv("XDPLOG_E2E") != "required" {
			b.Skipf("needs root: %v", err)
		}
		if err != nil {
			b.Fatal(err)
		}
		defer program.Close()
		measure(b, program, fixture(b, "ipv4/udp"), func() {})
	})
	for _, bench := range []struct {
		name, frame string
		cfg         Config
		options     perf.ReaderOptions
	}{
		{"default-unmatched", "arp", Config{}, batched},
		{"default-udp", "ipv4/udp", Config{}, batched},
		{"default-tcp", "ipv4/tcp", Config{}, batched},
		{"ipv6-udp", "ipv6/udp", Config{}, batched},
		{"ipv6-extensions-tcp", "ipv6-0-60-43-44-51-60/tcp", Config{}, batched},
		{"qinq-ipv6-tcp", "88a8/8100/ipv6/tcp", Config{}, batched},
		{"nofrags-udp", "ipv4/udp", Config{NoFrags: true}, batched},
		{"wakeup-each-event", "ipv4/udp", Config{}, perf.ReaderOptions{}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			onCPU(b, 0)
			spec, err := Program(bench.cfg)
			if err != nil {
				b.Fatal(err)
			}
			coll := load(b, spec)
			events, err := perf.NewReaderWithOptions(coll.Maps[wire.EventsMap], buffer, bench.options)
			if err != nil {
				b.Fatal(err)
			}
			var delivered atomic.Uint64
			drained := make(chan error, 1)
			go func() {
				onCPU(b, 1)
				var sample perf.Record
				for {
					events.SetDeadline(time.Now().Add(10 * time.Millisecond))
					err := events.ReadInto(&sample)
					switch {
					case err == nil:
						delivered.Add(1)
					case !errors.Is(err, os.ErrDeadlineExceeded):
						drained <- err
						return
					}
				}
			}()
			defer func() {
				events.Close()
				if err := <-drained; !errors.Is(err, perf.ErrClosed) {
					b.Error(err)
				}
			}()

			measure(b, coll.Programs[ProgramName], fixture(b, bench.frame), func() {
				for deadline := time.Now().Add(10 * time.Second); ; {
					counters, err := readCounters(coll.Maps[wire.CountersMap])
					if err != nil {
						b.Fatal(err)
					}
					if counters.Lost > 0 {
						b.Fatalf("%d events lost: too cheap to count", counters.Lost)
					}
					if delivered.Load() == counters.Captured {
						return
					}
					if time.Now().After(deadline) {
						b.Fatalf("%d events delivered of %d", delivered.Load(), counters.Captured)
					}
					time.Sleep(100 * time.Microsecond)
				}
			})
		})
	}
}

// measure runs the program b.N times, in portions whose events fit into the
// buffer: caughtUp waits until they are read. It reports the median portion's
// time, which the machine's other work does not move.
func measure(b *testing.B, program *ebpf.Program, frame []byte, caughtUp func()) {
	const portion = 4096
	var times []time.Duration
	for left := b.N; left > 0; left -= min(left, portion) {
		n := min(left, portion)
		verdict, each, err := program.Benchmark(frame, n, func() {})
		if err != nil {
			b.Fatal(err)
		}
		if verdict != xdpPass {
			b.Fatalf("verdict %d, want %d", verdict, xdpPass)
		}
		times = append(times, each)
		caughtUp()
	}
	b.ReportMetric(0, "ns/op") // of the test, which is none of the program's
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2]), "ns/packet")
}

func fixture(b testing.TB, name string) []byte {
	b.Helper()
	for _, fixture := range oracle.Fixtures() {
		if fixture.Name == name {
			return fixture.Frame
		}
	}
	b.Fatalf("no fixture %q", name)
	return nil
}
