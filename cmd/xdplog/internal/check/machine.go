package check

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/lab"
	"github.com/xdplog/xdplog/loader"
	"github.com/xdplog/xdplog/reader"
)

// machineFacts are those that every interface in a namespace shares.
func machineFacts(namespace string) []fact {
	facts := append([]fact{kernelFact()}, mountFacts()...)
	facts = append(facts, capabilityFacts(namespace != "")...)
	facts = append(facts, bpfFact(), memlockFact(), jitFact("/proc/sys/net/core"), unprivilegedFact(), tokenFact(), btfFact())
	facts = append(facts, transportFacts()...)
	return append(facts, modeFacts()...)
}

func kernelFact() fact {
	f := fact{name: "kernel", verdict: unknown}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		f.found = err.Error()
		return f
	}
	// Whether it is new enough is told by what it loads, below.
	f.verdict = yes
	f.found = unix.ByteSliceToString(name.Release[:]) + " " + unix.ByteSliceToString(name.Machine[:])
	return f
}

// capabilityFacts tell of each capability; to enter a namespace takes one more.
func capabilityFacts(enter bool) []fact {
	const enters = "CAP_SYS_ADMIN"
	missing := loader.MissingCapabilities()
	var facts []fact
	var wanted []string // setcap replaces what a file has, so all are granted at once
	for _, name := range []string{"CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON", enters} {
		f := fact{name: "capability " + name, verdict: yes, required: enter || name != enters}
		if f.required {
			wanted = append(wanted, strings.ToLower(name))
		}
		if slices.Contains(missing, name) {
			f.verdict, f.found = no, "missing"
			if !f.required {
				f.found = "missing, so no --netns and no demo"
			}
		}
		facts = append(facts, f)
	}
	for i := range facts {
		if facts[i].verdict == no {
			all := wanted
			if !facts[i].required {
				all = append(slices.Clone(wanted), strings.ToLower(enters))
			}
			facts[i].todo = "run as root, or grant " + strings.Join(all, ",") + "+ep with setcap"
		}
	}
	return facts
}

// bpfFact is whether bpf(2) is there and may be called.
func bpfFact() fact {
	f := fact{name: "bpf(2)", verdict: yes, required: true}
	err := features.HaveMapType(ebpf.Array)
	switch {
	case err == nil:
	case !hasProc():
		f.verdict, f.required, f.found = unknown, false, withoutProc
	case errors.Is(err, unix.ENOSYS):
		f.verdict, f.found, f.todo = no, "not in this kernel", "it needs CONFIG_BPF_SYSCALL"
	default:
		f.verdict, f.found = no, lastOf(err)
		f.todo = "see the capabilities; where they are there, a seccomp profile, a security module or a user namespace forbids it"
	}
	return f
}

// memlockFact tries to lift the limit on locked memory: of this process alone,
// and only where the kernel counts maps against it (before Linux 5.11).
func memlockFact() fact {
	if !hasProc() {
		return fact{name: "locked memory", verdict: unknown, found: withoutProc}
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		return fact{name: "locked memory", verdict: unknown, found: lastOf(err),
			todo: "if the transports fail: ulimit -l unlimited"}
	}
	return fact{name: "locked memory", verdict: yes}
}

// jitFact is of the settings below a directory. Other network namespaces than the
// machine's own have few of them.
func jitFact(settings string) fact {
	f := settingFact("BPF JIT", filepath.Join(settings, "bpf_jit_enable"))
	if f.verdict == unknown && hasProc() {
		f.found = "told in the machine's own network namespace alone"
		if _, err := os.Stat(filepath.Join(settings, "netdev_budget")); err == nil {
			f.verdict, f.found = no, "this kernel has none, so the program is interpreted"
		}
	}
	switch f.found {
	case "0":
		f.verdict, f.found = no, "off, so the program is interpreted"
		f.todo = "sysctl net.core.bpf_jit_enable=1 makes it several times as fast"
	case "1":
		f.found = "on"
	case "2":
		f.found = "on, with a trace in the kernel's log"
	}
	return f
}

func unprivilegedFact() fact {
	f := settingFact("unprivileged BPF", "/proc/sys/kernel/unprivileged_bpf_disabled")
	switch f.found {
	case "0":
		f.found = "allowed; XDP takes capabilities all the same"
	case "1", "2":
		f.found = "not allowed, as is usual"
	}
	return f
}

// settingFact is what a sysctl says, as text.
func settingFact(name, file string) fact {
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fact{name: name, verdict: unknown, found: file + " is not there"}
	case err != nil:
		return fact{name: name, verdict: unknown, found: err.Error()}
	}
	return fact{name: name, verdict: yes, found: strings.TrimSpace(string(text))}
}

func btfFact() fact {
	f := fact{name: "kernel BTF", verdict: yes}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		f.verdict, f.found = no, "not there; xdplog does without"
	}
	return f
}

// transportFacts loads the program once for each way to hand over records. A run takes
// one that works, so none is required by itself.
func transportFacts() []fact {
	var facts []fact
	works := false
	for _, transport := range asm.Transports() {
		f := fact{name: "transport " + transport.String(), verdict: yes, found: "program and reader load"}
		if err := tryTransport(transport); err != nil {
			f.verdict, f.found = no, err.Error()
		}
		works = works || f.verdict == yes
		facts = append(facts, f)
	}
	facts[0].required = !works
	return facts
}

func tryTransport(transport asm.Transport) error {
	collection, err := loader.Load(asm.Config{Transport: transport, Buffer: asm.MinBuffer})
	if err != nil {
		return err
	}
	defer collection.Close()
	r, err := reader.New(collection, reader.Options{})
	if err != nil {
		return err
	}
	return r.Close()
}

// modeFacts attaches to a veth in a namespace that nobody else can see.
func modeFacts() []fact {
	modes := []loader.Mode{loader.Native, loader.Generic}
	facts := make([]fact, len(modes))
	for i, mode := range modes {
		facts[i] = fact{name: "mode " + mode.String(), verdict: unknown, required: mode == loader.Generic}
	}
	all := func(v verdict, err error) []fact {
		for i := range facts {
			facts[i].verdict, facts[i].found = v, err.Error()
		}
		return facts
	}
	l, err := lab.New()
	if err != nil {
		return all(unknown, err)
	}
	defer l.Close()
	if err := l.WaitUp(context.Background()); err != nil {
		return all(unknown, err)
	}
	collection, err := loader.Load(asm.Config{})
	if err != nil {
		return all(no, err)
	}
	defer collection.Close()
	for i, mode := range modes {
		a, err := loader.Attach(collection, loader.Options{
			Interface: lab.ReceiverName, Mode: mode, Namespace: l.Receiver.Path(),
		})
		if err == nil {
			err = a.Close()
		}
		facts[i].verdict, facts[i].found = yes, "on a veth"
		if err != nil {
			facts[i].verdict, facts[i].found = no, err.Error()
		}
	}
	return facts
}

// lastOf is the innermost error: the kernel's word.
func lastOf(err error) string {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err.Error()
}
