package e2e

import (
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// TestNoSuchInterface names those that there are.
func TestNoSuchInterface(t *testing.T) {
	lab := newLabWith(t, labOptions{pairs: 2})
	complain(t, lab.right, 1, []string{"nosuch0", right(0), right(1), "lo"}, "-i", "nosuch0")
	complain(t, lab.right, 1, []string{"nosuch0", right(0), right(1), "lo"}, "-i", right(0), "-i", "nosuch0")
	complain(t, lab.right, 1, []string{"nosuch0", right(0)}, "detach", "-i", "nosuch0")
	lab.wantNoProgram(t)
}

// TestDefaultInterface is the default route's.
func TestDefaultInterface(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		lab := newLabWith(t, labOptions{pairs: 2})
		complain(t, lab.right, 1, []string{"-i"}) // there is no default route
		err := lab.right.do(func() error {
			at, err := netlink.LinkByName(right(1))
			if err != nil {
				return err
			}
			return netlink.RouteAdd(&netlink.Route{LinkIndex: at.Attrs().Index, Gw: address(1, 1, v6).AsSlice()})
		})
		if err != nil {
			t.Fatalf("add a default route: %v", err)
		}
		capture := start(t, lab.right, "-o", "json").listens(t)
		lab.udp(t, 1, v6, 53, 1, 18)
		if e := capture.next(t); e.Interface != right(1) {
			t.Errorf("event is %v, want one on %s", e, right(1))
		}
		capture.stop(t)
		lab.wantNoProgram(t)
	}
}

func TestUsage(t *testing.T) {
	lab := newLab(t)
	for _, c := range []struct {
		args  string
		words string
	}{
		{"-o xml", "xml text json log none"},
		{"--mode fast", "fast auto native generic"},
		{"-c -1", "-1 limit"},
		{"-c many", "many limit"},
		{"--duration soon", "soon duration"},
		{"--duration -1s", "-1s duration"},
		{"--stats often", "often stats"},
		{"--stats -1s", "-1s stats"},
		{"--buffer much", "much buffer"},
		{"--buffer -1", "-1 buffer"},
		{"--nosuchflag", "nosuchflag"},
		{"-c", "-c"},
		{"-w a -w b", "write once"},
		{"-w w.pcapng --time-format date", "time-format -o text"},
		{"-w w.pcapng --color always", "color -o text"},
		{"-d --mode native", "mode dump"},
		{"-d --netns web", "netns dump"},
		{"--all=maybe", "all maybe true false"},
		{"--transport mmap --buffer 1GiB", "mmap 536870912"},
		{"--transport ringbuf --buffer 1GiB", "ringbuf all CPUs"},
	} {
		complain(t, lab.right, 2, strings.Fields(c.words), append([]string{"-i", right(0)}, strings.Fields(c.args)...)...)
	}
	lab.wantNoProgram(t)
}

// TestNativeRefused asks for native where the driver has none: lo. The kernel
// says so, and auto gets generic and says why.
func TestNativeRefused(t *testing.T) {
	lab := newLab(t)
	complain(t, lab.right, 1, []string{"lo", "native", "driver does not support XDP"}, "-i", "lo", "--mode", "native")
	capture := start(t, lab.right, "-i", "lo", "-o", "json").listens(t)
	if p := lab.attached(t, "lo"); p.mode != "generic" {
		t.Errorf("lo carries %v, want a generic one", p)
	}
	for _, word := range []string{"generic", "native"} {
		if !capture.stderr.await(word) {
			t.Errorf("the start lines lack %q", word)
		}
	}
	capture.stop(t)
	if p := lab.attached(t, "lo"); p.id != 0 {
		t.Errorf("lo still carries %v", p)
	}
	complain(t, lab.right, 2, []string{"offload"}, "-i", right(0), "--mode", "offload")
	lab.wantNoProgram(t)
}

func TestCommands(t *testing.T) {
	lab := newLab(t)
	for args, word := range map[string]string{
		"version": "xdplog", "completion bash": "xdplog", "completion zsh": "xdplog", "--help": "--netns",
	} {
		end := start(t, lab.right, strings.Fields(args)...).wait(t)
		if end.status != 0 || end.stderr != "" || !strings.Contains(strings.Join(end.lines, "\n"), word) {
			t.Errorf("xdplog %s: exit status is %d, want 0, and stderr %q, want none, and %q on standard output", args, end.status, end.stderr, word)
		}
	}
}
