package e2e

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
	shared "github.com/xdplog/xdplog/asm/wire" // a wire is a pair here
	"github.com/xdplog/xdplog/loader"
	"github.com/xdplog/xdplog/reader"
)

// captureOptions say what a capture is like. The zero value is the default of
// the packages, on right0.
type captureOptions struct {
	asm.Config
	buffer   int // bytes per CPU
	latency  time.Duration
	perEvent bool // perf with a wake-up for each event: the tutorial's way
	pairs    int  // right ends to attach to; default 1
	mode     loader.Mode
	paused   bool // read nothing until the gate is opened
	checked  bool // all that comes is from numbered floods

	namespace string // of the devices of Config.Metadata
}

// A capture is what xdplog is made of, in the test's own process: loader,
// program and reader, whose events are checked and counted on a thread of
// their own, and not kept.
type capture struct {
	coll     *ebpf.Collection
	program  *ebpf.Program
	events   eventReader
	attached []*loader.Attachment

	gate      gate
	delivered atomic.Uint64
	thread    *thread // which reads
	ages      ages
	check     check
	checked   bool
	ended     chan error
}

// An eventReader is a [reader.Reader], or what stands in for it.
type eventReader interface {
	Read([]reader.Event) (int, error)
	Finish()
	Counters() (shared.Counters, error)
	Close() error
}

// capture starts one in native mode, unless told otherwise.
func (l *lab) capture(t testing.TB, opts captureOptions) *capture {
	t.Helper()
	c := loadCapture(t, opts)
	if opts.mode == loader.Auto {
		opts.mode = loader.Native
	}
	for i := range max(opts.pairs, 1) {
		a, err := loader.Attach(c.coll, loader.Options{
			Interface: right(i), Mode: opts.mode,
			Namespace: fmt.Sprintf("/proc/%d/ns/net", l.right.id),
		})
		if err != nil {
			t.Fatal(err)
		}
		c.attached = append(c.attached, a)
		t.Cleanup(func() { a.Close() })
	}
	return c
}

// loadCapture starts one that is attached to nothing.
func loadCapture(t testing.TB, opts captureOptions) *capture {
	t.Helper()
	if opts.buffer != 0 {
		opts.Config.Buffer = opts.buffer
	}
	var coll *ebpf.Collection
	err := loader.Within(opts.namespace, func() (err error) {
		coll, err = loader.Load(opts.Config)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(coll.Close)
	c := &capture{coll: coll, program: coll.Programs[asm.ProgramName], checked: opts.checked, ended: make(chan error, 1)}
	if c.events, err = openReader(coll, opts); err != nil {
		t.Fatal(err)
	}
	c.gate.init(opts.paused)
	c.thread = newThread(t, steps())
	go func() { c.ended <- c.thread.do(c.run) }()
	t.Cleanup(func() { // runs before the thread is ended
		c.gate.open()
		c.events.Close()
	})
	return c
}

func openReader(coll *ebpf.Collection, opts captureOptions) (eventReader, error) {
	if opts.perEvent {
		return newPerEventReader(coll)
	}
	return reader.New(coll, reader.Options{Latency: opts.latency})
}

// run reads to the end.
func (c *capture) run() error {
	events := make([]reader.Event, 256)
	for {
		c.gate.pass()
		n, err := c.events.Read(events)
		if c.checked {
			c.check.batch(events[:n])
		}
		c.ages.batch(events[:n])
		c.delivered.Add(uint64(n))
		if err != nil {
			return err
		}
	}
}

// cpuTime is what the reading thread has used. Any thread of the process may
// ask: the clock is that of pthread_getcpuclockid(3).
func (c *capture) cpuTime(t testing.TB) time.Duration {
	t.Helper()
	const schedPerThread = 4 | 2 // CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED
	var used unix.Timespec
	if err := unix.ClockGettime(int32(^c.thread.id<<3|schedPerThread), &used); err != nil {
		t.Fatalf("read the CPU time of thread %d: %v", c.thread.id, err)
	}
	return time.Duration(used.Nano())
}

func (c *capture) counters(t testing.TB) shared.Counters {
	t.Helper()
	counters, err := c.events.Counters()
	if err != nil {
		t.Fatal(err)
	}
	return counters
}

// caughtUp returns when everything captured so far was delivered.
func (c *capture) caughtUp(t testing.TB) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(100 * time.Microsecond) {
		captured := c.counters(t).Captured
		if delivered := c.delivered.Load(); delivered == captured {
			return
		} else if time.Since(start) > timeout {
			t.Fatalf("%d events were delivered of %d captured", delivered, captured)
		}
	}
}

// An outcome is how a capture ended.
type outcome struct {
	counters  shared.Counters
	delivered uint64
	check     *check
}

// finish takes the program off and reads the rest. It fails the test unless
// the counters and the events agree, to the packet.
func (c *capture) finish(t testing.TB) outcome {
	t.Helper()
	for _, a := range c.attached {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
	c.gate.open()
	c.events.Finish()
	select {
	case err := <-c.ended:
		if !errors.Is(err, io.EOF) {
			t.Fatalf("reading ended with %v, want %v", err, io.EOF)
		}
	case <-time.After(timeout):
		t.Fatal("the reader does not finish")
	}
	end := outcome{counters: c.counters(t), delivered: c.delivered.Load(), check: &c.check}
	if n := end.counters; n.Captured != end.delivered || n.Seen != n.Matched() {
		t.Errorf("%d events were delivered, the counters are %+v: want as many captured, and all that were seen matched", end.delivered, n)
	}
	return end
}

// A gate lets a reader through while it is open.
type gate struct {
	mu     sync.Mutex
	moved  *sync.Cond
	closed bool
}

func (g *gate) init(closed bool) { g.moved, g.closed = sync.NewCond(&g.mu), closed }

func (g *gate) pass() {
	g.mu.Lock()
	for g.closed {
		g.moved.Wait()
	}
	g.mu.Unlock()
}

func (g *gate) open()  { g.set(false) }
func (g *gate) close() { g.set(true) }

func (g *gate) set(closed bool) {
	g.mu.Lock()
	g.closed = closed
	g.moved.Broadcast()
	g.mu.Unlock()
}
