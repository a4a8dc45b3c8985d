package e2e

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCounters sends 100,000 packets and one: not one disappears uncounted.
// With -short, for emulated machines, they are fewer.
func TestCounters(t *testing.T) {
	packets := 100_000
	if testing.Short() {
		packets = 20_000
	}
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		capture := lab.xdplog(t, "--mode", mode)
		lab.burst(t, packets, marker())
		lab.udp(t, 0, false, 53, 1, 18) // received: all before it are, too

		end := capture.stop(t)
		lab.wantNoProgram(t)
		c := end.counters
		t.Logf("%+v", c)
		if want := uint64(packets) + 1; c.Seen != want || c.Matched != want {
			t.Errorf("seen %d and matched %d, want %d", c.Seen, c.Matched, packets+1)
		}
		if got := uint64(len(end.lines)); got != c.Captured {
			t.Errorf("%d events came out, want the %d that were captured", got, c.Captured)
		}
		for _, line := range end.lines {
			parseEvent(t, line)
		}
	})
}

// TestSlowReader stops reading until the buffers are full: what they can't
// take is lost, and all of it is counted.
func TestSlowReader(t *testing.T) {
	const packets = 100_000
	lab := newLab(t)
	capture := launch(t, lab.right, command("-i", right(0), "-o", "json")).listens(t)
	lab.burst(t, packets, marker())
	capture.read()
	capture.untilMarker(t)
	lab.udp(t, 0, false, 53, 1, 18)

	end := capture.stop(t)
	lab.wantNoProgram(t)
	c := end.counters
	t.Logf("%+v", c)
	if c.Matched != packets+1 || c.Lost == 0 {
		t.Errorf("counters are %+v, want %d matched and some of them lost", c, packets+1)
	}
	if got := uint64(len(end.lines)) + 1; got != c.Captured {
		t.Errorf("%d events came out, want the %d that were captured", got, c.Captured)
	}
}

// TestSmallBuffer makes the buffers as small as they get.
func TestSmallBuffer(t *testing.T) {
	lab := newLab(t)
	capture := lab.xdplog(t, "--buffer", "4096")
	lab.burst(t, 10_000, marker())
	lab.udp(t, 0, false, 53, 1, 18)
	end := capture.stop(t)
	lab.wantNoProgram(t)
	if c := end.counters; c.Matched != 10_001 || uint64(len(end.lines)) != c.Captured {
		t.Errorf("counters are %+v and %d events came out, want 10001 matched and as many out as captured", c, len(end.lines))
	}
}

// TestDrain interrupts xdplog while events wait in the buffer.
func TestDrain(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		for range 10 {
			capture := lab.xdplog(t, "--mode", mode)
			lab.send(t, marker(), marker(), marker())
			lab.udp(t, 0, true, 53, 1, 18)
			end := capture.stop(t)
			lab.wantNoProgram(t)
			if end.counters.Captured != 4 || len(end.lines) != 4 {
				t.Fatalf("%d events came out of %+v, want 4", len(end.lines), end.counters)
			}
		}
	})
}

func TestStats(t *testing.T) {
	lab := newLab(t)
	capture := lab.xdplog(t, "--stats", "20ms")
	lab.udp(t, 0, false, 53, 3, 18)
	capture.want(t, udp4, udp4, udp4)
	if !capture.stderr.await(`"captured":3`) {
		t.Error("no statistics while it runs")
	}
	end := capture.stop(t)
	all, err := parseCounters(end.stderr)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 2 {
		t.Errorf("%d lines of statistics, want at least one while it runs and one at the end", len(all))
	}
	for i := 1; i < len(all); i++ {
		if all[i].Seen < all[i-1].Seen || all[i].Captured < all[i-1].Captured {
			t.Errorf("counters run backwards: %+v, then %+v", all[i-1], all[i])
		}
	}
	lab.wantNoProgram(t)
}

// TestFormats compares the formats other than JSON, and their closing lines.
func TestFormats(t *testing.T) {
	closing := "4 packets captured\n4 packets received by filter\n0 packets dropped by kernel\n"
	for format, patterns := range map[string][]string{
		"text": {
			`^\d\d:\d\d:\d\d\.\d{6} right0 udp 192\.0\.2\.1:40000 > 192\.0\.2\.2:53 ttl 64 len 60$`,
			`^\d\d:\d\d:\d\d\.\d{6} right0 tcp \[2001:db8::1\]:50000 > \[2001:db8::2\]:80 \[S\] ttl 64 len 94$`,
			`^\d\d:\d\d:\d\d\.\d{6} right0 tcp \[2001:db8::1\]:50000 > \[2001:db8::2\]:80 \[\.\] ttl 64 len 86$`,
			`^\d\d:\d\d:\d\d\.\d{6} right0 tcp \[2001:db8::1\]:50000 > \[2001:db8::2\]:80 \[R\.\] ttl 64 len 86$`,
		},
		"log": {
			`^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO  xdplog\] SRC IP: 192\.0\.2\.1, SRC_PORT: 40000$`,
			`^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO  xdplog\] SRC IP: 2001:db8::1, SRC_PORT: 50000$`,
			`^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO  xdplog\] SRC IP: 2001:db8::1, SRC_PORT: 50000$`,
			`^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO  xdplog\] SRC IP: 2001:db8::1, SRC_PORT: 50000$`,
		},
		"none": nil,
	} {
		t.Run(format, func(t *testing.T) {
			lab := newLab(t)
			capture := lab.xdplog(t, "-o", format)
			lab.udp(t, 0, false, 53, 1, 18)
			lab.tcp(t, true, 80)
			for _, pattern := range patterns {
				if line := capture.line(t); !matches(pattern, line) {
					t.Errorf("line is %q, want %s", line, pattern)
				}
			}
			end := capture.stop(t)
			lab.wantNoProgram(t)
			if len(end.lines) > 0 {
				t.Errorf("unexpected lines: %q", end.lines)
			}
			if !strings.HasSuffix(end.stderr, closing) {
				t.Errorf("stderr does not end in\n%s", closing)
			}
		})
	}
}

// TestQuiet says nothing but events.
func TestQuiet(t *testing.T) {
	lab := newLab(t)
	for _, flag := range []string{"-q", "--quiet"} {
		capture := start(t, lab.right, "-i", right(0), "-o", "json", flag)
		lab.awaitProgram(t)
		lab.udp(t, 0, false, 53, 1, 18)
		capture.want(t, udp4)
		if end := capture.stop(t); end.stderr != "" {
			t.Errorf("%s: stderr is %q, want none", flag, end.stderr)
		}
		lab.wantNoProgram(t)
	}
}

// TestBlocked ends xdplog while nobody reads what it writes.
func TestBlocked(t *testing.T) {
	for _, signal := range []unix.Signal{unix.SIGINT, unix.SIGTERM} {
		t.Run(unix.SignalName(signal), func(t *testing.T) {
			lab := newLab(t)
			capture := launch(t, lab.right, command("-i", right(0), "-o", "json")).listens(t)
			lab.burst(t, 10_000, marker()) // some 1.7 MB; a pipe holds 64 KiB
			lab.udp(t, 0, false, 53, 1, 18)
			capture.signal(t, signal)
			capture.exits(t)
			lab.wantNoProgram(t)
		})
	}
}
