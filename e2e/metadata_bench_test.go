package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/loader"
)

// BenchmarkMetadata measures what it costs a packet on a veth to have the driver asked for
// a tag, and for the time, by the kernel's statistics: programs that ask and that don't,
// each on a veth pair of its own, in turns, and their medians. The frames of "beside" have a tag beside
// them, which the programs that ask for tags put in its place. A veth has no time, so that
// what is measured of "time" is a question more than the usual way.
func BenchmarkMetadata(b *testing.B) {
	benchmarkAsking(b, []bool{false, true},
		asking{name: "plain", asks: func(asm.Metadata) asm.Metadata { return asm.Metadata{} }},
		asking{name: "tag", asks: func(m asm.Metadata) asm.Metadata { m.Timestamp = 0; return m }},
		asking{name: "tag-time", asks: func(m asm.Metadata) asm.Metadata { return m }, config: asm.Config{Clock: asm.HardwareClock}},
	)
}

// BenchmarkHash is BenchmarkMetadata of the hash, beside the default, which asks for the tag: what
// it costs to ask, and that records are two cache lines.
func BenchmarkHash(b *testing.B) {
	asks := func(m asm.Metadata) asm.Metadata { return m }
	benchmarkAsking(b, []bool{false}, asking{name: "tag", asks: asks}, asking{name: "tag-hash", asks: asks, config: asm.Config{Hash: true}})
}

// asking is one way to ask the driver.
type asking struct {
	name    string
	asks    func(asm.Metadata) asm.Metadata
	config  asm.Config
	capture *capture
	send    func()
	times   []float64
}

func benchmarkAsking(b *testing.B, tags []bool, ways ...asking) {
	for _, transport := range []asm.Transport{asm.Mmap, asm.Perf} {
		for _, beside := range tags {
			name := map[bool]string{false: "without", true: "beside"}[beside]
			b.Run(fmt.Sprintf("transport=%s/tag=%s", transport, name), func(b *testing.B) {
				benchmarkAskingOf(b, transport, beside, ways)
			})
		}
	}
}

func benchmarkAskingOf(b *testing.B, transport asm.Transport, beside bool, all []asking) {
	var ways []*asking
	for _, w := range all {
		ways = append(ways, &w)
	}
	stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		b.Fatal(err)
	}
	defer stats.Close()
	for _, w := range ways {
		lab := newLab(b)
		lab.needTags(b)
		if beside {
			lab.tagsBeside(b)
		}
		namespace := fmt.Sprintf("/proc/%d/ns/net", lab.right.id)
		at := loader.Options{Interface: right(0), Namespace: namespace, Mode: loader.Native}
		at.Config = w.config
		at.Config.Transport = transport
		asks := w.asks(loader.Metadata([]loader.Options{at})[0])
		if asks != (asm.Metadata{}) {
			at.Config.Metadata = []asm.Metadata{asks}
		}
		w.capture = loadCapture(b, captureOptions{Config: at.Config, namespace: namespace})
		attached, err := loader.Attach(w.capture.coll, at)
		if err != nil {
			b.Fatal(err)
		}
		defer attached.Close()
		if beside {
			tagged := frame(ethernet(dot1q), vlan(10, eth4), ipv4(protoUDP), udp(1234, 53))
			w.send = func() { lab.burst(b, 50_000, tagged) }
			continue
		}
		flood := lab.flood(b, 0, cpus(b)[0], floodFrame(64, layers.EthernetTypeIPv4), alike)
		w.send = func() { flood.send(b, 200_000) }
	}
	for b.Loop() {
		for range 8 {
			for _, w := range ways {
				before, err := w.capture.program.Stats()
				if err != nil {
					b.Fatal(err)
				}
				w.send()
				time.Sleep(10 * time.Millisecond)
				after, err := w.capture.program.Stats()
				if err != nil {
					b.Fatal(err)
				}
				w.times = append(w.times, float64(after.Runtime-before.Runtime)/float64(after.RunCount-before.RunCount))
			}
		}
	}
	for _, w := range ways {
		b.ReportMetric(middle(w.times), w.name+"-ns")
		if w != ways[0] {
			var ratios []float64
			for i := range w.times {
				ratios = append(ratios, w.times[i]/ways[0].times[i])
			}
			b.ReportMetric(middle(ratios), w.name+"/"+ways[0].name)
		}
	}
	b.ReportMetric(0, "ns/op") // of this loop
}

// BenchmarkHardwareTime measures what a packet costs at tc whose time the device has told,
// beside the kernel's time, by the kernel's statistics in BPF_PROG_TEST_RUN, in turns. In
// XDP no program that asks a driver can be run so.
func BenchmarkHardwareTime(b *testing.B) {
	needPrivilege(b)
	stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		b.Fatal(err)
	}
	defer stats.Close()
	context := struct { // struct __sk_buff, up to hwtstamp
		_        [184]byte
		HWTStamp uint64
	}{HWTStamp: 1}
	pass, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "MIT", Instructions: bpf.Instructions{bpf.Mov.Imm(bpf.R0, 0), bpf.Return()},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer pass.Close()
	names, programs, captures := []string{"pass", "precise", "hardware"}, []*ebpf.Program{pass}, []*capture{nil}
	for _, clock := range []asm.Clock{asm.PreciseClock, asm.HardwareClock} {
		c := loadCapture(b, captureOptions{Config: asm.Config{Place: asm.TCIngress, Transport: asm.Mmap, Clock: clock}})
		programs, captures = append(programs, c.program), append(captures, c)
	}
	runner := newThread(b, pin(cpus(b)[0]))
	frame := floodFrame(64, layers.EthernetTypeIPv4)
	times := make([][]float64, len(programs))
	for b.Loop() {
		for range 32 {
			for i, program := range programs {
				before, err := program.Stats()
				if err != nil {
					b.Fatal(err)
				}
				err = runner.do(func() error {
					_, err := program.Run(&ebpf.RunOptions{Data: frame, Context: context, Repeat: 16_000})
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
				after, err := program.Stats()
				if err != nil {
					b.Fatal(err)
				}
				times[i] = append(times[i], float64(after.Runtime-before.Runtime)/float64(after.RunCount-before.RunCount))
				if captures[i] != nil {
					captures[i].caughtUp(b)
				}
			}
		}
	}
	var medians []float64
	for i, name := range names {
		medians = append(medians, middle(times[i]))
		b.ReportMetric(medians[i], name+"-ns")
	}
	for _, c := range captures[1:] {
		c.finish(b)
	}
	b.ReportMetric((medians[2]-medians[0])/(medians[1]-medians[0]), "hardware/precise") // what counts taken off
	b.ReportMetric(0, "ns/op")                                                          // of this loop
}
