package e2e

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
	shared "github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/loader"
	"github.com/xdplog/xdplog/reader"
)

// A census is a program that counts by source, on the right ends of pairs.
type census struct {
	table    *reader.Table
	program  *ebpf.Program
	attached []*loader.Attachment
}

// census attaches one to so many pairs.
func (l *lab) census(t testing.TB, cfg asm.Config, pairs int) *census {
	t.Helper()
	coll := loadProgram(t, cfg)
	table, err := reader.NewTable(coll)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	c := &census{table: table, program: coll.Programs[asm.ProgramName]}
	for i := range pairs {
		a, err := loader.Attach(coll, loader.Options{
			Interface: right(i), Mode: loader.Native,
			Namespace: fmt.Sprintf("/proc/%d/ns/net", l.right.id),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Close() })
		c.attached = append(c.attached, a)
	}
	return c
}

// finish takes it off.
func (c *census) finish(t testing.TB) shared.Counters {
	t.Helper()
	for _, a := range c.attached {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
	counters, err := c.table.Counters()
	if err != nil {
		t.Fatal(err)
	}
	return counters
}

// TestCensus floods a program that counts by source from 200,000 sources on each of two
// CPUs, into tables that are too small for them, and reads those all the while. Not a
// packet and not a byte is missing, or counted of a source that did not send it.
func TestCensus(t *testing.T) {
	packets, sources := 5_000_000, numbered(200_000)
	if testing.Short() {
		packets, sources = 20_000, 2000
	}
	lab := newLabWith(t, labOptions{pairs: 2})
	rows := asm.Count{Rows: int(sources) / 4}
	census := lab.census(t, asm.Config{Count: &rows}, 2)

	got := make(map[[16]byte]uint64)
	var total, other shared.CountBack
	read := func() {
		found, err := census.table.Read(func(c *reader.Count) {
			got[c.Key.Source] += c.Packets
			total.Packets += c.Packets
			total.Bytes += c.Bytes
		})
		if err != nil {
			t.Error(err)
		}
		other.Packets += found.Packets
		other.Bytes += found.Bytes
	}

	var floods sync.WaitGroup
	var sent []*flood
	all := cpus(t)
	for i := range 2 {
		f := lab.flood(t, i, all[i%len(all)], numberedFrame(), sources)
		sent = append(sent, f)
		floods.Go(func() {
			if err := f.trySend(packets); err != nil {
				t.Error(err)
			}
		})
	}
	done := make(chan struct{})
	go func() { floods.Wait(); close(done) }()
	reads := 0
	for waiting := true; waiting; reads++ {
		select {
		case <-done:
			waiting = false
		case <-time.After(100 * time.Millisecond):
			read()
		}
	}
	lab.settle()
	arrived := sent[0].arrived(t) + sent[1].arrived(t)
	counters := census.finish(t)
	read()

	t.Logf("%d packets, %d reads, %d sources, other %+v", arrived, reads, len(got), other)
	total.Packets += other.Packets
	total.Bytes += other.Bytes
	if total.Packets != arrived || total.Bytes != 64*arrived || counters.Captured != arrived {
		t.Errorf("%+v in all, %+v, want %d packets of 64 bytes", total, counters, arrived)
	}
	most := uint64(2*packets)/uint64(sources) + 2
	for source, n := range got {
		if seq := binary.BigEndian.Uint64(source[8:]); seq >= uint64(sources) || n > most {
			t.Fatalf("%d packets of source %x: there is none, or it sent no more than %d", n, source, most)
		}
	}
	if other.Packets == 0 {
		t.Error("there are no others, though there are more sources than rows")
	}
}

// BenchmarkCount measures what counting by source costs a packet in a flood from so many
// sources, in turns with the record in shared memory, and with a program that does nothing.
//
//	kernel-ns/packet  the program's, by the kernel's statistics, which are part of it
//	pass-ns/packet    of the program that does nothing: the statistics themselves
//	of-record         the program's as part of the record's, that taken off both
//	%CPU              of one CPU, what reading the table every second takes
func BenchmarkCount(b *testing.B) {
	for _, sources := range []numbered{1, 1000, 100_000} {
		b.Run(fmt.Sprintf("sources=%d", sources), func(b *testing.B) { benchmarkCount(b, sources) })
	}
}

func benchmarkCount(b *testing.B, sources numbered) {
	const packets = 1 << 20
	counting, recording, passing := newLab(b), newLab(b), newLab(b)
	census := counting.census(b, asm.Config{Clock: asm.NoClock, Count: &asm.Count{Rows: 1 << 16}}, 1)
	capture := recording.capture(b, captureOptions{Config: asm.Config{Transport: asm.Mmap}})
	counted := counting.flood(b, 0, cpus(b)[0], numberedFrame(), sources)
	recorded := recording.flood(b, 0, cpus(b)[0], numberedFrame(), sources)
	defer passing.passOn(b)()
	empty, err := ebpf.NewProgramFromID(ebpf.ProgramID(passing.attached(b, right(0)).id))
	if err != nil {
		b.Fatal(err)
	}
	defer empty.Close()
	passed := passing.flood(b, 0, cpus(b)[0], numberedFrame(), sources)
	countNs, recordNs, passNs := watchProgram(b, census.program), watchProgram(b, capture.program), watchProgram(b, empty)
	var counts, records, passes []float64
	var reading time.Duration
	var rows int
	runtime.LockOSThread() // whose time is taken
	defer runtime.UnlockOSThread()
	for b.Loop() {
		for range 4 { // in turns: what disturbs one disturbs the other
			counted.send(b, packets)
			counting.settle()
			counts = append(counts, countNs(b))
			start := threadTime(b)
			if _, err := census.table.Read(func(*reader.Count) { rows++ }); err != nil {
				b.Fatal(err)
			}
			reading += threadTime(b) - start

			recorded.send(b, packets)
			recording.settle()
			records = append(records, recordNs(b))
			capture.caughtUp(b)

			passed.send(b, packets)
			passing.settle()
			passes = append(passes, passNs(b))
		}
	}
	capture.finish(b)
	if rows == 0 {
		b.Error("the table was empty")
	}
	b.ReportMetric(middle(counts), "kernel-ns/packet")
	b.ReportMetric(middle(records), "record-ns/packet")
	b.ReportMetric(middle(passes), "pass-ns/packet")
	b.ReportMetric((middle(counts)-middle(passes))/(middle(records)-middle(passes)), "of-record")
	b.ReportMetric(100*reading.Seconds()/float64(len(counts)), "%CPU") // read once a second
	b.ReportMetric(0, "ns/op")
}

// threadTime is the CPU time of this thread.
func threadTime(b *testing.B) time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
