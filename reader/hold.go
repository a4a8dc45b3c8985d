package reader

import (
	"fmt"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// hold makes sure that BPF_PROG_TEST_RUN of an XDP program takes no longer than
// the program does. Old kernels, Linux 5.10 among them, rewrite code and wait
// for all CPUs when an XDP program comes into use and when it goes out of use:
// twice for each packet, some 2 ms, unless it is in use anyway. There, hold puts
// it on the loopback of a network namespace of its own until release; for that
// it needs CAP_NET_ADMIN and CAP_SYS_ADMIN. An error means that runs are slow.
func hold(prog *ebpf.Program) (release func(), err error) {
	slow, err := runsSlowly()
	if err != nil {
		return nil, fmt.Errorf("try a test run: %w", err)
	}
	if !slow {
		return func() {}, nil
	}
	return putAside(prog)
}

// runsSlowly tries how long a program takes that does nothing.
func runsSlowly() (bool, error) {
	const slow = 500 * time.Microsecond // a thousand times what it should be
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP, License: "MIT",
		Instructions: bpf.Instructions{bpf.Mov.Imm(bpf.R0, xdpPass), bpf.Return()},
	})
	if err != nil {
		return false, err
	}
	defer prog.Close()
	for range 5 { // the machine may be busy, but not always
		begin := time.Now()
		if _, err := prog.Run(&ebpf.RunOptions{Data: make([]byte, 64)}); err != nil {
			return false, err
		}
		if time.Since(begin) < slow {
			return false, nil
		}
	}
	return true, nil
}

// putAside puts a program on the loopback of a new network namespace, which
// lasts as long as the thread that made it, until release.
func putAside(prog *ebpf.Program) (release func(), err error) {
	const loopback = 1 // its index in every new namespace
	attached, leave, left := make(chan error), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(left)
		runtime.LockOSThread() // never unlocked: the thread ends in that namespace
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			attached <- fmt.Errorf("make a network namespace: %w", err)
			return
		}
		on, err := linkXDP(prog, loopback)
		attached <- err
		if err != nil {
			return
		}
		<-leave
		unix.Close(on)
	}()
	if err := <-attached; err != nil {
		return nil, fmt.Errorf("put the program aside: %w", err)
	}
	return sync.OnceFunc(func() { close(leave); <-left }), nil
}

// linkCreate is the part of union bpf_attr that BPF_LINK_CREATE uses
// (linux/bpf.h, 5.9).
type linkCreate struct {
	program    uint32
	index      uint32
	attachType uint32
	flags      uint32
}

// linkXDP puts a program on an interface of the thread's network namespace,
// generic, until the descriptor that it returns is closed. Package link of
// cilium/ebpf does the same, and is 28 kB in every binary.
func linkXDP(prog *ebpf.Program, index uint32) (fd int, err error) {
	const bpfLinkCreate = 28 // BPF_LINK_CREATE
	create := linkCreate{
		program: uint32(prog.FD()), index: index,
		attachType: uint32(ebpf.AttachXDP), flags: unix.XDP_FLAGS_SKB_MODE,
	}
	on, _, errno := unix.Syscall(unix.SYS_BPF, bpfLinkCreate, uintptr(unsafe.Pointer(&create)), unsafe.Sizeof(create))
	runtime.KeepAlive(prog)
	if errno != 0 {
		return 0, fmt.Errorf("put it on the loopback: %w", errno)
	}
	return int(on), nil
}
