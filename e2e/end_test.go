package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestSignals(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		for _, signal := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT} {
			capture := lab.xdplog(t, "--mode", mode)
			lab.wantProgram(t, mode)
			lab.udp(t, 0, false, 53, 1, 18)
			capture.want(t, udp4)
			capture.signal(t, signal)
			end := capture.wait(t)
			lab.wantNoProgram(t)
			if end.status != 0 {
				t.Errorf("%s: exit status is %d, want 0", unix.SignalName(signal), end.status)
			}
			if want := (counters{Seen: 1, Matched: 1, Captured: 1, MatchedBytes: 60, CapturedBytes: 60}); end.counters != want {
				t.Errorf("%s: counters are %+v, want %+v", unix.SignalName(signal), end.counters, want)
			}
		}
	})
}

func TestCount(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		capture := lab.xdplog(t, "--mode", mode, "-c", "3")
		lab.send(t, marker(), marker(), marker(), marker(), marker())
		end := capture.wait(t)
		lab.wantNoProgram(t)
		if end.status != 0 {
			t.Errorf("exit status is %d, want 0", end.status)
		}
		if len(end.lines) != 3 {
			t.Errorf("%d events came out, want 3", len(end.lines))
		}
		if c := end.counters; c.Captured != 3 || c.Matched != 3 || c.Lost != 0 {
			t.Errorf("counters are %+v, want 3 matched and captured", c)
		}
	})
}

func TestDuration(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		begin := time.Now()
		capture := lab.xdplog(t, "--mode", mode, "--duration", "200ms")
		lab.udp(t, 0, false, 53, 1, 18)
		end := capture.wait(t)
		took := time.Since(begin)
		lab.wantNoProgram(t)
		if end.status != 0 {
			t.Errorf("exit status is %d, want 0", end.status)
		}
		if took < 200*time.Millisecond || took > 2*time.Second {
			t.Errorf("it ran for %v, want 200 ms and little more", took)
		}
		if len(end.lines) != 1 || end.counters.Captured != 1 {
			t.Errorf("%d events came out of %+v, want 1", len(end.lines), end.counters)
		}
	})
}

// TestClosedPipe is xdplog | head -1: it ends with its reader, quietly.
func TestClosedPipe(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		capture := lab.xdplog(t, "--mode", mode)
		lab.udp(t, 0, false, 53, 1, 18)
		capture.want(t, udp4)
		capture.stdout.Close()
		lab.udp(t, 0, false, 53, 1, 18)
		end := capture.wait(t)
		lab.wantNoProgram(t)
		if end.status != 0 {
			t.Errorf("exit status is %d, want 0", end.status)
		}
		if strings.Contains(end.stderr, "pipe") {
			t.Errorf("it is not quiet:\n%s", end.stderr)
		}
	})
}

// TestInterruptedStart interrupts xdplog at any moment of its start: nothing is
// left on the interface.
func TestInterruptedStart(t *testing.T) {
	lab := newLab(t)
	begin := time.Now()
	lab.xdplog(t).stop(t)
	whole := time.Since(begin)
	for i := range 40 {
		mode := []string{"native", "generic"}[i%2]
		after := whole * time.Duration(i) / 40
		capture := start(t, lab.right, "-i", right(0), "--mode", mode)
		time.Sleep(after)
		capture.signal(t, unix.SIGINT)
		// A signal before the first line of the program kills it.
		if end := capture.wait(t); end.status != 0 && (end.status != -1 || end.stderr != "") {
			t.Errorf("after %v: exit status is %d, want 0", after, end.status)
		}
		lab.wantNoProgram(t)
	}
}

// TestFullDisk can't write its events: that is an error, and the program goes.
func TestFullDisk(t *testing.T) {
	lab := newLab(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	cmd := command("-i", right(0))
	cmd.Stdout = full
	capture := launch(t, lab.right, cmd).read().listens(t)
	lab.udp(t, 0, false, 53, 1, 18)
	end := capture.wait(t)
	lab.wantNoProgram(t)
	if end.status != 1 || !strings.Contains(end.stderr, "no space left on device") {
		t.Errorf("exit status is %d, want 1 and the system's words on stderr:\n%s", end.status, end.stderr)
	}
}

// TestPrompt sees one event through a pipe, with no other to push it out. How
// soon is no promise with -short, for emulated machines.
func TestPrompt(t *testing.T) {
	lab := newLab(t)
	capture := lab.xdplog(t)
	best := timeout
	for range 5 { // the machine may be busy once, but not always
		begin := time.Now()
		lab.send(t, marker())
		capture.next(t)
		best = min(best, time.Since(begin))
	}
	if best > 50*time.Millisecond && !testing.Short() {
		t.Errorf("an event takes %v at best, want 10 ms and little more", best)
	}
	capture.stop(t)
	lab.wantNoProgram(t)
}

// TestInterfaceDeleted takes the interface away, and the other one stays.
func TestInterfaceDeleted(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLabWith(t, labOptions{pairs: 2})
		capture := lab.xdplog(t, "-i", right(1), "--mode", mode)
		lab.udp(t, 0, false, 53, 1, 18)
		capture.want(t, udp4)
		begin := time.Now()
		lab.remove(t, right(1))
		end := capture.wait(t)
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("it took %v to end, want at once", took)
		}
		if end.status != 1 || !strings.Contains(end.stderr, right(1)) {
			t.Errorf("exit status is %d, want 1 and %s on stderr:\n%s", end.status, right(1), end.stderr)
		}
		lab.wantNoProgram(t) // on right0, which is still there
	})
}
