package loader

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// Hold makes sure that BPF_PROG_TEST_RUN of an XDP program takes no longer than
// the program does. Old kernels, Linux 5.10 among them, rewrite code and wait
// for all CPUs when an XDP program comes into use and when it goes out of use:
// twice for each packet, some 2 ms, unless it is in use anyway. There, Hold puts
// it on the loopback of a network namespace of its own until release; for that
// it needs CAP_NET_ADMIN and CAP_SYS_ADMIN. An error means that runs are slow.
func Hold(prog *ebpf.Program) (release func(), err error) {
	slow, err := runsSlowly()
	if err != nil {
		return nil, fmt.Errorf("try a test run: %w", err)
	}
	if !slow {
		return func() {}, nil
	}
	ns, err := hold(prog)
	if err != nil {
		return nil, fmt.Errorf("hold the program: %w", err)
	}
	return ns.close, nil
}

// runsSlowly tries how long a program takes that does nothing.
func runsSlowly() (bool, error) {
	const slow = 500 * time.Microsecond // a thousand times what it should be
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP, License: "MIT",
		Instructions: bpf.Instructions{bpf.Mov.Imm(bpf.R0, 2), bpf.Return()}, // XDP_PASS
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

// hold returns the namespace in which the program is in use until it is closed.
func hold(prog *ebpf.Program) (*namespace, error) {
	const loopback = 1 // its index in every new namespace
	ns := new(namespace)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends in that namespace
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("make a network namespace: %w", err)
			}
			c, err := dial()
			if err != nil {
				return err
			}
			defer c.close()
			if err := c.setXDP(loopback, prog.FD(), Generic, noProgram); err != nil {
				return explainAttach(err)
			}
			ns.file, err = os.Open("/proc/thread-self/ns/net")
			return err
		}()
	}()
	if err := <-done; err != nil {
		return nil, err
	}
	return ns, nil
}
