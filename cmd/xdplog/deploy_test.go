package main

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
)

// TestImage holds the Dockerfile to the root that the end-to-end tests build by
// hand: one file, with three capabilities, for a user who has no other.
func TestImage(t *testing.T) {
	dockerfile := deployed(t, "Dockerfile")
	_, last, found := strings.Cut(dockerfile, "FROM scratch\n")
	if want := "COPY --from=build /src/bin/xdplog /xdplog\nUSER 65532:65532\nENTRYPOINT [\"/xdplog\"]\n"; !found || last != want {
		t.Errorf("the image is %q, want %q", last, want)
	}
	for _, want := range []string{"setcap cap_bpf,cap_net_admin,cap_perfmon+ep bin/xdplog\n", "FROM --platform=$BUILDPLATFORM golang:1.26."} {
		if !strings.Contains(dockerfile, want) {
			t.Errorf("there is no %q", want)
		}
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
		case "Type":
			lines++
			if value != "notify" {
				t.Errorf("a service of type %s", value)
			}
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
	if lines != 4 {
		t.Errorf("%d lines of type, commands and capabilities, want 4", lines)
	}
}

// TestDaemonSet holds the DaemonSet to the command: its arguments make sense. What
// Kubernetes makes of it is a test in a module of its own, e2e/kubelint.
func TestDaemonSet(t *testing.T) {
	_, list, _ := strings.Cut(deployed(t, "kubernetes.yaml"), "\n          args:\n")
	var args []string
	for line := range strings.Lines(list) {
		arg, ok := strings.CutPrefix(line, "            - ")
		if !ok {
			break
		}
		arg, _, _ = strings.Cut(strings.TrimSpace(arg), " #")
		args = append(args, strings.Replace(strings.TrimSpace(arg), "$(HOST_IP)", "192.0.2.1", 1))
	}
	if len(args) == 0 {
		t.Fatal("no arguments")
	}
	cmd := newCommand(run.Environment{})
	var opts options
	check := &cobra.Command{}
	opts.addFlags(check)
	for _, parse := range []*cobra.Command{cmd, check} {
		if err := parse.ParseFlags(args); err != nil {
			t.Fatalf("%q: %v", args, err)
		}
	}
	if err := opts.check(check.Flags()); err != nil {
		t.Errorf("%q: %v", args, err)
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
