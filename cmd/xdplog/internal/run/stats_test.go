package run

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/eventtest"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/format"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term/termtest"
)

var (
	statsBefore = wire.Counters{Seen: 100, Captured: 50, Lost: 10}
	statsNow    = wire.Counters{Seen: 300, SampledOut: 3, Captured: 53, Lost: 12}
)

// TestStatsInPlace is what a terminal gets: one line, and at the end none.
func TestStatsInPlace(t *testing.T) {
	terminal, screen := termtest.Open(t)
	env := Environment{Stdout: new(strings.Builder), Stderr: term.NewPatientWriter(terminal)}
	s := newStats(format.Default(), format.Default().New(format.Options{}), env, eventtest.Time)
	s.print(statsBefore, eventtest.Time.Add(time.Second))
	s.print(statsNow, eventtest.Time.Add(2*time.Second))
	s.clear()
	s.clear()
	want := clearLine + noWrap + "seen 100 (100/s) matched 60 (60/s) captured 50 (50/s) lost 10 (10/s)" + wrap +
		clearLine + noWrap + "seen 300 (200/s) matched 68 (8/s) sampled out 3 (3/s) captured 53 (3/s) lost 12 (2/s)" + wrap +
		clearLine
	var got []byte
	for len(got) < len(want) {
		b := make([]byte, 1024)
		n, err := screen.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b[:n]...)
	}
	if string(got) != want {
		t.Errorf("the terminal got\n%q, want\n%q", got, want)
	}
}

// TestStatsPlace is where a line may change in place.
func TestStatsPlace(t *testing.T) {
	terminal, _ := termtest.Open(t)
	pipe := new(strings.Builder)
	for _, c := range []struct {
		name           string
		output         string
		stdout, stderr io.Writer
		live           bool
	}{
		{"both on a terminal", "text", terminal, terminal, false},
		{"events in a pipe", "text", pipe, terminal, true},
		{"no events", "none", terminal, terminal, true},
		{"counters in a pipe", "none", terminal, pipe, false},
		{"JSON", "json", pipe, terminal, false},
	} {
		env := Environment{Stdout: c.stdout, Stderr: c.stderr}
		kind := kindOf(t, c.output)
		if s := newStats(kind, kind.New(format.Options{}), env, eventtest.Time); s.live != c.live {
			t.Errorf("%s: live is %v, want %v", c.name, s.live, c.live)
		}
	}
}
