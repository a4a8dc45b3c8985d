package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"testing"
	"time"
)

// An event is a line of -o json.
type event struct {
	Time        time.Time `json:"timestamp"`
	Interface   string    `json:"in_iface"`
	Length      int       `json:"pkt_len"`
	Source      string    `json:"src_ip"`
	Destination string    `json:"dest_ip"`
	SourcePort  uint16    `json:"src_port"`
	Port        uint16    `json:"dest_port"`
	Protocol    string    `json:"proto"`
	TCPFlags    string    `json:"tcp_flags"`
	Direction   string    `json:"direction"`
	Segments    int       `json:"segments"`

	text string // all of the line that follows in_iface: what tests compare
}

func (e event) String() string { return e.Interface + ": " + e.text }

func (e event) isMarker() bool { return e.Port == markerPort && e.SourcePort == markerPort }

// eventLine is what every event begins with, byte for byte: RFC 3339, UTC, and
// all nine digits of the nanoseconds.
var eventLine = regexp.MustCompile(`^\{"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z","event_type":"packet","in_iface":"[a-z0-9]+",(.*)\}$`)

func parseEvent(t testing.TB, line string) event {
	t.Helper()
	parts := eventLine.FindStringSubmatch(line)
	if parts == nil {
		t.Fatalf("this is not an event: %q", line)
	}
	e := event{text: parts[1]}
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		t.Fatalf("%v in event %q", err, line)
	}
	if age := time.Since(e.Time); age < 0 || age > timeout+time.Minute {
		t.Fatalf("event says it is %v old: %q", age, line)
	}
	return e
}

// counters is a line of statistics under -o json.
type counters struct {
	Seen       uint64 `json:"seen"`
	Matched    uint64 `json:"matched"`
	SampledOut uint64 `json:"sampled_out"`
	Captured   uint64 `json:"captured"`
	Lost       uint64 `json:"lost"`

	MatchedBytes  uint64 `json:"matched_bytes"`
	CapturedBytes uint64 `json:"captured_bytes"`
	LostBytes     uint64 `json:"lost_bytes"`
}

// statsLine is a line of counters, byte for byte; with rates under --stats, and sums under --flows.
var statsLine = regexp.MustCompile(`(?m)^\{"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z","event_type":"stats",` +
	`"stats":(\{"seen":\d+,"matched":\d+,"sampled_out":\d+,"captured":\d+,"lost":\d+,"matched_bytes":\d+,"captured_bytes":\d+,"lost_bytes":\d+\})` +
	`(?:,"rates":\{"seen":[\d.]+,"matched":[\d.]+,"sampled_out":[\d.]+,"captured":[\d.]+,"lost":[\d.]+\})?(?:,"flows":\{[^}]*\})?\}$`)

// parseCounters returns all counters in a text, oldest first.
func parseCounters(text string) ([]counters, error) {
	var all []counters
	for _, match := range statsLine.FindAllStringSubmatch(text, -1) {
		var c counters
		if err := json.Unmarshal([]byte(match[1]), &c); err != nil {
			return nil, err
		}
		if c.Matched != c.SampledOut+c.Captured+c.Lost || c.Seen < c.Matched {
			return nil, fmt.Errorf("counters contradict themselves: %+v", c)
		}
		all = append(all, c)
	}
	return all, nil
}

// matches reports whether a regular expression occurs in a text.
func matches(pattern, text string) bool {
	return regexp.MustCompile(pattern).MatchString(text)
}
