package e2e

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// TestClockSet sets the wall clock while xdplog runs, an hour on and back again:
// within a second or so the events bear the new time. For machines of the test's
// own.
func TestClockSet(t *testing.T) {
	if os.Getenv(machineEnv) != "own" {
		t.Skipf("it sets the clock, and this machine is not the test's own (%s)", machineEnv)
	}
	step := func(d time.Duration) {
		now := unix.NsecToTimeval(time.Now().Add(d).UnixNano())
		if err := unix.Settimeofday(&now); err != nil {
			t.Fatal(err)
		}
	}
	eachTransport(t, func(t *testing.T, transport asm.Transport) {
		lab := newLab(t)
		capture := lab.xdplog(t, "--transport", transport.String())
		moved := false
		defer func() {
			if moved {
				step(-time.Hour)
			}
		}()
		for _, d := range []time.Duration{time.Hour, -time.Hour} {
			step(d)
			moved = d > 0
			off := func() time.Duration {
				lab.send(t, marker())
				var e event // unread by parseEvent, which takes no other time than now
				if err := json.Unmarshal([]byte(capture.line(t)), &e); err != nil {
					t.Fatal(err)
				}
				return e.Time.Sub(time.Now().Round(0)).Abs()
			}
			deadline := time.Now().Add(20 * time.Second) // which counts by the monotonic clock
			for last := off(); last > 30*time.Second; last = off() {
				if time.Now().After(deadline) {
					t.Fatalf("the clock was set by %v, and events are %v off", d, last)
				}
				time.Sleep(100 * time.Millisecond)
			}
		}
		capture.stop(t)
		lab.wantNoProgram(t)
	})
}
