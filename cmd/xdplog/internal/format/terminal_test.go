package format

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/detail"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/eventtest"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term/termtest"
	"github.com/xdplog/xdplog/reader"
)

var escapes = regexp.MustCompile("\x1b\\[[0-9]*m")

// TestTerminalWords has the same words as in a pipe, for all kinds of events.
func TestTerminalWords(t *testing.T) {
	for _, f := range []*terminalText{{color: true, align: true}, {color: true}, {align: true}} {
		f.text = newText(eventtest.Interfaces, time.UTC)
		plain := newText(eventtest.Interfaces, time.UTC)
		for _, c := range formatCases {
			line := escapes.ReplaceAllString(string(f.AppendEvent(nil, &c.event, detail.Packet{})), "")
			want := string(plain.AppendEvent(nil, &c.event, detail.Packet{}))
			if !f.align && line != want {
				t.Errorf("%s: %q, want %q", c.name, line, want)
			}
			if got := strings.Join(strings.Fields(line), " ") + "\n"; got != strings.Join(strings.Fields(want), " ")+"\n" {
				t.Errorf("%s: %q, want %q", c.name, got, want)
			}
			if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
				t.Errorf("%s: not one line: %q", c.name, line)
			}
		}
	}
}

func TestColumnsLineUp(t *testing.T) {
	f := &terminalText{text: newText(eventtest.Interfaces, time.UTC), align: true}
	events := []reader.Event{eventtest.Usual(), eventtest.Usual(eventtest.UDP), eventtest.Usual(eventtest.IPv6), eventtest.Usual(eventtest.Protocol(1)), eventtest.Usual()}
	var lines []string
	for range 2 { // the widths are known the second time
		lines = nil
		for i := range events {
			lines = append(lines, string(f.AppendEvent(nil, &events[i], detail.Packet{})))
		}
	}
	for _, word := range []string{" > ", " ttl ", " len "} {
		for _, line := range lines {
			if at, want := strings.Index(line, word), strings.Index(lines[0], word); at != want {
				t.Errorf("%q begins at %d and %d in\n%s", word, at, want, strings.Join(lines, ""))
			}
		}
	}
}

func TestColors(t *testing.T) {
	f := &terminalText{text: newText(eventtest.Interfaces, time.UTC), color: true}
	e := eventtest.Usual(func(e *reader.Event) { e.TCPFlags = 0x14 })
	want := "\x1b[2m08:57:41.123456 \x1b[0meth0 \x1b[36mtcp\x1b[0m \x1b[1m60.235.240.157:443\x1b[0m > 10.0.0.2:51324" +
		"\x1b[31m [R.]\x1b[0m ttl 57 len 60\n"
	if got := string(f.AppendEvent(nil, &e, detail.Packet{})); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

func TestStyle(t *testing.T) {
	for _, color := range []string{"", "auto", "never"} {
		f := Style{Color: color}.apply(newText(nil, time.UTC), new(bytes.Buffer))
		if _, ok := f.(*text); !ok {
			t.Errorf("--color %s in a pipe: %T", color, f)
		}
	}
	always, ok := Style{Color: "always"}.apply(newText(nil, time.UTC), new(bytes.Buffer)).(*terminalText)
	if !ok || !always.color || always.align {
		t.Errorf("--color always in a pipe: %+v", always)
	}
	terminal, _ := termtest.Open(t)
	evil := Style{}.apply(newText([]names.Interface{{Index: 2, Name: "\x1b[2Jx"}}, time.UTC), terminal)
	if e := eventtest.Usual(); !strings.Contains(string(evil.AppendEvent(nil, &e, detail.Packet{})), "_[2Jx") {
		t.Error("an interface's name commands the terminal")
	}
	for color, want := range map[string]bool{"": true, "auto": true, "always": true, "never": false} {
		t.Setenv("NO_COLOR", "")
		t.Setenv("TERM", "xterm")
		f, ok := Style{Color: color}.apply(newText(nil, time.UTC), terminal).(*terminalText)
		if !ok || f.color != want || !f.align {
			t.Errorf("--color %s on a terminal: %+v", color, f)
		}
		t.Setenv("NO_COLOR", "1")
		f, ok = Style{Color: color}.apply(newText(nil, time.UTC), terminal).(*terminalText)
		if !ok || f.color != (color == "always") || !f.align {
			t.Errorf("--color %s on a terminal with NO_COLOR: %+v", color, f)
		}
	}
	json, err := Find("json")
	if err != nil {
		t.Fatal(err)
	}
	if f, ok := json.New(Options{Style: Style{Color: "always"}, Output: terminal}).(*jsonLines); !ok {
		t.Errorf("JSON became %T", f)
	}
}

func TestTimeFormats(t *testing.T) {
	times := []time.Duration{0, 1500 * time.Microsecond, time.Second, 999 * time.Millisecond, 26*time.Hour + 59*time.Second}
	for format, want := range map[string]string{
		"":        "08:57:41.123456 |08:57:41.124956 |08:57:42.123456 |08:57:42.122456 |10:58:40.123456 |",
		"time":    "08:57:41.123456 |08:57:41.124956 |08:57:42.123456 |08:57:42.122456 |10:58:40.123456 |",
		"none":    "|||||",
		"epoch":   "1674637061.123456 |1674637061.124956 |1674637062.123456 |1674637062.122456 |1674730720.123456 |",
		"delta":   "00:00:00.000000 |00:00:00.001500 |00:00:00.998500 |-00:00:00.001000 |26:00:58.001000 |",
		"date":    "2023-01-25 08:57:41.123456 |2023-01-25 08:57:41.124956 |2023-01-25 08:57:42.123456 |2023-01-25 08:57:42.122456 |2023-01-26 10:58:40.123456 |",
		"elapsed": "00:00:00.000000 |00:00:00.001500 |00:00:01.000000 |00:00:00.999000 |26:00:59.000000 |",
	} {
		s := newStamp(format, time.UTC)
		var b []byte
		for _, after := range times {
			b = append(s.append(b, eventtest.Time.Add(after)), '|')
		}
		if string(b) != want {
			t.Errorf("%q:\n%s, want\n%s", format, b, want)
		}
	}
	if got := string(new(stamp).appendInterval(nil, 1234*time.Hour)); got != "1234:00:00.000000" {
		t.Errorf("a long interval is %q", got)
	}
}

func TestTerminalDoesNotAllocate(t *testing.T) {
	for _, times := range TimeFormats() {
		f := &terminalText{text: newText(eventtest.Interfaces, time.UTC), color: true, align: true}
		f.stamp = newStamp(times, time.UTC)
		e := eventtest.Usual()
		line := make([]byte, 0, 1024)
		line = f.AppendEvent(line, &e, detail.Packet{})
		if n := testing.AllocsPerRun(100, func() { line = f.AppendEvent(line[:0], &e, detail.Packet{}) }); n != 0 {
			t.Errorf("%s: %v allocations", times, n)
		}
	}
}

func BenchmarkTerminal(b *testing.B) {
	f := &terminalText{text: newText(eventtest.Interfaces, time.UTC), color: true, align: true}
	e := eventtest.Usual()
	line := f.AppendEvent(nil, &e, detail.Packet{})
	for b.Loop() {
		e.Time = e.Time.Add(1000)
		line = f.AppendEvent(line[:0], &e, detail.Packet{})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
