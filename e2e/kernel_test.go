package e2e

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/loader"
)

// What kernels have, or don't, is found by trying, never by their version.

// machineEnv is "own" where nobody else uses the machine, so that a test may
// change its settings.
const machineEnv = "XDPLOG_E2E_MACHINE"

// nativeJumbo is what kernels lack that takesFrags says no of.
const nativeJumbo = "native XDP for packets of several buffers, as jumbo frames are (Linux 5.18)"

// lacks notes what the kernel does not have and the test therefore leaves out.
// Package e2e/kernels/runner finds these lines.
func lacks(t testing.TB, feature string, args ...any) {
	t.Helper()
	t.Logf("this kernel lacks "+feature, args...)
}

// hasBTF says whether the kernel says how its structures are laid out.
func hasBTF(t testing.TB) bool {
	t.Helper()
	_, err := loader.Kernel()
	if errors.Is(err, loader.ErrNoBTF) {
		lacks(t, "BTF")
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	return true
}

// needTransport skips a test of transport mmap where the kernel does not take it,
// after it has seen that xdplog says so.
func needTransport(t *testing.T, transport asm.Transport) {
	t.Helper()
	needPrivilege(t)
	if transport != asm.Mmap {
		return
	}
	coll, err := loader.Load(asm.Config{Transport: transport, Buffer: asm.MinBuffer})
	if err == nil {
		coll.Close()
		return
	}
	for words, lacking := range map[string]string{
		"Linux 5.12":       "atomics that fetch, which transport mmap takes (Linux 5.12)",
		"bpf_jit_enable=0": "a compiler for transport mmap's atomics, and an interpreter beside the compiler",
	} {
		if strings.Contains(err.Error(), words) {
			complain(t, newLab(t).right, 1, []string{words, "ringbuf or perf"}, "-i", right(0), "--transport", transport.String())
			t.Skip("this kernel lacks " + lacking)
		}
	}
	t.Fatal(err)
}

// admit lets processes of others than root have what some kernels keep from
// them whatever their capabilities, for as long as the test runs. Where that is
// a setting, attempt, unless nil, shows before that xdplog names it.
func admit(t *testing.T, attempt func(words ...string)) {
	t.Helper()
	if countsLocked(t) {
		lacks(t, "BPF memory that is not counted as locked memory (Linux 5.11)")
		setMemlock(t, unix.RLIM_INFINITY)
	}
	const sysctl = "/proc/sys/kernel/perf_event_paranoid"
	text, err := os.ReadFile(sysctl)
	if err != nil {
		t.Fatal(err)
	}
	level, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatalf("%s: %v", sysctl, err)
	}
	const most = 2 // that Linux has; distributions add levels at which CAP_PERFMON does not count
	if level <= most {
		return
	}
	if attempt != nil {
		attempt(fmt.Sprintf("kernel.perf_event_paranoid is %d", level))
	}
	lacks(t, "perf events by CAP_PERFMON alone while kernel.perf_event_paranoid is %d", level)
	if os.Getenv(machineEnv) != "own" {
		t.Skipf("kernel.perf_event_paranoid is %d, and this machine is not the test's own (%s)", level, machineEnv)
	}
	if err := os.WriteFile(sysctl, []byte(strconv.Itoa(most)), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.WriteFile(sysctl, text, 0) })
}

// hasCoarseTime reports whether the kernel has coarse time stamps (Linux 5.11).
func hasCoarseTime(t testing.TB) bool {
	t.Helper()
	needPrivilege(t)
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP,
		Instructions: bpf.Instructions{
			bpf.FnKtimeGetCoarseNs.Call(),
			bpf.Mov.Imm(bpf.R0, xdpPass),
			bpf.Return(),
		},
	})
	if err != nil {
		return false
	}
	prog.Close()
	return true
}

// hasLargeValues reports whether maps have values of 16 MiB. Older kernels, 5.10
// among them, have none over 4.
func hasLargeValues(t testing.TB) bool {
	t.Helper()
	needPrivilege(t)
	defer setMemlock(t, unix.RLIM_INFINITY)()
	probe, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 16 << 20, MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE})
	if err != nil {
		return false
	}
	probe.Close()
	return true
}

// countsLocked reports whether the kernel counts BPF maps as locked memory.
func countsLocked(t testing.TB) bool {
	t.Helper()
	create := func(limit uint64) error {
		defer setMemlock(t, limit)()
		probe, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
		if err == nil {
			probe.Close()
		}
		return err
	}
	// Package ebpf asks the kernel for features once, and must not be told no
	// for want of memory.
	if err := create(unix.RLIM_INFINITY); err != nil {
		t.Fatalf("make a map: %v", err)
	}
	return create(0) != nil
}

// setMemlock sets how much memory this process and those it starts may lock,
// until restore is called or the test ends: no more than the hard limit where
// root may not raise that.
func setMemlock(t testing.TB, limit uint64) (restore func()) {
	t.Helper()
	set := func(cur, most uint64) error {
		return unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: cur, Max: most}, nil)
	}
	var before unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_MEMLOCK, nil, &before); err != nil {
		t.Fatalf("read the limit of locked memory: %v", err)
	}
	err := set(limit, unix.RLIM_INFINITY)
	if err != nil {
		err = set(min(limit, before.Max), before.Max)
	}
	if err != nil {
		t.Fatalf("limit locked memory to %d: %v", limit, err)
	}
	restore = func() { set(before.Cur, before.Max) }
	t.Cleanup(restore)
	return restore
}
