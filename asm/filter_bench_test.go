package asm

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/layout"
)

// BenchmarkFilter measures what a filter costs a packet, as the kernel times
// it: ns/packet of the whole program, the parser and the harness included.
//
// Nobody reads events. An unmatched packet leaves before the time stamp; a
// matched one also pays for that and for a perf output to nobody, which is
// counted as lost. "none" is no filter, which everything matches; "none" with
// unmatched is the filter "not ip", the least that a filter can do.
// "pass-alone" is a program that does nothing: the floor.
func BenchmarkFilter(b *testing.B) {
	udp, tcp := udpFrame(64), udpFrame(64)
	tcp[23], tcp[46] = layout.ProtoTCP, 0x50
	hosts := func(n int) string {
		return list(n, " or ", func(i int) string { return fmt.Sprintf("host 192.0.%d.%d", i/200+3, i%200+1) })
	}
	pairs := func(n int) string {
		return list(n, " or ", func(i int) string { return fmt.Sprintf("(host 192.0.%d.%d and port 53)", i/200+3, i%200+1) })
	}
	// 53 is udp's source port, and tcp's; the addresses are 192.0.2.1 and 198.51.100.7.
	for _, bench := range []struct {
		name, matched, unmatched string
	}{
		{"none", "", "not ip"},
		{"tcp-port", "tcp port 53", "tcp port 443"},
		{"ten-terms", tenTerms("198.51.100.7"), tenTerms("198.51.100.8")},
		{"hosts-16", hosts(15) + " or host 198.51.100.7", hosts(16)},
		{"hosts-17", hosts(16) + " or host 198.51.100.7", hosts(17)},
		{"hosts-1000", hosts(999) + " or host 198.51.100.7", hosts(1000)},
		{"nets-1000", hosts(999) + " or net 198.51.100.0/24", hosts(999) + " or net 198.51.101.0/24"},
		{"pairs-16", pairs(15) + " or (host 198.51.100.7 and port 53)", pairs(16)},
		{"pairs-1000", pairs(999) + " or (host 198.51.100.7 and port 53)", pairs(1000)},
		{"ports-1000", ports1000() + " or port 53", ports1000()},
	} {
		b.Run(bench.name+"/matched", func(b *testing.B) { measureFilter(b, bench.matched, tcp, true) })
		b.Run(bench.name+"/unmatched", func(b *testing.B) { measureFilter(b, bench.unmatched, tcp, false) })
	}
	b.Run("tcp-port/other-protocol", func(b *testing.B) { measureFilter(b, "tcp port 53", udp, false) })
	b.Run("pass-alone", func(b *testing.B) {
		program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
			Type: ebpf.XDP, License: "MIT", Instructions: bpf.Instructions{bpf.Mov.Imm(bpf.R0, xdpPass), bpf.Return()},
		})
		if err != nil {
			b.Skip(err)
		}
		defer program.Close()
		repeat(b, program, tcp)
	})
}

func tenTerms(host string) string {
	return "ip and tcp and not port 22 and not port 443 and not src net 10.0.0.0/8 and not dst net 172.16.0.0/12 and " +
		"tcp[tcpflags] & tcp-rst = 0 and greater 60 and ip[8] > 1 and dst host " + host
}

func ports1000() string {
	return list(1000, " or ", func(i int) string { return fmt.Sprintf("port %d", 1000+3*i) })
}

func measureFilter(b *testing.B, expression string, frame []byte, matches bool) {
	var f *filter.Filter
	if expression != "" {
		f = parseFilter(b, expression)
	}
	c, err := newCompiled(Config{Filter: f, All: f == nil})
	if err != nil {
		b.Skip(err)
	}
	defer c.close()
	if matched, err := c.match(frame); err != nil || matched != matches {
		b.Fatalf("matched is %v, want %v; %v", matched, matches, err)
	}
	repeat(b, c.program, frame)
}

// repeat reports the median of the kernel's averages over portions of runs.
func repeat(b *testing.B, program *ebpf.Program, frame []byte) {
	const portion = 20_000
	var times []time.Duration
	for done := 0; done < max(b.N, 30*portion); done += portion {
		_, each, err := program.Benchmark(frame, portion, func() {})
		if err != nil {
			b.Fatal(err)
		}
		times = append(times, each)
	}
	slices.Sort(times)
	b.ReportMetric(0, "ns/op") // of the test, which is none of the program's
	b.ReportMetric(float64(times[len(times)/2]), "ns/packet")
}
