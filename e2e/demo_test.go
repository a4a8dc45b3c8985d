package e2e

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// stage is a thread in a world of its own, in which whatever a demo leaves
// behind is all that there is.
func stage(t testing.TB) *thread {
	t.Helper()
	needPrivilege(t)
	return newThread(t, steps(network, privateMounts, emptyRun))
}

// wantEmpty fails the test unless the stage is as it was at first.
func wantEmpty(t testing.TB, th *thread) {
	t.Helper()
	err := th.do(func() error {
		links, err := netlink.LinkList()
		if err != nil {
			return err
		}
		for _, l := range links {
			if l.Type() == "veth" { // others, such as lo, come with every namespace
				t.Errorf("interface %s is left behind", l.Attrs().Name)
			}
		}
		for _, dir := range []string{"/run", "/run/netns"} {
			entries, err := os.ReadDir(dir)
			if err != nil {
				return err
			}
			for _, e := range entries {
				if e.Name() != "netns" {
					t.Errorf("%s is left behind in %s", e.Name(), dir)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("look for what the demo left behind: %v", err)
	}
}

// TestDemo shows packets of all four kinds without any network, and cleans up.
func TestDemo(t *testing.T) {
	stage := stage(t)
	end := start(t, stage, "demo").wait(t)
	wantEmpty(t, stage)
	if end.status != 0 {
		t.Errorf("exit status is %d, want 0:\n%s", end.status, end.stderr)
	}
	shown := strings.Join(end.lines, "\n")
	for _, pattern := range []string{
		`(?m) udp \d+\.\d+\.\d+\.\d+:\d+ > `, `(?m) udp \[[0-9a-f:]+\]:\d+ > `,
		`(?m) tcp \d+\.\d+\.\d+\.\d+:\d+ > `, `(?m) tcp \[[0-9a-f:]+\]:\d+ > `,
	} {
		if !matches(pattern, shown) {
			t.Errorf("no line like %s in:\n%s", pattern, shown)
		}
	}
	for _, closing := range []string{" captured", " received by filter", " dropped by kernel"} {
		if !strings.Contains(end.stderr, closing) {
			t.Errorf("stderr lacks %q:\n%s", closing, end.stderr)
		}
	}
}

// TestDemoOptions shows the demo in another format and mode.
func TestDemoOptions(t *testing.T) {
	stage := stage(t)
	end := start(t, stage, "demo", "-o", "json", "--mode", "generic").wait(t)
	wantEmpty(t, stage)
	if end.status != 0 || uint64(len(end.lines)) != end.counters.Captured || end.counters.Captured == 0 {
		t.Errorf("exit status is %d and %d events came out of %+v", end.status, len(end.lines), end.counters)
	}
	for _, line := range end.lines {
		parseEvent(t, line)
	}
	if !strings.Contains(end.stderr, "generic") {
		t.Errorf("it does not say that it runs generically:\n%s", end.stderr)
	}
}

// TestDemoInterrupted ends the demo at random moments, most of them while it
// is still setting up.
func TestDemoInterrupted(t *testing.T) {
	stage := stage(t)
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range 30 {
		signal := []unix.Signal{unix.SIGINT, unix.SIGTERM}[i%2]
		after := time.Duration(random.Int64N(int64(200 * time.Millisecond)))
		demo := start(t, stage, "demo")
		time.Sleep(after)
		demo.signal(t, signal)
		// A signal before the first line of the program kills it.
		if end := demo.wait(t); end.status != 0 && (end.status != -1 || end.stderr != "") {
			t.Errorf("%s after %v (seed %d): exit status is %d, want 0:\n%s", unix.SignalName(signal), after, seed, end.status, end.stderr)
		}
		wantEmpty(t, stage)
	}
}
