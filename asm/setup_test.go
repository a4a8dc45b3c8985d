package asm

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/perf"
	"github.com/cilium/ebpf/rlimit"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/internal/oracle"
	"github.com/xdplog/xdplog/asm/wire"
)

// load puts a spec into the kernel. It skips the test where it may not, which
// is EPERM: the verifier refuses with EACCES.
func load(t testing.TB, spec *ebpf.CollectionSpec) *ebpf.Collection {
	t.Helper()
	rlimit.RemoveMemlock() // needed before 5.11 only, where the load then says so
	if spec.Programs[ProgramName].Flags&unix.BPF_F_XDP_HAS_FRAGS != 0 && !takesFrags() {
		t.Skip("this kernel lacks XDP for packets of several buffers (Linux 5.18)")
	}
	coll, err := ebpf.NewCollection(spec)
	if errors.Is(err, unix.EPERM) && os.Getenv("XDPLOG_E2E") != "required" {
		t.Skipf("needs root: %v", err)
	}
	if errors.Is(err, unix.Errno(524)) { // ENOTSUPP
		t.Skip("this kernel lacks a compiler for transport mmap's atomics, and an interpreter beside the compiler")
	}
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(coll.Close)
	return coll
}

// takesFrags reports whether the kernel takes a frags-aware program. Nothing
// else than the flag can be wrong with this one.
func takesFrags() bool {
	pass := ebpf.ProgramSpec{
		Type: ebpf.XDP, License: "MIT", Flags: unix.BPF_F_XDP_HAS_FRAGS,
		Instructions: bpf.Instructions{bpf.Mov.Imm(bpf.R0, xdpPass), bpf.Return()},
	}
	program, err := ebpf.NewProgram(&pass)
	if err == nil {
		program.Close()
	}
	return !errors.Is(err, unix.EINVAL)
}

// onCPU keeps the goroutine on the n-th of the CPUs that the test may run on,
// or the last. It is never unlocked, so that its thread ends with it.
func onCPU(t testing.TB, n int) {
	t.Helper()
	runtime.LockOSThread()
	cpus, err := allowedCPUs()
	if err != nil {
		t.Error(err)
		return
	}
	var one unix.CPUSet
	one.Set(cpus[min(n, len(cpus)-1)])
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Error(err)
	}
}

// allowedCPUs are asked for before any thread is bound to one.
var allowedCPUs = sync.OnceValues(func() (cpus []int, err error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("ask for allowed CPUs: %w", err)
	}
	for cpu := 0; len(cpus) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
})

// install puts a program on an interface that nothing ever comes by, which is
// all that a network namespace of its own has. Old kernels, 5.10 among them,
// rewrite code and wait for all CPUs when they begin to run a program and when
// they cease to, as BPF_PROG_TEST_RUN does with every packet; not for one that
// is in use anyway.
func install(t testing.TB, program *ebpf.Program) {
	t.Helper()
	type result struct {
		namespace *os.File
		err       error
	}
	installed := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends in its namespace
		var r result
		if r.err = unix.Unshare(unix.CLONE_NEWNET); r.err == nil {
			lo := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: 1}}
			r.err = netlink.LinkSetXdpFdWithFlags(lo, program.FD(), unix.XDP_FLAGS_SKB_MODE)
		}
		if r.err == nil {
			r.namespace, r.err = os.Open("/proc/thread-self/ns/net")
		}
		installed <- r
	}()
	r := <-installed
	if r.err != nil {
		t.Fatalf("install the program: %v", r.err)
	}
	t.Cleanup(func() { r.namespace.Close() })
}

// linearSize finds how much of a frame the kernel puts into the first buffer:
// the length that a program reports which knows of no other.
func linearSize(t testing.TB) int {
	t.Helper()
	spec, err := Program(Config{All: true, NoFrags: true})
	if err != nil {
		t.Fatal(err)
	}
	coll := load(t, spec)
	events, err := perf.NewReader(coll.Maps[wire.EventsMap], os.Getpagesize())
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	if _, err := coll.Programs[ProgramName].Run(&ebpf.RunOptions{Data: make([]byte, longestFrame(t))}); err != nil {
		t.Fatal(err)
	}
	sample, err := events.Read()
	if err != nil {
		t.Fatal(err)
	}
	var record wire.Record
	if err := record.Decode(sample.RawSample); err != nil {
		t.Fatal(err)
	}
	return record.Length()
}

// longestFrame is the length of the longest frame that the kernel runs.
func longestFrame(t testing.TB) int {
	t.Helper()
	spec, err := Program(Config{NoFrags: !takesFrags()})
	if err != nil {
		t.Fatal(err)
	}
	program := load(t, spec).Programs[ProgramName]
	low, high := oracle.Shortest, maxFrame
	frame := make([]byte, high)
	for low+1 < high {
		middle := (low + high) / 2
		if _, err := program.Run(&ebpf.RunOptions{Data: frame[:middle]}); err == nil {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}
