package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// needy is an xdplog that starts in want of something:
//
//	nofile=N   file descriptors: N is one more than the last
//	memlock=N  locked memory, in bytes
//	close=FD   an open descriptor
//
// Limits and descriptors belong to a process, so it begins as this binary and
// becomes xdplog.
func needy(what string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", append([]string{os.Getenv(binaryEnv)}, args...)...)
	cmd.Env = append(os.Environ(), needyEnv+"="+what)
	return cmd
}

// becomeNeedy does not return but with an error.
func becomeNeedy(what string) error {
	kind, text, _ := strings.Cut(what, "=")
	var n int
	if _, err := fmt.Sscan(text, &n); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	limit := func(which int) error {
		// The hard one: Go raises the soft one to it.
		return unix.Setrlimit(which, &unix.Rlimit{Cur: uint64(n), Max: uint64(n)})
	}
	var err error
	switch kind {
	case "nofile":
		err = limit(unix.RLIMIT_NOFILE)
	case "memlock":
		err = limit(unix.RLIMIT_MEMLOCK)
	case "close":
		err = unix.Close(n)
	default:
		err = unix.EINVAL
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return syscall.Exec(os.Args[1], os.Args[1:], nil)
}

// refusing is the setup of a thread whose children can't make these system
// calls: a seccomp profile answers them with an error (seccomp(2)).
func refusing(answer unix.Errno, calls ...uint32) func() error {
	return func() error {
		const numberOffset = 0 // of nr in struct seccomp_data
		filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: numberOffset}}
		for _, call := range calls {
			filter = append(filter,
				unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: call},
				unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(answer)})
		}
		filter = append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
		if err := seccomp(filter); err != nil {
			return fmt.Errorf("install a seccomp filter: %w", err)
		}
		return nil
	}
}

// seccomp puts the calling thread, and what it starts from now on, under a
// filter. It takes CAP_SYS_ADMIN.
func seccomp(filter []unix.SockFilter) error {
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	return nil
}

// threadWith is a thread in the right namespace, with a setup of its own.
func (l *lab) threadWith(t testing.TB, setup func() error) *thread {
	t.Helper()
	return newThread(t, steps(join(l.right), setup))
}
