package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// figuresEnv names a file with the output of benchmarks, for this binary to
// print as tables: what was promised and what was measured, then everything.
const figuresEnv = "XDPLOG_E2E_FIGURES"

// A promise is a bound that a figure is to keep.
type promise struct {
	what      string
	benchmark string
	unit      string
	bound     float64
	least     bool // the bound is the least that it may be, not the most
}

var promises = []promise{
	{"start to attached, ms", "Start/transport=perf", "ms/start", 25, false},
	{"size of the command, MB", "Start/transport=perf", "MB-binary", 10, false},
	{"peak memory, 2 CPUs, perf, MB", "Command/output=json/transport=perf", "MB-peak", 20, false},
	{"peak memory, ringbuf, MB", "Command/output=json/transport=ringbuf", "MB-peak", 20, false},
	{"peak memory, mmap, MB", "Command/output=json/transport=mmap", "MB-peak", 20, false},

	{"program, perf in batches, ns a packet", "TestRun", "perf-ns", 300, false},
	{"program, mmap, ns a packet", "TestRun", "mmap-ns", 60, false},
	{"program, mmap as part of ringbuf", "TestRun", "mmap/ringbuf", 0.4, false},
	{"program at tc, perf, times XDP's", "TestRun", "tc-perf/xdp", 1.3, false},
	{"program at tc, mmap, times XDP's", "TestRun", "tc-mmap/xdp", 1.3, false},
	{"program at tc, mmap without time stamps, times XDP's", "TestRun", "tc-mmap-none/xdp", 1.3, false},
	{"program, a wake-up per event, times mmap", "TestRun", "wakeup-each/mmap", 25, true},

	{"looking into tunnels, a plain packet, mmap, times without", "Inner/packet=plain", "mmap-inner/mmap", 1.3, false},
	{"looking into tunnels, one in VXLAN, mmap, times without", "Inner/packet=vxlan", "mmap-inner/mmap", 1.8, false},

	{"packets of 64 bytes, mmap as part of perf", "PacketBytes/size=64", "mmap/perf", 0.4, false},
	{"packets of 512 bytes, mmap as part of perf", "PacketBytes/size=512", "mmap/perf", 0.4, false},
	{"packets of 1500 bytes, mmap as part of perf", "PacketBytes/size=1500", "mmap/perf", 0.4, false},
	{"-w of 64-byte packets, times tcpdump's rate", "Write/size=64", "rate-of-tcpdump", 1.4, true},
	{"-w of 64-byte packets, part of tcpdump's CPU time", "Write/size=64", "cpu-of-tcpdump", 0.7, false},
	{"-w of 1500-byte packets, times tcpdump's rate", "Write/size=1500", "rate-of-tcpdump", 1, true},
	{"--keep in a flood, % of a CPU", "Keep", "%CPU", 1, false},
	{"counting, 1 source, part of a record", "Count/sources=1", "of-record", 0.7, false},
	{"counting, 1,000 sources, part of a record", "Count/sources=1000", "of-record", 0.7, false},
	{"counting, 100,000 sources, part of a record", "Count/sources=100000", "of-record", 0.7, false},
	{"reading a table of 100,000 sources every second, % of a CPU", "Count/sources=100000", "%CPU", 1, false},

	{"lost of 10,000,000, mmap, -o none", "Command/output=none/transport=mmap", "lost", 0, false},
	{"reader, mmap, ns an event", "Read/mmap", "read-ns/event", 10, false},
	{"reader, mmap, allocations an event", "Read/mmap", "allocs/op", 0, false},

	{"json, events a second", "Format/json/IPv4", "events/s", 2e6, true},
	{"json, allocations an event", "Format/json/IPv4", "allocs/op", 0, false},
	{"text, events a second", "Format/text/IPv4", "events/s", 2e6, true},
	{"text, allocations an event", "Format/text/IPv4", "allocs/op", 0, false},

	{"-r of a million packets, s", "ReadFile/text", "s/million", 5, false},
	{"-r -w of 64-byte packets, none matches, part of tcpdump's time", "ReadBeside/none/64.pcap", "of-tcpdump", 1, false},
	{"-r -w of 64-byte packets, all match", "ReadBeside/all/64.pcap", "of-tcpdump", 1, false},
	{"-r --count of 64-byte packets", "ReadBeside/count/64.pcap", "of-tcpdump", 1, false},
	{"-r to text", "ReadBeside/text/64.pcap", "of-tcpdump", 0.25, false},
	{"-r -w of mixed packets in pcapng, none matches", "ReadBeside/none/mixed.pcapng", "of-tcpdump", 1, false},
	{"-r -w of mixed packets in pcapng, all match", "ReadBeside/all/mixed.pcapng", "of-tcpdump", 1, false},
	{"-r --count of mixed packets in pcapng", "ReadBeside/count/mixed.pcapng", "of-tcpdump", 1, false},
	{"-r -w of cooked 64-byte packets, all match", "ReadBeside/all/64.cooked.pcap", "of-tcpdump", 1, false},
	{"-r -w of cooked mixed packets in pcapng, all match", "ReadBeside/all/mixed.cooked.pcapng", "of-tcpdump", 1, false},
	{"made-up packets a minute, against the oracle", "Differential", "packets/min", 1e6, true},

	{"age at 1 packet/s, perf, ms", "Age/transport=perf/rate=slow", "ms-max", 10, false},
	{"age at 1 packet/s, ringbuf, ms", "Age/transport=ringbuf/rate=slow", "ms-max", 10, false},
	{"age at 1 packet/s, mmap, ms", "Age/transport=mmap/rate=slow", "ms-max", 10, false},
	{"age under flood, 99.9 %, perf, ms", "Age/transport=perf/rate=flood", "ms-p99.9", 10, false},
	{"age under flood, 99.9 %, ringbuf, ms", "Age/transport=ringbuf/rate=flood", "ms-p99.9", 10, false},
	{"age under flood, 99.9 %, mmap, ms", "Age/transport=mmap/rate=flood", "ms-p99.9", 10, false},

	{"idle, perf, % of a CPU", "Idle/transport=perf", "%CPU", 0.5, false},
	{"idle, ringbuf, % of a CPU", "Idle/transport=ringbuf", "%CPU", 0.5, false},
	{"idle, mmap, % of a CPU", "Idle/transport=mmap", "%CPU", 0.5, false},

	{"TCP of 2 Gbit/s, perf, part of no program's", "TCP/rate=paced/transport=perf", "of-without", 0.9, true},
	{"TCP of 2 Gbit/s, ringbuf, part of no program's", "TCP/rate=paced/transport=ringbuf", "of-without", 0.9, true},
	{"TCP of 2 Gbit/s, mmap, part of no program's", "TCP/rate=paced/transport=mmap", "of-without", 0.9, true},
	{"TCP of 2 Gbit/s, perf, segments sent again", "TCP/rate=paced/transport=perf", "resent", 0, false},
	{"TCP on full CPUs, perf, part of an empty program's", "TCP/rate=full/transport=perf", "of-pass", 0.9, true},
	{"TCP on full CPUs, ringbuf, part of an empty program's", "TCP/rate=full/transport=ringbuf", "of-pass", 0.9, true},
	{"TCP on full CPUs, mmap, part of an empty program's", "TCP/rate=full/transport=mmap", "of-pass", 0.9, true},
	{"TCP on full CPUs, mmap, part of no program's", "TCP/rate=full/transport=mmap", "of-without", 0.9, true},
}

// figures are the values that benchmarks gave, by name and unit, in the order
// in which they first came.
type figures struct {
	order  [][2]string
	values map[[2]string][]float64
}

// parseFigures reads the format that go test -bench prints.
func parseFigures(from io.Reader) (*figures, error) {
	f := &figures{values: make(map[[2]string][]float64)}
	cpus := regexp.MustCompile(`-\d+$`)
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		name := cpus.ReplaceAllString(strings.TrimPrefix(words[0], "Benchmark"), "")
		for i := 2; i+1 < len(words); i += 2 {
			value, err := strconv.ParseFloat(words[i], 64)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			key := [2]string{name, words[i+1]}
			if f.values[key] == nil {
				f.order = append(f.order, key)
			}
			f.values[key] = append(f.values[key], value)
		}
	}
	return f, lines.Err()
}

// printFigures prints the tables, in Markdown: what was promised, then all.
func printFigures(to io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	f, err := parseFigures(file)
	if err != nil {
		return err
	}
	fmt.Fprintf(to, "\n%s\n\nMedians, and in brackets the least and the most of several runs.\n", machine())
	fmt.Fprint(to, "\n| promised | bound | measured | | benchmark |\n|---|---|---|---|---|\n")
	for _, p := range promises {
		f.print(to, p)
	}
	f.printAll(to)
	return nil
}

// printAll prints a table for each benchmark: a line for each of its parts, a
// column for each unit.
func (f *figures) printAll(to io.Writer) {
	var tables, parts []string
	units := make(map[string][]string)
	for _, key := range f.order {
		name, unit := key[0], key[1]
		table, _, _ := strings.Cut(name, "/")
		if !slices.Contains(tables, table) {
			tables = append(tables, table)
		}
		if !slices.Contains(parts, name) {
			parts = append(parts, name)
		}
		if !slices.Contains(units[table], unit) && unit != "B/op" {
			units[table] = append(units[table], unit)
		}
	}
	for _, table := range tables {
		columns := units[table]
		fmt.Fprintf(to, "\n| %s | %s |\n|---%s|\n", table, strings.Join(columns, " | "), strings.Repeat("|---", len(columns)))
		for _, name := range parts {
			if first, part, _ := strings.Cut(name, "/"); first == table {
				fmt.Fprintf(to, "| %s |", part)
				for _, unit := range columns {
					fmt.Fprintf(to, " %s |", spread(f.values[[2]string{name, unit}]))
				}
				fmt.Fprintln(to)
			}
		}
	}
}

func (f *figures) print(to io.Writer, p promise) {
	values := f.values[[2]string{p.benchmark, p.unit}]
	if values == nil {
		fmt.Fprintf(to, "| %s | | | not measured | %s |\n", p.what, p.benchmark)
		return
	}
	sign, kept := "≤", middle(values) <= p.bound
	if p.least {
		sign, kept = "≥", middle(values) >= p.bound
	}
	verdict := "kept"
	if !kept {
		verdict = "**missed**"
	}
	fmt.Fprintf(to, "| %s | %s %s | %s | %s | %s |\n", p.what, sign, short(p.bound), spread(values), verdict, p.benchmark)
}

// spread is the median of values, and how far they are apart.
func spread(values []float64) string {
	if len(values) == 0 {
		return ""
	}
	if slices.Min(values) == slices.Max(values) {
		return short(values[0])
	}
	return fmt.Sprintf("%s [%s, %s]", short(middle(values)), short(slices.Min(values)), short(slices.Max(values)))
}

// short prints three digits, or all that are before the point.
func short(value float64) string {
	switch {
	case value >= 1e6:
		return strconv.FormatFloat(value/1e6, 'f', 2, 64) + " M"
	case value >= 100:
		return strconv.FormatFloat(value, 'f', 0, 64)
	default:
		return strconv.FormatFloat(value, 'g', 3, 64)
	}
}

// machine names what the figures are of.
func machine() string {
	model := "unknown CPU"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(text), "model name"); ok {
			line, _, _ := strings.Cut(rest, "\n")
			model = strings.Trim(line, "\t: ")
		}
	}
	var name unix.Utsname
	unix.Uname(&name) // what it can't tell is left out
	load, _ := os.ReadFile("/proc/loadavg")
	averages := strings.Fields(string(load))
	return fmt.Sprintf("%s, %d CPUs, Linux %s, %s %s; load average at the end %s (the benchmarks' own included).",
		model, runtime.NumCPU(), unix.ByteSliceToString(name.Release[:]), runtime.Version(), runtime.GOARCH,
		strings.Join(averages[:min(3, len(averages))], " "))
}

func TestFigures(t *testing.T) {
	const output = `goos: linux
BenchmarkTestRun-2   	       1	        72.00 mmap-ns	         0.5 mmap/ringbuf
BenchmarkTestRun-2   	       1	        50.00 mmap-ns	         0.3 mmap/ringbuf
BenchmarkTestRun-2   	       1	        60.00 mmap-ns	         0.5 mmap/ringbuf
BenchmarkFormat/json/IPv4-2   	       1	        2500000 events/s
PASS`
	f, err := parseFigures(strings.NewReader(output))
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, p := range promises {
		if p.benchmark == "TestRun" && strings.HasPrefix(p.unit, "mmap") || p.unit == "events/s" {
			f.print(&got, p)
		}
	}
	const want = `| program, mmap, ns a packet | ≤ 60 | 60 [50, 72] | kept | TestRun |
| program, mmap as part of ringbuf | ≤ 0.4 | 0.5 [0.3, 0.5] | **missed** | TestRun |
| json, events a second | ≥ 2.00 M | 2.50 M | kept | Format/json/IPv4 |
| text, events a second | | | not measured | Format/text/IPv4 |
`
	if got.String() != want {
		t.Errorf("the table is\n%s\nwant\n%s", &got, want)
	}
}
