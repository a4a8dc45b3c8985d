package e2e

import (
	"testing"
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
