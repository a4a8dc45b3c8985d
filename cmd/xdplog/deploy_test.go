package main

import (
	"os"
	"strings"
	"testing"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
)

// TestImage holds the Dockerfile to the root that the end-to-end tests build by
// hand: one file.
func TestImage(t *testing.T) {
	_, last, found := strings.Cut(deployed(t, "Dockerfile"), "FROM scratch\n")
	if want := "COPY --from=build /src/bin/xdplog /xdplog\nENTRYPOINT [\"/xdplog\"]\n"; !found || last != want {
		t.Errorf("the image is %q, want %q", last, want)
	}
}

// TestService holds the unit to the command: its command lines make sense, and
// it has the three capabilities that a run needs.
func TestService(t *testing.T) {
	unit := deployed(t, "xdplog@.service")
	lines := 0
	for line := range strings.Lines(unit) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "ExecStart":
			lines++
			words := strings.Fields(value)[1:]
			words[len(words)-1] = strings.Replace(words[len(words)-1], "$XDPLOG_FLAGS", "-q", 1)
			cmd, rest, err := newCommand(run.Environment{}).Find(words)
			if err == nil {
				err = cmd.ParseFlags(rest)
			}
			if err != nil {
				t.Errorf("%s: %v", line, err)
			}
		case "CapabilityBoundingSet", "AmbientCapabilities":
			lines++
			if value != "CAP_BPF CAP_NET_ADMIN CAP_PERFMON" {
				t.Errorf("%s has %s", key, value)
			}
		}
	}
	if lines != 3 {
		t.Errorf("%d lines of commands and capabilities, want 3", lines)
	}
}

func deployed(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
