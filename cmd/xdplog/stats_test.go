package main

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term/termtest"
)

var (
	statsBefore = wire.Counters{Seen: 100, Captured: 50, Lost: 10}
	statsNow    = wire.Counters{Seen: 300, SampledOut: 3, Captured: 53, Lost: 12}
)

func TestStatsLines(t *testing.T) {
	for output, want := range map[string]string{
		"text": "seen 300 (100/s) matched 68 (4/s) sampled out 3 (2/s) captured 53 (2/s) lost 12 (1/s)\n",
		"none": "seen 300 (100/s) matched 68 (4/s) sampled out 3 (2/s) captured 53 (2/s) lost 12 (1/s)\n",
		"json": `{"timestamp":"2023-01-25T08:57:41.123456789Z","event_type":"stats",` +
			`"stats":{"seen":300,"matched":68,"sampled_out":3,"captured":53,"lost":12},` +
			`"rates":{"seen":100.0,"matched":4.0,"sampled_out":1.5,"captured":1.5,"lost":1.0}}` + "\n",
	} {
		f, err := newFormat(output, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := string(f.appendStats(nil, statsNow, statsBefore, 2, testTime))
		if got != want {
			t.Errorf("%s: got %s, want %s", output, got, want)
		}
		if output == "json" && !json.Valid([]byte(got)) {
			t.Errorf("not JSON: %s", got)
		}
	}
	got := string(closingLines{}.appendStats(nil, wire.Counters{Seen: 5}, wire.Counters{}, 10, testTime))
	if want := "seen 5 (0/s) matched 0 (0/s) captured 0 (0/s) lost 0 (0/s)\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestStatsInPlace is what a terminal gets: one line, and at the end none.
func TestStatsInPlace(t *testing.T) {
	terminal, screen := termtest.Open(t)
	env := environment{stdout: new(strings.Builder), stderr: term.NewPatientWriter(terminal)}
	s := newStats(newText(nil, time.UTC), env, testTime)
	s.print(statsBefore, testTime.Add(time.Second))
	s.print(statsNow, testTime.Add(2*time.Second))
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
		f              format
		stdout, stderr io.Writer
		live           bool
	}{
		{"both on a terminal", newText(nil, time.UTC), terminal, terminal, false},
		{"events in a pipe", newText(nil, time.UTC), pipe, terminal, true},
		{"no events", none{}, terminal, terminal, true},
		{"counters in a pipe", none{}, terminal, pipe, false},
		{"JSON", newJSON(nil), pipe, terminal, false},
	} {
		env := environment{stdout: c.stdout, stderr: c.stderr}
		if s := newStats(c.f, env, testTime); s.live != c.live {
			t.Errorf("%s: live is %v, want %v", c.name, s.live, c.live)
		}
	}
}
