package check

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDelegating(t *testing.T) {
	const plain = "31 23 0:27 / /sys/fs/bpf rw,nosuid - bpf bpf rw,mode=700\n"
	const token = "40 23 0:40 / /run/tok rw shared:5 - bpf none rw,mode=700,delegate_cmds=prog_load,delegate_maps=any\n"
	if at, ok := delegating("22 1 8:1 / / rw - ext4 /dev/vda rw\n" + plain + "\n"); ok {
		t.Errorf("%s delegates", at)
	}
	if at, ok := delegating(plain + token); !ok || at != "/run/tok" {
		t.Errorf("%q, %v", at, ok)
	}
}

// TestConclusion is the one sentence at the end.
func TestConclusion(t *testing.T) {
	ok := fact{name: "kernel", verdict: yes, required: true}
	capability := fact{name: "capability CAP_BPF", verdict: no, required: true, found: "missing", todo: "run as root"}
	perf := fact{name: "transport perf", verdict: no, required: true, found: "load the program: no"}
	optional := fact{name: "kernel BTF", verdict: no}
	for _, c := range []struct {
		facts      []fact
		interfaces []string
		works      string
		fault      string
	}{
		{[]fact{ok, optional}, []string{"eth0"}, "xdplog -i eth0 works here", ""},
		{[]fact{ok}, []string{"eth0", "a b"}, "xdplog -i eth0 -i 'a b' works here", ""},
		{[]fact{ok, {name: "eth0 link", verdict: no, todo: "ip link set eth0 up"}}, []string{"eth0"}, "xdplog -i eth0 works here, after ip link set eth0 up", ""},
		{[]fact{ok, capability, perf}, nil, "", "it would not work here: see capability CAP_BPF, transport perf; first run as root"},
		{[]fact{perf}, nil, "", "it would not work here: see transport perf: load the program: no"},
	} {
		works, err := conclude(c.facts, c.interfaces, "")
		if c.fault == "" && (works.found != c.works || err != nil) || c.fault != "" && (err == nil || err.Error() != c.fault) {
			t.Errorf("%+v: %q, %v", c.facts, works.found, err)
		}
	}
	if works, _ := conclude(nil, []string{"eth0"}, "web"); works.found != "xdplog -i eth0 --netns web works here" {
		t.Errorf("in a namespace: %s", works.found)
	}
}

// TestJITFact: some machines' kernels have no compiler, and namespaces don't tell.
func TestJITFact(t *testing.T) {
	for _, c := range []struct {
		files map[string]string
		want  verdict
		found string
	}{
		{map[string]string{"bpf_jit_enable": "1\n", "netdev_budget": "300"}, yes, "on"},
		{map[string]string{"bpf_jit_enable": "0\n", "netdev_budget": "300"}, no, "off, so the program is interpreted"},
		{map[string]string{"netdev_budget": "300"}, no, "this kernel has none, so the program is interpreted"},
		{nil, unknown, "told in the machine's own network namespace alone"},
	} {
		dir := t.TempDir()
		for name, text := range c.files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if f := jitFact(dir); f.verdict != c.want || f.found != c.found {
			t.Errorf("of %v: %+v", c.files, f)
		}
	}
}
