package format

import (
	"encoding/json"
	"testing"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/eventtest"
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
			`"stats":{"seen":300,"matched":68,"sampled_out":3,"captured":53,"lost":12,"matched_bytes":0,"captured_bytes":0,"lost_bytes":0},` +
			`"rates":{"seen":100.0,"matched":4.0,"sampled_out":1.5,"captured":1.5,"lost":1.0}}` + "\n",
	} {
		f := newFormat(t, output, nil)
		got := string(f.AppendStats(nil, statsNow, statsBefore, 2, eventtest.Time))
		if got != want {
			t.Errorf("%s: got %s, want %s", output, got, want)
		}
		if output == "json" && !json.Valid([]byte(got)) {
			t.Errorf("not JSON: %s", got)
		}
	}
	got := string(closingLines{}.AppendStats(nil, wire.Counters{Seen: 5}, wire.Counters{}, 10, eventtest.Time))
	if want := "seen 5 (0/s) matched 0 (0/s) captured 0 (0/s) lost 0 (0/s)\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
