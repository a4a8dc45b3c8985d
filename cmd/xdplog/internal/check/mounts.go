package check

import (
	"os"
	"slices"
	"strings"
)

// mountFacts are what a bare root lacks, as that of a chroot.
func mountFacts() []fact {
	var facts []fact
	for _, m := range []struct{ name, file, todo string }{
		{"/proc", "/proc/self/mountinfo", "mount -t proc proc /proc"},
		{"/sys", "/sys/devices/system/cpu/possible", "mount -t sysfs sysfs /sys"},
	} {
		f := fact{name: m.name, verdict: yes, required: true}
		if _, err := os.Stat(m.file); err != nil {
			f.verdict, f.found, f.todo = no, "not mounted", m.todo
		}
		facts = append(facts, f)
	}
	return facts
}

// hasProc reports whether /proc is mounted, without which much can't be asked.
func hasProc() bool {
	_, err := os.Stat("/proc/self/mountinfo")
	return err == nil
}

const withoutProc = "can't be asked without /proc"

// tokenFact is whether a bpffs delegates what bpf(2) takes into this user namespace: a
// token of it does for the capabilities, which mean nothing there (Linux 6.9).
func tokenFact() fact {
	f := fact{name: "BPF token", verdict: yes, found: "none is delegated here: capabilities are what counts"}
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		f.verdict, f.found = unknown, withoutProc
		return f
	}
	if at, ok := delegating(string(text)); ok {
		f.found = "delegated by " + at + ", which is used"
	}
	return f
}

// delegating is where a bpffs is mounted that delegates something: proc_pid_mountinfo(5).
func delegating(mountinfo string) (at string, ok bool) {
	for line := range strings.Lines(mountinfo) {
		before, after, _ := strings.Cut(line, " - ")
		mount, super := strings.Fields(before), strings.Fields(after)
		if len(mount) < 5 || len(super) < 3 || super[0] != "bpf" {
			continue
		}
		if slices.ContainsFunc(strings.Split(super[2], ","), func(o string) bool { return strings.HasPrefix(o, "delegate_") }) {
			return mount[4], true
		}
	}
	return "", false
}
