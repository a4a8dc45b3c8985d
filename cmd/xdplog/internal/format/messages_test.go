package format

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestMessages(t *testing.T) {
	var b bytes.Buffer
	m := &Messages{To: &b}
	const lines = "listening on a\"b\nxdplog: no luck\n{\"event_type\":\"stats\"}\n"
	if n, err := m.Write([]byte(lines)); n != len(lines) || err != nil || b.String() != lines {
		t.Errorf("as text: %d, %v, %s", n, err, &b)
	}
	b.Reset()
	m.JSON, m.Micro = true, true
	if n, err := m.Write([]byte(lines)); n != len(lines) || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	var got []string
	for line := range strings.Lines(b.String()) {
		var object struct {
			Timestamp, Event_type, Log_level string
			Engine                           struct{ Message string }
		}
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got = append(got, object.Event_type, object.Log_level, object.Engine.Message)
		if object.Event_type == "engine" && len(object.Timestamp) != len("2006-01-02T15:04:05.000000Z") {
			t.Errorf("time %s", object.Timestamp)
		}
	}
	if want := "engine|Notice|listening on a\"b|engine|Error|no luck|stats||"; strings.Join(got, "|") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
	}
}
