package e2e

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// A fact is a line of xdplog check -o json.
type fact struct {
	EventType string `json:"event_type"`
	Name      string `json:"fact"`
	Status    string
	Required  bool
	Found     string
	Todo      string
}

// runCheck runs xdplog check, and returns what it found, by name.
func runCheck(t testing.TB, th *thread, setup func(*exec.Cmd), args ...string) (map[string]fact, result) {
	t.Helper()
	cmd := command(append([]string{"check", "-o", "json"}, args...)...)
	if setup != nil {
		setup(cmd)
	}
	end := launch(t, th, cmd).read().wait(t)
	facts := make(map[string]fact)
	for _, line := range end.lines {
		var f fact
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if !slices.Contains([]string{"ok", "no", "unknown"}, f.Status) || f.EventType != "check" || f.Name == "" {
			t.Errorf("no fact: %s", line)
		}
		facts[f.Name] = f
	}
	return facts, end
}

// TestCheck finds all well as root, and leaves nothing attached.
func TestCheck(t *testing.T) {
	lab := newLab(t)
	facts, end := runCheck(t, lab.right, nil, "-i", right(0))
	if end.status != 0 || end.stderr != "" {
		t.Errorf("exit status is %d, want 0:\n%s", end.status, end.stderr)
	}
	for _, name := range []string{
		"capability CAP_BPF", "capability CAP_SYS_ADMIN", "bpf(2)", "transport perf", "transport ringbuf",
		"mode native", "mode generic", right(0) + " link", right(0) + " MTU", right(0) + " XDP program",
	} {
		if facts[name].Status != "ok" {
			t.Errorf("%s is %+v, want ok", name, facts[name])
		}
	}
	if driver := facts[right(0)+" driver"]; driver.Found != "veth" {
		t.Errorf("the driver is %+v, want veth", driver)
	}
	if f := facts[right(0)+" meanwhile"]; f.Status != "no" || !strings.Contains(f.Found, "in native mode the other end") {
		t.Errorf("%+v, want what is different for the other end", f)
	}
	lab.wantNoProgram(t)

	text := start(t, lab.right, "check", "-i", right(0)).wait(t)
	if text.status != 0 || !slices.Contains(text.lines, "ok      capability CAP_BPF") {
		t.Errorf("exit status is %d:\n%s", text.status, strings.Join(text.lines, "\n"))
	}
}

// TestCheckNamespace looks at an interface in another network namespace.
func TestCheckNamespace(t *testing.T) {
	lab := newLab(t)
	outside, name := lab.elsewhere(t)
	facts, end := runCheck(t, outside, nil, "-i", right(0), "--netns", name)
	if end.status != 0 || end.stderr != "" {
		t.Errorf("exit status is %d, want 0:\n%s", end.status, end.stderr)
	}
	here, _ := runCheck(t, lab.right, nil, "-i", right(0))
	for _, of := range []string{" link", " driver", " MTU", " receive queues", " XDP features", " XDP program", " meanwhile"} {
		there := facts[right(0)+of]
		if there != here[right(0)+of] || there.Status == "" {
			t.Errorf("%+v from outside, %+v from inside", there, here[right(0)+of])
		}
	}
	if f := facts["capability CAP_SYS_ADMIN"]; !f.Required {
		t.Errorf("%+v, want it to be required", f)
	}

	facts, end = runCheck(t, outside, nil, "-i", right(0), "--netns", "nosuchns")
	if f := facts["interface"]; end.status != 1 || f.Status != "no" || !strings.Contains(f.Found, "no network namespace") {
		t.Errorf("exit status is %d, want 1; %+v", end.status, f)
	}
}

// TestCheckUnprivileged names what is missing, and needs nothing to do so.
func TestCheckUnprivileged(t *testing.T) {
	lab := newLab(t)
	facts, end := runCheck(t, lab.right, func(cmd *exec.Cmd) { cmd.SysProcAttr = nobody() }, "-i", right(0))
	if end.status != 1 || strings.Count(end.stderr, "\n") != 1 {
		t.Errorf("exit status is %d, want 1:\n%s", end.status, end.stderr)
	}
	for _, name := range []string{"capability CAP_BPF", "capability CAP_PERFMON", "capability CAP_NET_ADMIN", "transport perf"} {
		if f := facts[name]; f.Status != "no" || !f.Required || !strings.Contains(end.stderr, name) {
			t.Errorf("%s is %+v, want a required no, and %q to name it", name, f, end.stderr)
		}
	}
	if f := facts["mode native"]; f.Status != "unknown" {
		t.Errorf("mode native is %+v, want unknown", f)
	}

	// The three that a run needs are enough, though not to know all.
	admit(t, nil)
	facts, end = runCheck(t, lab.right, func(cmd *exec.Cmd) {
		cmd.SysProcAttr = nobody(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON)
	}, "-i", right(0))
	if f := facts["capability CAP_SYS_ADMIN"]; end.status != 0 || f.Status != "no" || f.Required {
		t.Errorf("exit status is %d, want 0; CAP_SYS_ADMIN is %+v:\n%s", end.status, f, end.stderr)
	}
}

// TestCheckPlaceTaken looks for what a run on the interface would meet.
func TestCheckPlaceTaken(t *testing.T) {
	lab := newLab(t)
	name := right(0) + " XDP program"
	want := func(status int, verdict, words string) {
		t.Helper()
		facts, end := runCheck(t, lab.right, nil, "-i", right(0))
		if f := facts[name]; end.status != status || f.Status != verdict || !strings.Contains(f.Found+f.Todo, words) {
			t.Errorf("exit status is %d, want %d; %+v, want %s and %q", end.status, status, f, verdict, words)
		}
	}
	remove := lab.foreign(t, "generic")
	want(0, "no", "--place auto looks at tc, for none can stand beside it")
	remove()
	f := lab.firewall(t, "firewall", "native")
	if features.HaveProgramType(ebpf.Tracing) == nil {
		want(0, "no", "--place auto stands beside it")
	} else {
		want(0, "no", "--place auto looks at tc, for none can stand beside it")
	}
	f.off(t)
	capture := lab.xdplog(t)
	want(0, "no", "already watched by xdplog")
	capture.kill(t)
	want(0, "ok", "left by a killed xdplog")
	lab.wantProgram(t, "native")
	lab.xdplog(t).stop(t)
	want(0, "ok", "none there")
}

// TestCheckNoInterface is one that there isn't.
func TestCheckNoInterface(t *testing.T) {
	lab := newLab(t)
	for _, args := range [][]string{{"-i", "nosuch0"}, {"-i", "*"}, nil} {
		facts, end := runCheck(t, lab.right, nil, args...)
		if f := facts["interface"]; end.status != 1 || f.Status != "no" || !strings.Contains(f.Found, right(0)) {
			t.Errorf("%v: exit status is %d, want 1; %+v", args, end.status, f)
		}
	}
}
