package e2e

import (
	"os"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/xdplog/xdplog/asm"
	shared "github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader"
)

// soakEnv is how long the long forms of tests are to last for each transport
// and mode, such as 60s. Without it they are short.
const soakEnv = "XDPLOG_E2E_SOAK"

// soak returns that time, or 0.
func soak(t testing.TB) time.Duration {
	t.Helper()
	text := os.Getenv(soakEnv)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		t.Fatalf("%s=%q: want a time, such as 60s", soakEnv, text)
	}
	return d
}

// transports are the ways from the program to its reader.
var transports = []asm.Transport{asm.Perf, asm.Ringbuf, asm.Mmap}

func eachTransport(t *testing.T, test func(*testing.T, asm.Transport)) {
	for _, transport := range transports {
		t.Run(transport.String(), func(t *testing.T) {
			needTransport(t, transport)
			test(t, transport)
		})
	}
}

// identity is the flood of a test that all packets are accounted for.
const identity = 200_000 // frames: more than the default buffers hold

func numberedFrame() []byte { return floodFrame(64, layers.EthernetTypeIPv6) }

// account fails the test unless all frames that arrived were seen, and delivered
// or counted as lost; and every event was right.
func (end outcome) account(t testing.TB, arrived uint64) {
	t.Helper()
	n := end.counters
	t.Logf("%d frames arrived, %+v", arrived, n)
	if n.Seen != arrived || n.Captured+n.Lost+n.SampledOut != arrived || end.delivered != n.Captured {
		t.Errorf("%d frames arrived and %d events were delivered, the counters are %+v", arrived, end.delivered, n)
	}
	if end.check.err != nil {
		t.Error(end.check.err)
	}
}

// TestNumbered looks at each of a million events of a flood, or of ten million
// where the time is given: all come in their order, once, with what their
// frame held.
func TestNumbered(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport asm.Transport) {
		frames := 1_000_000
		if soak(t) > 0 {
			frames *= 10
		}
		lab := newLab(t)
		capture := lab.capture(t, captureOptions{Config: asm.Config{Transport: transport}, checked: true})
		flood := lab.flood(t, 0, cpus(t)[0], numberedFrame(), each)
		// Until so many have been looked at: a busy machine loses some.
		for goal := uint64(frames); capture.delivered.Load() < goal; {
			flood.send(t, int(goal-capture.delivered.Load()))
			capture.caughtUp(t)
		}
		capture.finish(t).account(t, flood.arrived(t))
	})
}

func TestIdentityIdle(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport asm.Transport) {
		capture := newLab(t).capture(t, captureOptions{Config: asm.Config{Transport: transport}})
		capture.finish(t).account(t, 0)
	})
}

// TestIdentityStopped floods while nobody reads, until long after the buffer is
// full, and again when somebody does.
func TestIdentityStopped(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport asm.Transport) {
		lab := newLab(t)
		capture := lab.capture(t, captureOptions{Config: asm.Config{Transport: transport}, checked: true, paused: true})
		flood := lab.flood(t, 0, cpus(t)[0], numberedFrame(), each)
		for range 3 {
			lost := capture.counters(t).Lost
			flood.send(t, identity)
			lab.settle()
			if capture.counters(t).Lost == lost {
				t.Error("nothing was lost while the buffer was full")
			}
			capture.gate.open()
			flood.send(t, identity)
			capture.caughtUp(t)
			capture.gate.close()
		}
		capture.finish(t).account(t, flood.arrived(t))
	})
}

// TestIdentityCPUs floods from every CPU at once, by a pair for each of two.
func TestIdentityCPUs(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport asm.Transport) {
		lab := newLabWith(t, labOptions{pairs: 2})
		capture := lab.capture(t, captureOptions{Config: asm.Config{Transport: transport}, checked: true, pairs: 2})
		all := cpus(t)
		var floods []*flood
		var flooding sync.WaitGroup
		for i := range 2 {
			flood := lab.flood(t, i, all[i%len(all)], numberedFrame(), each)
			floods = append(floods, flood)
			flooding.Go(func() {
				if err := flood.trySend(identity); err != nil {
					t.Error(err)
				}
			})
		}
		flooding.Wait()
		lab.settle()
		capture.caughtUp(t)
		capture.finish(t).account(t, floods[0].arrived(t)+floods[1].arrived(t))
	})
}

// TestIdentityKilled closes the reader in the middle of a flood: what comes
// after counts as lost, once the buffer is full.
func TestIdentityKilled(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport asm.Transport) {
		lab := newLab(t)
		capture := lab.capture(t, captureOptions{Config: asm.Config{Transport: transport}, checked: true})
		flood := lab.flood(t, 0, cpus(t)[0], numberedFrame(), each)
		flood.send(t, identity)
		capture.caughtUp(t)
		if err := capture.events.Close(); err != nil {
			t.Fatal(err)
		}
		<-capture.ended
		delivered := capture.delivered.Load()
		flood.send(t, identity)
		lab.settle()
		n := capture.counters(t)
		t.Logf("%d delivered, %+v", delivered, n)
		if arrived := flood.arrived(t); n.Seen != arrived || n.Matched() != n.Seen {
			t.Errorf("counters are %+v after %d frames", n, arrived)
		}
		slots := uint64(2 * asm.DefaultBuffer * len(cpus(t)) / shared.RecordSize)
		if n.Captured > delivered+slots || n.Captured < delivered || n.Lost == 0 {
			t.Errorf("%d events were delivered, then counted were %+v: want as many captured and what the buffers hold, the rest lost", delivered, n)
		}
		if capture.check.err != nil {
			t.Error(capture.check.err)
		}
	})
}

// scheduling is what a busy machine may add to the age of an event. Benchmarks
// give the figures; a bound that does not hold at all is far beyond it.
const scheduling = 100 * time.Millisecond

// TestAgeSlow sends packets that no other one follows soon: each is delivered
// within the reader's latency.
func TestAgeSlow(t *testing.T) {
	packets, pause := 8, 100*time.Millisecond // longer than any wait of a reader's
	if soak(t) > 0 {
		packets, pause = 20, time.Second
	}
	eachTransport(t, func(t *testing.T, transport asm.Transport) {
		t.Parallel()
		lab := newLab(t)
		capture := lab.capture(t, captureOptions{Config: asm.Config{Transport: transport}})
		capture.ages.watched.Store(true)
		for range packets {
			lab.send(t, marker())
			time.Sleep(pause)
		}
		capture.finish(t)
		capture.ages.report(t)
	})
}

// TestAgeFlood looks at the age of events under a flood.
func TestAgeFlood(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport asm.Transport) {
		lab := newLab(t)
		capture := lab.capture(t, captureOptions{Config: asm.Config{Transport: transport}})
		flood := lab.flood(t, 0, cpus(t)[0], numberedFrame(), each)
		capture.ages.watched.Store(true)
		flood.send(t, 1_000_000)
		capture.finish(t)
		capture.ages.report(t)
	})
}

// TestAgeBeside looks at the age of packets that one CPU receives seldom, while
// another one is flooded: they do not wait for the flood to end.
func TestAgeBeside(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport asm.Transport) {
		lab := newLabWith(t, labOptions{pairs: 2})
		capture := lab.capture(t, captureOptions{Config: asm.Config{Transport: transport}, pairs: 2})
		all := cpus(t)
		crowd := lab.flood(t, 0, all[0], numberedFrame(), each)
		lone := lab.flood(t, 1, all[len(all)-1], floodFrame(64, layers.EthernetTypeIPv4), alike)
		capture.ages.only = 4
		capture.ages.watched.Store(true)
		var flooding sync.WaitGroup
		flooding.Go(func() {
			if err := crowd.trySend(1_000_000); err != nil {
				t.Error(err)
			}
		})
		for range 10 {
			lone.send(t, 1)
			time.Sleep(20 * time.Millisecond)
		}
		flooding.Wait()
		capture.caughtUp(t)
		capture.finish(t).account(t, crowd.arrived(t)+lone.arrived(t))
		capture.ages.report(t)
	})
}

// report logs the ages and fails the test if they are beyond all bounds.
func (a *ages) report(t *testing.T) {
	t.Helper()
	t.Logf("%d events: half are younger than %v, 99.9%% than %v, all than %v", a.total, a.quantile(0.5), a.quantile(0.999), a.oldest)
	if got, bound := a.quantile(0.999), reader.DefaultLatency+scheduling; got > bound && !testing.Short() {
		t.Errorf("events are up to %v old when they are delivered, want %v", got, bound)
	}
}

// TestIdle proves that where nothing arrives next to nothing runs: a busy
// machine may double that, and BenchmarkIdle gives the figure.
func TestIdle(t *testing.T) {
	const most = 0.5 // percent of a CPU
	eachTransport(t, func(t *testing.T, transport asm.Transport) {
		t.Parallel()
		capture := newLab(t).capture(t, captureOptions{Config: asm.Config{Transport: transport}})
		time.Sleep(100 * time.Millisecond)
		before, start := capture.cpuTime(t), time.Now()
		time.Sleep(2 * time.Second)
		percent := 100 * float64(capture.cpuTime(t)-before) / float64(time.Since(start))
		t.Logf("%.3f %% of a CPU", percent)
		if percent > 2*most && !testing.Short() {
			t.Errorf("the idle reader uses %.2f %% of a CPU, want less than %v %%", percent, most)
		}
		capture.finish(t)
	})
}
