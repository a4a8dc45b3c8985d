package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// TestSoak floods the command, in each transport and mode, while it runs, is
// slowed, stopped and continued, restarted, and killed and restarted. Each time
// it ends, all packets are accounted for; and its memory stays what it was.
func TestSoak(t *testing.T) {
	life := 2 * time.Second
	if d := soak(t); d > 0 {
		life = d
	}
	for _, mode := range []string{"native", "generic"} {
		t.Run(mode, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, transport asm.Transport) {
				soakCommand(t, transport, mode, life)
			})
		})
	}
}

func soakCommand(t *testing.T, transport asm.Transport, mode string, life time.Duration) {
	lab := newLab(t)
	args := []string{"-i", right(0), "-o", "none", "--transport", transport.String(), "--mode", mode}
	begin := func() *process { return start(t, lab.right, args...).listens(t) }

	xdplog := begin()
	flooding := lab.floodOn(t)
	early := xdplog.harass(t, life/3)
	late := xdplog.harass(t, life-life/3)
	arrived := flooding.pause(t)
	total := xdplog.stop(t).balances(t)
	t.Logf("%d frames arrived, %+v; %.1f MB, at the end %.1f", arrived, total, early, late)
	if total.Matched != arrived {
		t.Errorf("%d packets were counted of %d", total.Matched, arrived)
	}
	if late > 1.05*early && !testing.Short() { // a guest may have huge pages
		t.Errorf("memory has grown from %.1f to %.1f MB", early, late)
	}

	// From here on packets arrive while it starts and ends.
	flooding.resume()
	for range 3 {
		xdplog = begin()
		time.Sleep(life / 20)
		xdplog.stop(t).balances(t)
		killed := begin()
		time.Sleep(life / 20)
		killed.kill(t)
	}
	flooding.pause(t)
	begin().stop(t).balances(t) // and takes off what the last one left
}

// TestLinkUnderFlood ends and kills a program that is held by a link while packets
// arrive: it is off then, without anybody's doing, and the kernel lives.
func TestLinkUnderFlood(t *testing.T) {
	lab := newLab(t)
	begin := func() *process {
		return start(t, lab.right, "-i", right(0), "-o", "none", "--attach", "link").listens(t)
	}
	first := begin()
	flooding := lab.floodOn(t)
	first.stop(t).balances(t)
	for range 10 {
		stopped := begin()
		time.Sleep(20 * time.Millisecond)
		stopped.stop(t).balances(t)
		killed := begin()
		time.Sleep(20 * time.Millisecond)
		killed.kill(t)
		lab.wantNoProgram(t)
	}
	flooding.pause(t)
}

// harass runs, slows, stops and continues a process for a time, and returns the
// memory that it has then, in MB.
func (p *process) harass(t testing.TB, d time.Duration) float64 {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(d / 16)
		for range 8 { // little time in between
			p.signal(t, unix.SIGSTOP)
			time.Sleep(d / 128)
			p.signal(t, unix.SIGCONT)
			time.Sleep(d / 512)
		}
		p.signal(t, unix.SIGSTOP)
		time.Sleep(d / 16)
		p.signal(t, unix.SIGCONT)
	}
	time.Sleep(50 * time.Millisecond)
	return p.memory(t, "VmRSS")
}

// closing is what the command says at its end, in tcpdump's words.
type closing struct{ Captured, Matched, Lost uint64 }

// balances fails the test unless the command ended well, having delivered what
// it captured, and lost the rest of what matched. (The command itself fails
// where it has not delivered all.)
func (r result) balances(t testing.TB) closing {
	t.Helper()
	var c closing
	at := strings.Index(r.stderr, "\n") + 1 // behind the greeting
	if takeover := strings.Index(r.stderr[at:], listening); takeover >= 0 {
		at += takeover + strings.Index(r.stderr[at+takeover:], "\n") + 1
	}
	_, err := fmt.Sscanf(r.stderr[at:], "%d packets captured\n%d packets received by filter\n%d packets dropped by kernel",
		&c.Captured, &c.Matched, &c.Lost)
	if err != nil {
		t.Errorf("no counters at the end (%v):\n%s", err, r.stderr)
	}
	if r.status != 0 || c.Matched != c.Captured+c.Lost {
		t.Errorf("exit status is %d, counters are %+v, want captured and lost to be all that matched:\n%s", r.status, c, r.stderr)
	}
	return c
}

// A steadyFlood goes on until it is paused.
type steadyFlood struct {
	*flood
	stop chan struct{}
	done sync.WaitGroup
	err  error
}

// floodOn starts a flood on pair 0 that goes on.
func (l *lab) floodOn(t testing.TB) *steadyFlood {
	t.Helper()
	s := &steadyFlood{flood: l.flood(t, 0, cpus(t)[0], numberedFrame(), each)}
	s.resume()
	t.Cleanup(func() { s.halt() })
	return s
}

func (s *steadyFlood) resume() {
	s.stop = make(chan struct{})
	s.done.Go(func() {
		for s.err == nil {
			select {
			case <-s.stop:
				return
			default:
				s.err = s.trySend(100_000)
			}
		}
	})
}

func (s *steadyFlood) halt() {
	if s.stop != nil {
		close(s.stop)
		s.done.Wait()
		s.stop = nil
	}
}

// pause ends the flood, and returns how many of its frames have arrived since it
// was first started.
func (s *steadyFlood) pause(t testing.TB) uint64 {
	t.Helper()
	s.halt()
	if s.err != nil {
		t.Fatalf("flood: %v", s.err)
	}
	s.lab.settle()
	return s.arrived(t)
}
