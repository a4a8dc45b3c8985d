package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/gopacket/gopacket/layers"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/loader"
)

// BenchmarkTestRun measures what the program costs a packet in the harness of
// BPF_PROG_TEST_RUN, of which pass-ns is the floor (at tc tc-pass-ns), while a reader
// takes the events. All ways are measured in turn, over and over, and their medians
// given: what disturbs the machine disturbs all of them alike.
func BenchmarkTestRun(b *testing.B) {
	needPrivilege(b)
	rows := programRows(b)
	runner := newThread(b, pin(cpus(b)[0]))
	frame := floodFrame(64, layers.EthernetTypeIPv4)
	for b.Loop() {
		for range 32 {
			for _, row := range rows {
				row.measure(b, runner, frame)
			}
		}
	}
	b.ReportMetric(0, "ns/op") // of this loop
	medians := make(map[string]float64)
	for _, row := range rows {
		medians[row.name] = row.median()
		b.ReportMetric(row.median(), row.name+"-ns")
		if row.capture != nil {
			row.capture.finish(b)
		}
	}
	for _, way := range []string{"perf", "mmap", "mmap-none"} { // the harness taken off
		b.ReportMetric((medians["tc-"+way]-medians["tc-pass"])/(medians[way]-medians["pass"]), "tc-"+way+"/xdp")
	}
	b.ReportMetric(medians["mmap"]/medians["ringbuf"], "mmap/ringbuf")
	b.ReportMetric(medians["count-none"]/medians["mmap"], "count-none/mmap")
	b.ReportMetric(medians["wakeup-each"]/medians["mmap"], "wakeup-each/mmap")
	b.ReportMetric(medians["wakeup-each"]/medians["perf"], "wakeup-each/perf")
}

// A programRow is one way to run, and how long it took.
type programRow struct {
	name    string
	program *ebpf.Program
	capture *capture // nil: it captures nothing
	portion int      // packets at a time, fewer than the buffer holds
	times   []time.Duration
}

func programRows(b *testing.B) []*programRow {
	b.Helper()
	pass := func(kind ebpf.ProgramType) *ebpf.Program {
		program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
			Type:         kind,
			License:      "MIT",
			Instructions: bpf.Instructions{bpf.Mov.Imm(bpf.R0, 2), bpf.Return()}, // XDP_PASS
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { program.Close() })
		return program
	}
	const portion = 16_000 // enough to reach the mark at which readers are woken
	rows := []*programRow{{name: "pass", program: pass(ebpf.XDP), portion: portion}}
	ways := contenders()
	for _, clock := range []asm.Clock{asm.CoarseClock, asm.NoClock} {
		cfg := asm.Config{Transport: asm.Mmap, Clock: clock}
		ways = append(ways, contender{"mmap-" + clock.String(), captureOptions{Config: cfg}})
	}
	for name, cfg := range map[string]asm.Config{
		"perf": {}, "mmap": {Transport: asm.Mmap}, "mmap-none": {Transport: asm.Mmap, Clock: asm.NoClock},
	} {
		cfg.Place = asm.TCIngress
		ways = append(ways, contender{"tc-" + name, captureOptions{Config: cfg}})
	}
	for _, way := range ways {
		c := loadCapture(b, way.captureOptions)
		rows = append(rows, &programRow{name: way.name, program: c.program, capture: c, portion: portion})
	}
	rows[1].portion = 2000 // it is slow
	for _, clock := range []asm.Clock{asm.PreciseClock, asm.CoarseClock, asm.NoClock} {
		coll := loadProgram(b, asm.Config{Clock: clock, Count: &asm.Count{Rows: 1 << 16}})
		rows = append(rows, &programRow{name: "count-" + clock.String(), program: coll.Programs[asm.ProgramName], portion: portion})
	}
	return append(rows, &programRow{name: "tc-pass", program: pass(ebpf.SchedCLS), portion: portion})
}

func (row *programRow) measure(b *testing.B, runner *thread, frame []byte) {
	b.Helper()
	var each time.Duration
	err := runner.do(func() (err error) {
		_, each, err = row.program.Benchmark(frame, row.portion, func() {})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	row.times = append(row.times, each)
	if row.capture != nil {
		row.capture.caughtUp(b)
	}
}

func (row *programRow) median() float64 { return middle(row.times) }

// middle is the median.
func middle[T time.Duration | float64](values []T) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return float64(sorted[len(sorted)/2])
}

// loadProgram loads a program of which nobody reads events.
func loadProgram(t testing.TB, cfg asm.Config) *ebpf.Collection {
	t.Helper()
	coll, err := loader.Load(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(coll.Close)
	return coll
}

// BenchmarkPacketBytes measures what whole packets cost the program, by size, through
// perf buffers and through the ring in shared memory, in turns: as many at a time as
// either buffer has room for, for waking the reader takes as long as a hundred packets.
func BenchmarkPacketBytes(b *testing.B) {
	needPrivilege(b)
	runner := newThread(b, pin(cpus(b)[0]))
	for _, size := range []int{64, 512, 1500} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			frame := floodFrame(size, layers.EthernetTypeIPv4)
			portion := asm.DefaultBuffer * 3 / 4 / (size + 128) // what is beside a packet is less
			var rows []*programRow
			for _, transport := range []asm.Transport{asm.Perf, asm.Mmap} {
				c := loadCapture(b, captureOptions{Config: asm.Config{Transport: transport, SnapLen: 2048}})
				rows = append(rows, &programRow{name: transport.String(), program: c.program, capture: c, portion: portion})
			}
			for b.Loop() {
				for range 64 {
					for _, row := range rows {
						row.measure(b, runner, frame)
					}
				}
			}
			b.ReportMetric(0, "ns/op") // of this loop
			for _, row := range rows {
				b.ReportMetric(row.median(), row.name+"-ns")
				row.capture.finish(b)
			}
			b.ReportMetric(rows[1].median()/rows[0].median(), "mmap/perf")
		})
	}
}
