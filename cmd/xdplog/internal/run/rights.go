package run

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A capabilitySet is a bit for each capability (linux/capability.h).
type capabilitySet uint64

// What a run keeps, the first of these with which it can still do its work:
// CAP_NET_ADMIN takes the program off again; kernels before 5.19 let nobody
// call bpf(2), by which counters are read, without CAP_BPF or, in its place,
// CAP_SYS_ADMIN. With transport perf CAP_PERFMON opens the buffer of a CPU that comes
// online, for whose memory root has CAP_IPC_LOCK; where kernel.perf_event_paranoid is above
// 2, Debian's default, that takes CAP_SYS_ADMIN. Root makes files in a directory of another
// user's, where one is to follow another, by CAP_DAC_OVERRIDE.
func keepable() (sets []capabilitySet) {
	const (
		detach   capabilitySet = 1 << unix.CAP_NET_ADMIN
		counters capabilitySet = 1 << unix.CAP_BPF
		buffers  capabilitySet = 1<<unix.CAP_PERFMON | 1<<unix.CAP_IPC_LOCK
		either   capabilitySet = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_IPC_LOCK
	)
	for _, files := range []capabilitySet{0, 1 << unix.CAP_DAC_OVERRIDE} {
		for _, reading := range []capabilitySet{0, counters, buffers, counters | buffers, either} {
			sets = append(sets, detach|files|reading)
		}
	}
	return sets
}

// Renounce gives up, for good and on every thread, the rights that a run does
// not need any more once everything is open and attached. What it then still
// has to do, may tries.
//
// With no_new_privs no program that this one might start can have more, so the
// bounding set may stay: emptying it is a call per capability on every thread,
// 8 ms of a start that takes 20.
//
// Afterwards an interface can't be followed into another network namespace,
// nor can the name of a program be read that has replaced ours: both take
// CAP_SYS_ADMIN.
//
// A binary that was built with cgo keeps its rights, which is an error: it may
// have threads that Go doesn't know of, and a right that one thread has, all
// can use. Package net alone makes it one where there is a C compiler.
func Renounce(may func() error) error {
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	switch errno {
	case 0:
	case unix.ENOTSUP:
		return errors.New("this binary was built with cgo, whose threads can't be made to: build it with CGO_ENABLED=0")
	default:
		return fmt.Errorf("set no_new_privs: %w", errno)
	}
	held, err := capabilities()
	if err != nil {
		return err
	}
	for _, keep := range keepable() {
		works, err := enough(keep, may)
		if err != nil {
			return err
		}
		if works {
			return held.only(keep).setOnAllThreads()
		}
	}
	return errors.New("counters can't be read, or files be made, with fewer")
}

// setOnAllThreads makes these the only capabilities. What was ambient goes
// with what was permitted.
func (t threadCapabilities) setOnAllThreads() error {
	header := capabilityHeader()
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&t)), 0)
	if errno != 0 {
		return fmt.Errorf("give up capabilities: %w", errno)
	}
	return nil
}

// enough reports whether may does with no other capabilities than these in
// force. It tries on one thread, and goes back to what was.
func enough(keep capabilitySet, may func() error) (bool, error) {
	runtime.LockOSThread()
	before, err := capabilities()
	if err != nil {
		runtime.UnlockOSThread()
		return false, err
	}
	header := capabilityHeader()
	trial := before.only(keep)
	for i := range trial {
		trial[i].Permitted, trial[i].Inheritable = before[i].Permitted, before[i].Inheritable
	}
	if err := unix.Capset(&header, &trial[0]); err != nil {
		runtime.UnlockOSThread()
		return false, fmt.Errorf("set capabilities: %w", err)
	}
	works := may() == nil
	if err := unix.Capset(&header, &before[0]); err != nil {
		return false, fmt.Errorf("set capabilities back: %w", err) // and the thread is not reused
	}
	runtime.UnlockOSThread()
	return works, nil
}

// A threadCapabilities is what capset(2) takes in version 3: two words of 32
// capabilities.
type threadCapabilities [2]unix.CapUserData

func capabilityHeader() unix.CapUserHeader {
	return unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
}

// capabilities returns those of the calling thread.
func capabilities() (held threadCapabilities, err error) {
	header := capabilityHeader()
	if err := unix.Capget(&header, &held[0]); err != nil {
		return held, fmt.Errorf("read capabilities: %w", err)
	}
	return held, nil
}

// only is what is left of t, nothing of it inheritable.
func (t threadCapabilities) only(keep capabilitySet) (rest threadCapabilities) {
	for i := range t {
		mask := uint32(keep >> (32 * i))
		rest[i] = unix.CapUserData{
			Effective: t[i].Effective & mask,
			Permitted: t[i].Permitted & mask,
		}
	}
	return rest
}
