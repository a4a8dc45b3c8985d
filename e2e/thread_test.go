package e2e

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// A thread is an operating-system thread of its own. Namespaces
// belong to threads: what a job does, opens or starts on one is in that
// thread's namespaces, and nothing has to be set back.
type thread struct {
	id    int // as gettid(2) has it; /proc/ID/ns/net is its namespace
	jobs  chan func()
	ended bool
	done  chan struct{}
}

var errEnded = errors.New("the thread has ended")

// newThread makes a thread that has run setup, and ends it with the test.
func newThread(t testing.TB, setup func() error) *thread {
	t.Helper()
	th := &thread{jobs: make(chan func()), done: make(chan struct{})}
	ready := make(chan error, 1)
	go func() {
		defer close(th.done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		th.id = unix.Gettid()
		err := setup()
		ready <- err
		if err != nil {
			return
		}
		for job := range th.jobs {
			job()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatalf("set up a thread: %v", err)
	}
	t.Cleanup(th.end)
	return th
}

// do runs job on the thread. A job must not call t.Fatal: it returns its error.
func (th *thread) do(job func() error) error {
	if th.ended {
		return errEnded
	}
	result := make(chan error)
	th.jobs <- func() { result <- job() }
	return <-result
}

// end ends the thread, and lets go of its namespaces.
func (th *thread) end() {
	if !th.ended {
		th.ended = true
		close(th.jobs)
	}
	<-th.done
}

// network is the setup of a thread in a new network namespace, one in which
// nothing is said unasked.
func network() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make a network namespace: %w", err)
	}
	for name, value := range map[string]string{
		"accept_dad":           "0", // addresses are usable at once
		"accept_ra":            "0",
		"router_solicitations": "0",
		"addr_gen_mode":        "1", // no link-local address, and so no MLD reports for it
	} {
		// /proc/sys/net shows the namespace of the thread that opens it.
		path := "/proc/sys/net/ipv6/conf/default/" + name
		if err := os.WriteFile(path, []byte(value), 0); err != nil {
			return fmt.Errorf("quieten IPv6: %w", err)
		}
	}
	return nil
}

// pin keeps the thread on a CPU. What it sends is then received on that CPU,
// too, in the order in which it was sent, and order is what tests rely on.
func pin(cpu int) func() error {
	return func() error {
		var one unix.CPUSet
		one.Set(cpu)
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			return fmt.Errorf("stay on CPU %d: %w", cpu, err)
		}
		return nil
	}
}

// cpus returns the CPUs that the tests may run on.
func cpus(t testing.TB) []int {
	t.Helper()
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		t.Fatalf("ask for CPUs: %v", err)
	}
	var all []int
	for cpu := range len(allowed) * 64 {
		if allowed.IsSet(cpu) {
			all = append(all, cpu)
		}
	}
	return all
}

// join is the setup of a thread in another thread's network namespace.
func join(other *thread) func() error {
	return func() error {
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", other.id))
		if err != nil {
			return err
		}
		defer ns.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the network namespace: %w", err)
		}
		return nil
	}
}

// privateMounts gives the thread mounts of its own, which end with it.
func privateMounts() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	return nil
}

// emptyRun gives a thread with mounts of its own an empty /run, for namespaces
// that have a name there and nowhere else.
func emptyRun() error {
	if err := os.MkdirAll("/run", 0o755); err != nil { // a bare guest may have none
		return err
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount an empty /run: %w", err)
	}
	return os.Mkdir("/run/netns", 0o755)
}

// steps runs setups in turn.
func steps(setups ...func() error) func() error {
	return func() error {
		for _, setup := range setups {
			if err := setup(); err != nil {
				return err
			}
		}
		return nil
	}
}
