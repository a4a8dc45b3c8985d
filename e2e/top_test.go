package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"
)

// sum is packets and bytes of a table.
type sum struct{ Packets, Bytes uint64 }

func (s *sum) add(packets, bytes uint64) { s.Packets, s.Bytes = s.Packets+packets, s.Bytes+bytes }

// topTable is a line of xdplog top -o json.
type topTable struct {
	EventType string `json:"event_type"`
	By        string
	Final     bool
	Rows      []struct {
		Source string `json:"src_ip"`
		Port   int    `json:"dest_port"`
		sumOfRow
		Start, End    time.Time
		ToServer      uint64 `json:"pkts_toserver"`
		ToClient      uint64 `json:"pkts_toclient"`
		BytesToClient uint64 `json:"bytes_toclient"`
		Verdict       string
	}
	Other, Total sum
}

type sumOfRow struct{ Packets, Bytes uint64 }

// parseTop reads a line, whose rows and other are its total.
func parseTop(t testing.TB, line string) topTable {
	t.Helper()
	var table topTable
	if err := json.Unmarshal([]byte(line), &table); err != nil || table.EventType != "top" || table.Rows == nil {
		t.Fatalf("no table: %v\n%s", err, line)
	}
	all := table.Other
	for _, row := range table.Rows {
		all.add(row.Packets, row.Bytes)
	}
	if all != table.Total {
		t.Errorf("rows and other are %+v, and the total %+v", all, table.Total)
	}
	return table
}

// top starts xdplog top on right0 with more arguments.
func (l *lab) top(t testing.TB, args ...string) *process {
	t.Helper()
	return start(t, l.right, append([]string{"top", "-i", right(0)}, args...)...).listens(t)
}

// some frames of different sources and lengths.
func someFrames() [][]byte {
	var all [][]byte
	for i := range 300 {
		ip, of := ipv4(layers.IPProtocolUDP), gopacket.SerializableLayer(nil)
		ip.SrcIP = []byte{198, 51, 100, byte(i % 7)}
		of = ip
		kind := layers.EthernetTypeIPv4
		if i%10 == 0 {
			kind, of = layers.EthernetTypeIPv6, ipv6(layers.IPProtocolUDP)
		}
		all = append(all, frame(ethernet(kind), of, udp(40000, layers.UDPPort(i%3+1)), gopacket.Payload(make([]byte, i))))
	}
	return all
}

// sourceOf is the source of a frame of someFrames.
func sourceOf(frame []byte) string {
	if frame[12] == 0x86 {
		return netip.AddrFrom16([16]byte(frame[22:])).String()
	}
	return netip.AddrFrom4([4]byte(frame[26:])).String()
}

// TestTop: the last table has every source with its packets and bytes, exactly, and the
// tables of the intervals together the same.
func TestTop(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		capture := lab.top(t, "-o", "json", "--interval", "100ms", "--mode", mode)
		want := make(map[string]sum)
		frames := someFrames()
		for i, frame := range frames {
			s := want[sourceOf(frame)]
			s.add(1, uint64(len(frame)))
			want[sourceOf(frame)] = s
			lab.send(t, frame)
			if i%100 == 99 {
				time.Sleep(150 * time.Millisecond) // for the next interval
			}
		}
		end := capture.stop(t)
		lab.wantNoProgram(t)
		if strings.Contains(end.stderr, "not counted") || !strings.Contains(end.stderr, ", counted in ") {
			t.Errorf("it says:\n%s", end.stderr)
		}
		if len(end.lines) < 3 {
			t.Fatalf("%d tables, want those of some intervals and the last one", len(end.lines))
		}
		got, intervals := make(map[string]sum), make(map[string]sum)
		for i, line := range end.lines {
			table := parseTop(t, line)
			into := intervals
			if last := i == len(end.lines)-1; last != table.Final {
				t.Errorf("table %d of %d is final: %v", i+1, len(end.lines), table.Final)
			} else if last {
				into = got
			}
			for _, row := range table.Rows {
				s := into[row.Source]
				s.add(row.Packets, row.Bytes)
				into[row.Source] = s
				if row.Start.After(row.End) || time.Since(row.Start) > time.Minute {
					t.Errorf("%s from %v to %v", row.Source, row.Start, row.End)
				}
			}
		}
		if !maps.Equal(got, want) || !maps.Equal(intervals, want) {
			t.Errorf("the whole run has %v,\nthe intervals %v,\nwant %v", got, intervals, want)
		}
		if n := uint64(len(frames)); end.counters.Captured != n {
			t.Errorf("%d captured, want %d", end.counters.Captured, n)
		}
	})
}

// TestTopBy: by other keys, and what has no row is in other.
func TestTopBy(t *testing.T) {
	lab := newLab(t)
	frames := someFrames()
	var all sum
	for _, frame := range frames {
		all.add(1, uint64(len(frame)))
	}
	for _, c := range []struct {
		args []string
		rows []uint64 // packets of each
	}{
		{[]string{"--by", "port"}, []uint64{100, 100, 100}},
		{[]string{"--by", "port", "--top", "1"}, []uint64{100}},
		{[]string{"--by", "mac"}, []uint64{300}},
		{[]string{"--by", "src", "--top", "2"}, []uint64{39, 39}},
		{[]string{"--by", "prefix"}, []uint64{270, 30}},
		{[]string{"--by", "proto", "--sort", "bytes"}, []uint64{300}},
	} {
		capture := lab.top(t, append(c.args, "-o", "json")...)
		lab.send(t, frames...)
		end := capture.stop(t)
		table := parseTop(t, end.lines[len(end.lines)-1])
		var got []uint64
		for _, row := range table.Rows {
			got = append(got, row.Packets)
		}
		if fmt.Sprint(got) != fmt.Sprint(c.rows) || table.Total != all {
			t.Errorf("top %s: rows of %d packets, and %+v in all, want %d and %+v", strings.Join(c.args, " "), got, table.Total, c.rows, all)
		}
	}
}

// TestTopConversation: both directions are one row, from whoever began it.
func TestTopConversation(t *testing.T) {
	lab := newLab(t)
	capture := lab.top(t, "--by", "conversation", "--direction", "inout", "-o", "json", "tcp")
	lab.tcp(t, false, 80)
	end := capture.stop(t)
	table := parseTop(t, end.lines[len(end.lines)-1])
	if len(table.Rows) != 1 {
		t.Fatalf("%d rows, want 1: %+v", len(table.Rows), table)
	}
	if row := table.Rows[0]; row.Source != "192.0.2.1" || row.Port != 80 || row.ToServer != 3 || row.ToClient != 1 || row.BytesToClient != 74 {
		t.Errorf("row is %+v, want 3 packets of 192.0.2.1 to port 80 and 1 back", row)
	}
}

// TestTopFull: keys that find no row are in other.
func TestTopFull(t *testing.T) {
	lab := newLab(t)
	capture := lab.top(t, "--rows", "2", "-o", "json", "--interval", "100ms")
	for range 20 {
		lab.send(t, someFrames()...)
	}
	end := capture.stop(t)
	table := parseTop(t, end.lines[len(end.lines)-1])
	if len(table.Rows) != 2 || table.Other.Packets == 0 || table.Total.Packets != 6000 {
		t.Errorf("%d rows, %d packets in other, %d in all, want 2 rows and 6000 packets in all", len(table.Rows), table.Other.Packets, table.Total.Packets)
	}
}

// TestTopFlood: in a flood of more sources than there are rows, read ten times a second,
// not a packet and not a byte is missing.
func TestTopFlood(t *testing.T) {
	packets, sources := 5_000_000, numbered(200_000)
	if testing.Short() {
		packets, sources = 20_000, 2000
	}
	lab := newLab(t)
	capture := lab.top(t, "-o", "json", "--interval", "100ms", "--top", "3")
	flood := lab.flood(t, 0, cpus(t)[0], numberedFrame(), sources)
	begun := time.Now()
	flood.send(t, packets)
	took := time.Since(begun)
	arrived := flood.arrived(t)
	lab.settle()
	end := capture.stop(t)
	var intervals sum
	for _, line := range end.lines[:len(end.lines)-1] {
		table := parseTop(t, line)
		intervals.add(table.Total.Packets, table.Total.Bytes)
	}
	all := parseTop(t, end.lines[len(end.lines)-1]).Total
	if want := (sum{arrived, 64 * arrived}); all != want || intervals != want {
		t.Errorf("%+v in all, and %+v in the intervals, want %+v", all, intervals, want)
	}
	usage := capture.cmd.ProcessState
	t.Logf("%d packets in %v and %d tables took %v of CPU time in user space and %v in the kernel",
		arrived, took, len(end.lines), usage.UserTime(), usage.SystemTime())
}

// BenchmarkTop measures what xdplog top takes of a CPU, start and end included, in a flood
// from so many sources, with a table every second.
func BenchmarkTop(b *testing.B) {
	for _, sources := range []numbered{1, 1000, 100_000} {
		b.Run(fmt.Sprintf("sources=%d", sources), func(b *testing.B) {
			lab := newLab(b)
			capture := lab.top(b, "-o", "json", "--top", "10")
			flood := lab.flood(b, 0, cpus(b)[0], numberedFrame(), sources)
			begun, packets := time.Now(), 0
			for b.Loop() {
				flood.send(b, 1<<20)
				packets += 1 << 20
			}
			took := time.Since(begun)
			arrived := flood.arrived(b)
			end := capture.stop(b)
			if all := parseTop(b, end.lines[len(end.lines)-1]).Total; all.Packets != arrived {
				b.Errorf("%d packets, want %d", all.Packets, arrived)
			}
			usage := capture.cmd.ProcessState
			b.ReportMetric(float64(packets)/took.Seconds(), "packets/s")
			b.ReportMetric(100*usage.UserTime().Seconds()/took.Seconds(), "user-%CPU")
			b.ReportMetric(100*usage.SystemTime().Seconds()/took.Seconds(), "system-%CPU")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// TestTopKernelAndFile: what the program counts of frames of all kinds, by each key, is
// what is counted of the same frames in a file.
func TestTopKernelAndFile(t *testing.T) {
	lab := newLab(t)
	var frames [][]byte
	var packets []record
	for _, r := range append(records(), taggedRecords()...) {
		if len(r.data) <= 1500 {
			frames, packets = append(frames, r.data), append(packets, r)
		}
	}
	file := write(t, "frames.pcap", packets, false)
	for _, by := range []string{"src", "pair", "conversation", "port", "vlan", "mac", "proto", "prefix"} {
		live := lab.top(t, "--by", by, "--all", "-o", "json")
		lab.send(t, frames...)
		end := live.stop(t)
		read := start(t, lab.right, "top", "-r", file, "--by", by, "--all", "-o", "json").wait(t)
		got, want := withoutTimes(t, end.lines[len(end.lines)-1]), withoutTimes(t, read.lines[0])
		if got != want {
			t.Errorf("by %s the kernel counts\n%s\nand of a file it is\n%s", by, got, want)
		}
		if table := parseTop(t, end.lines[len(end.lines)-1]); table.Total.Packets != uint64(len(frames)) {
			t.Errorf("by %s %d packets, want %d", by, table.Total.Packets, len(frames))
		}
	}
}

// taggedRecords have one tag and two.
func taggedRecords() []record {
	var all []record
	for _, f := range [][]byte{
		frame(ethernet(layers.EthernetTypeDot1Q), vlan(10, layers.EthernetTypeIPv4), ipv4(layers.IPProtocolUDP), udp(40000, 53)),
		frame(ethernet(layers.EthernetTypeDot1Q), vlan(10, layers.EthernetTypeDot1Q), vlan(20, layers.EthernetTypeIPv6), ipv6(layers.IPProtocolUDP), udp(40000, 53)),
		frame(ethernet(layers.EthernetTypeDot1Q), vlan(10, layers.EthernetTypeARP), gopacket.Payload(make([]byte, 28))),
	} {
		all = append(all, record{f, len(f)})
	}
	return all
}

// withoutTimes is the rows of a table without what differs from run to run.
func withoutTimes(t testing.TB, line string) string {
	t.Helper()
	var table struct {
		Rows         []map[string]any
		Other, Total sum
	}
	if err := json.Unmarshal([]byte(line), &table); err != nil {
		t.Fatal(err)
	}
	for _, row := range table.Rows {
		delete(row, "start")
		delete(row, "end")
	}
	text, err := json.MarshalIndent(table, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestTopVerdict: beside a firewall it counts what that decides.
func TestTopVerdict(t *testing.T) {
	needTracing(t)
	lab := newLab(t)
	f := lab.firewall(t, "firewall", "native")
	capture := lab.top(t, "--by", "verdict", "--place", "beside", "-o", "json")
	lab.to(t, "drop", "pass", "aborted", "drop", "tx", "drop", "pass")
	end := capture.stop(t)
	var got []string
	for _, row := range parseTop(t, end.lines[len(end.lines)-1]).Rows {
		got = append(got, fmt.Sprint(row.Verdict, " ", row.Packets))
	}
	if want := "[drop 3 pass 2 aborted 1 tx 1]"; fmt.Sprint(got) != want {
		t.Errorf("rows %v, want %v", got, want)
	}
	f.stays(t)
	f.off(t)
}

// TestTopOnce: one table, which is empty where nothing came.
func TestTopOnce(t *testing.T) {
	lab := newLab(t)
	end := start(t, lab.right, "top", "-i", right(0), "--once", "--interval", "200ms", "-o", "json").wait(t)
	if end.status != 0 || len(end.lines) != 1 {
		t.Fatalf("status %d and %d lines, want 0 and one:\n%s", end.status, len(end.lines), end.stderr)
	}
	if table := parseTop(t, end.lines[0]); !table.Final || len(table.Rows) != 0 || table.Total != (sum{}) {
		t.Errorf("table is %+v, want an empty one", table)
	}
	if !strings.Contains(end.lines[0], `"rows":[]`) {
		t.Errorf("no list of rows: %s", end.lines[0])
	}
}

// TestTopTerminal: a terminal shows the table beside what was there, obeys keys, and is
// in the end as it was.
func TestTopTerminal(t *testing.T) {
	for name, end := range map[string]func(p *process, screen *os.File){
		"q":       func(_ *process, screen *os.File) { screen.WriteString("q") },
		"Ctrl-C":  func(_ *process, screen *os.File) { screen.WriteString("\x03") },
		"SIGTERM": func(p *process, _ *os.File) { p.signal(t, unix.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			lab := newLab(t)
			terminal, screen := openTerminal(t)
			before, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
			if err != nil {
				t.Fatal(err)
			}
			shown := transcript{more: make(chan struct{}, 1)}
			go shown.read(screen)
			cmd := command("top", "-i", right(0), "--interval", "100ms")
			cmd.Stdin, cmd.Stdout, cmd.Env = terminal, terminal, append(os.Environ(), "TERM=xterm", "NO_COLOR=1")
			cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
			p := launch(t, lab.right, cmd).listens(t)
			lab.send(t, someFrames()[1])
			await := func(what string) {
				t.Helper()
				if !shown.await(what) {
					t.Fatalf("no %q on the terminal:\n%q", what, shown.String())
				}
			}
			await("\x1b[?1049h")
			await("198.51.100.1")
			screen.WriteString("b")
			await("by pair")
			screen.WriteString("/udp prot 4\r")
			await(`unexpected "prot"`)
			screen.WriteString("/\x15udp port 2\r")
			await("filter: udp port 2\x1b")
			anew := func() bool { // the new filter's table has a row
				text := shown.String()
				_, after, _ := strings.Cut(text[max(0, strings.LastIndex(text, "begins anew")):], "q quit")
				return strings.Contains(after, "198.51.100.1 > 192.0.2.2")
			}
			for begun := time.Now(); !anew() && time.Since(begun) < timeout; time.Sleep(50 * time.Millisecond) {
				lab.send(t, someFrames()[1], someFrames()[2])
			}
			end(p, screen)
			p.exits(t)
			await("\x1b[?1049l")
			await("total\r\n")
			_, last, _ := strings.Cut(shown.String(), "\x1b[?1049l") // since the filter was changed
			if !strings.Contains(last, "198.51.100.1 > 192.0.2.2") || strings.Contains(last, "198.51.100.2 > 192.0.2.2") {
				t.Errorf("the last table is not by the new filter:\n%s", last)
			}
			if status := p.cmd.ProcessState.ExitCode(); status != 0 {
				t.Errorf("exit status is %d, want 0:\n%s", status, &p.stderr)
			}
			after, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
			if err != nil || *after != *before {
				t.Errorf("the terminal is set otherwise: %+v, was %+v (%v)", after, before, err)
			}
			if strings.Contains(shown.String(), "\x1b[1m") {
				t.Error("it is painted, in spite of NO_COLOR")
			}
			lab.wantNoProgram(t)
		})
	}
}

// openTerminal opens a terminal, and the end that shows what is written to it (pty(7)).
func openTerminal(t testing.TB) (terminal, screen *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	var number uint32
	if err = unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err == nil {
		number, err = unix.IoctlGetUint32(int(screen.Fd()), unix.TIOCGPTN)
	}
	if err == nil {
		terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return terminal, screen
}

// TestTopOccupied: where the XDP slot is somebody else's, the kernel counts all the same, at
// the place that is taken then.
func TestTopOccupied(t *testing.T) {
	lab := newLab(t)
	defer lab.passOn(t)()
	capture := lab.top(t, "-o", "json")
	lab.udp(t, 0, false, 53, 7, 18)
	end := capture.stop(t)
	if !strings.Contains(end.stderr, "counted in") {
		t.Errorf("it does not count in the kernel:\n%s", end.stderr)
	}
	if last := end.lines[len(end.lines)-1]; !strings.Contains(last, `"total":{"packets":7,`) {
		t.Errorf("the last table is %s", last)
	}
}
