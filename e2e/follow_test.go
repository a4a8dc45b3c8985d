package e2e

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestFollow: the firewall is replaced, taken off, and comes back.
func TestFollow(t *testing.T) {
	needTracing(t)
	for _, mode := range []string{"native", "generic", "link"} {
		t.Run(mode, func(t *testing.T) {
			lab := newLab(t)
			f := lab.firewall(t, "first", mode)
			capture := lab.xdplog(t)
			see := func(who string) {
				t.Helper()
				lab.to(t, "drop", "pass")
				for _, want := range []string{"drop", "pass"} {
					if got := verdictsOf(t, []event{capture.next(t)}); got[0] != want {
						t.Errorf("verdict of %s is %q, want %q", who, got, want)
					}
				}
			}
			see("first")
			f.replace(t, "second")
			if !capture.stderr.await("right0 has another XDP program, beside which xdplog goes on: ") || !capture.stderr.await("(second)") {
				t.Fatalf("it does not say that it follows:\n%s", capture.stderr.String())
			}
			see("second")
			f.off(t)
			if !capture.stderr.await("right0 has no XDP program any more") {
				t.Fatalf("it does not say that there is none:\n%s", capture.stderr.String())
			}
			f = lab.firewall(t, "third", mode)
			if !capture.stderr.await("(third)") {
				t.Fatalf("it does not say that it follows:\n%s", capture.stderr.String())
			}
			see("third")
			if end := capture.stop(t); end.counters.Captured != 6 {
				t.Errorf("counters are %+v, want 6 captured", end.counters)
			}
			f.stays(t)
			f.off(t)
		})
	}
}

// TestFollowUnderLoad replaces the firewall while packets come, each of which has a number
// and is decided on by one firewall. Until xdplog has followed, it does not see what the new
// one decides on: that is the only gap, and all else is counted, to the packet.
func TestFollowUnderLoad(t *testing.T) {
	needTracing(t)
	for _, mode := range []string{"native", "generic", "link"} {
		t.Run(mode, func(t *testing.T) {
			lab := newLab(t)
			f := lab.firewall(t, "fw0", mode)
			all := []*ebpf.Map{f.counts}
			capture := lab.xdplog(t, "--buffer", "4MiB")
			stream := lab.number(t)
			const replacements = 8
			for i := range replacements {
				name := fmt.Sprint("fw", i+1)
				stream.more(t, 200)
				f.replace(t, name)
				all = append(all, f.counts)
				if !capture.stderr.await("(" + name + ")") {
					t.Fatalf("it does not say that it follows to %s:\n%s", name, capture.stderr.String())
				}
			}
			stream.more(t, 200)
			sent := stream.end(t)
			lab.settle()
			end := capture.stop(t)

			decided := map[string]uint64{}
			for _, counts := range all {
				for verdict, n := range decidedIn(t, counts) {
					decided[verdict] += n
				}
			}
			found := lookAt(t, end.lines)
			t.Logf("%d sent, %d not taken by the veth, the firewalls decided on %v, %d events in %d gaps, %+v",
				sent, stream.dropped, decided, found.events, found.gaps, end.counters)
			total := totalOf(decided)
			if total != sent-stream.dropped {
				t.Errorf("the firewalls decided on %d packets, want %d", total, sent-stream.dropped)
			}
			if n := end.counters; n.Seen != n.Captured+n.Lost || n.Captured != found.events || n.Seen > total {
				t.Errorf("%d events, the firewalls decided on %d packets, and the counters are %+v", found.events, total, n)
			}
			if end.counters.Lost == 0 && found.gaps > replacements+int(stream.dropped) {
				t.Errorf("the numbers of the events have %d gaps, want one for each of %d replacements", found.gaps, replacements)
			}
			for verdict, n := range found.verdicts {
				if n > decided[verdict] {
					t.Errorf("%d events say %s, which the firewalls decided of %d", n, verdict, decided[verdict])
				}
			}
			f.stays(t)
			f.off(t)
		})
	}
}

// A numberedStream is datagrams from left0, one after the other: of each the source port is its
// number, and the destination port has the firewall decide on it.
type numberedStream struct {
	sent     atomic.Uint64
	enough   atomic.Bool
	failed   chan error
	dropped  uint64 // by the veth, of all: before Linux 6.5, when its queue is full
	before   uint64
	finished func() uint64
}

// streamed are the verdicts in the order of a numbered stream's packets.
var streamed = []string{"pass", "drop", "aborted", "pass"}

func (l *lab) number(t testing.TB) *numberedStream {
	t.Helper()
	s := &numberedStream{failed: make(chan error, 1), before: l.dropped(t)}
	s.finished = func() uint64 { return l.dropped(t) - s.before }
	var frames [][]byte
	for _, verdict := range streamed {
		frames = append(frames, datagramOf(60, firewallPorts[verdict]))
	}
	sender := newThread(t, steps(join(l.left), pin(cpus(t)[0])))
	go func() {
		s.failed <- sender.do(func() error {
			for !s.enough.Load() && s.sent.Load() < 1<<16 {
				number := s.sent.Load()
				frame := frames[number%uint64(len(frames))]
				binary.BigEndian.PutUint16(frame[34:], uint16(number))
				if _, err := unix.Write(l.wires[0].packets, frame); err != nil && err != unix.ENOBUFS {
					return err
				}
				s.sent.Add(1)
				time.Sleep(50 * time.Microsecond)
			}
			return nil
		})
	}()
	return s
}

// more returns when n more were sent.
func (s *numberedStream) more(t testing.TB, n uint64) {
	t.Helper()
	for want, begin := s.sent.Load()+n, time.Now(); s.sent.Load() < want; time.Sleep(time.Millisecond) {
		if time.Since(begin) > timeout {
			t.Fatalf("%d packets were sent, want %d", s.sent.Load(), want)
		}
	}
}

// end ends the stream, and returns how many packets were sent.
func (s *numberedStream) end(t testing.TB) uint64 {
	t.Helper()
	s.enough.Store(true)
	if err := <-s.failed; err != nil {
		t.Fatalf("send a packet: %v", err)
	}
	s.dropped = s.finished()
	return s.sent.Load()
}

// A look at the events of a numbered stream.
type look struct {
	events   uint64
	gaps     int // in their numbers
	verdicts map[string]uint64
}

// lookAt fails the test unless each event is that of a packet, in their order, with its verdict.
func lookAt(t testing.TB, lines []string) look {
	t.Helper()
	found := look{verdicts: map[string]uint64{}}
	next := 0
	for _, line := range lines {
		e := parseEvent(t, line)
		number, verdict := int(e.SourcePort), verdictsOf(t, []event{e})[0]
		if want := streamed[number%len(streamed)]; verdict != want {
			t.Fatalf("of packet %d %s was decided, want %s", number, verdict, want)
		}
		if number < next {
			t.Fatalf("packet %d comes after packet %d", number, next-1)
		}
		if number > next {
			found.gaps++
		}
		next = number + 1
		found.events++
		found.verdicts[verdict]++
	}
	return found
}

// totalOf adds counts up.
func totalOf(counts map[string]uint64) (total uint64) {
	for _, n := range counts {
		total += n
	}
	return total
}

// TestFollowToNone: a run ends where the next program is none beside which one can stand.
func TestFollowToNone(t *testing.T) {
	needTracing(t)
	lab := newLab(t)
	lab.firewall(t, "first", "native")
	capture := lab.xdplog(t)
	lab.to(t, "drop")
	capture.next(t)
	defer setMemlock(t, unix.RLIM_INFINITY)()
	bare, err := loadForeign(0)
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	lab.right.change(t, right(0), func(at netlink.Link) error {
		return netlink.LinkSetXdpFdWithFlags(at, bare.FD(), xdpFlags("native"))
	})
	if end := capture.wait(t); end.status != 1 || !strings.Contains(end.stderr, "loaded without BTF") || end.counters.Captured != 1 {
		t.Errorf("exit status is %d, want 1, and counters %+v:\n%s", end.status, end.counters, end.stderr)
	}
	lab.wantProgram(t, "native")
	wantNoTracing(t)
	lab.strip(t, "native")
}

// TestGoneBeside: the interface goes, with the other program.
func TestGoneBeside(t *testing.T) {
	needTracing(t)
	lab := newLab(t)
	lab.firewall(t, "firewall", "native")
	capture := lab.xdplog(t)
	lab.to(t, "drop")
	capture.next(t)
	lab.remove(t, right(0))
	if end := capture.wait(t); end.status != 1 || !strings.Contains(end.stderr, "gone") || end.counters.Captured != 1 {
		t.Errorf("exit status is %d, want 1, and counters %+v:\n%s", end.status, end.counters, end.stderr)
	}
	wantNoTracing(t)
}

// TestKilledBeside: nothing is left of an xdplog that was killed, and the next starts.
func TestKilledBeside(t *testing.T) {
	needTracing(t)
	lab := newLab(t)
	f := lab.firewall(t, "firewall", "native")
	for range 5 {
		lab.xdplog(t).kill(t)
	}
	capture := lab.xdplog(t)
	lab.to(t, "drop")
	if got := verdictsOf(t, []event{capture.next(t)}); got[0] != "drop" {
		t.Errorf("verdict %q", got)
	}
	capture.stop(t)
	f.stays(t)
	f.off(t)
}
