package loader

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A claim makes this process the one xdplog on an interface. It is a listening
// unix socket with an abstract name in the interface's network namespace, so
// that binding decides between two starts at the same instant, the kernel
// frees it with its owner however that ends, and whoever connects learns the
// owner's pid.
type claim struct {
	listener *net.UnixListener
	done     chan struct{}
}

// claimName is that of the socket; the @ makes it abstract (unix(7)).
func claimName(index int) *net.UnixAddr {
	return &net.UnixAddr{Name: fmt.Sprintf("@xdplog/%d", index), Net: "unix"}
}

// claimLink claims an interface in the calling thread's network namespace.
// Where another process has it, the error is an [errOwned].
func claimLink(index int) (*claim, error) {
	name := claimName(index)
	for range 20 {
		listener, err := net.ListenUnix("unix", name)
		if err == nil {
			c := &claim{listener, make(chan struct{})}
			go c.answer()
			return c, nil
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			return nil, fmt.Errorf("claim the interface: %w", err)
		}
		owner, err := ownerOf(name)
		if err == nil {
			return nil, owner
		}
		if !errors.Is(err, unix.ECONNREFUSED) {
			break // stopped, and asked too often
		}
		// The owner is going, or coming and not listening yet.
		time.Sleep(10 * time.Millisecond)
	}
	return nil, &errOwned{silent: true}
}

// answer takes connections and drops them: the kernel has told the peer what
// it wants to know, but their queue must not fill.
func (c *claim) answer() {
	defer close(c.done)
	for {
		peer, err := c.listener.Accept()
		switch {
		case err == nil:
			peer.Close()
		case errors.Is(err, net.ErrClosed):
			return
		default:
			time.Sleep(10 * time.Millisecond) // out of descriptors
		}
	}
}

func (c *claim) release() {
	c.listener.Close()
	<-c.done
}

// errOwned is the error where a living process has the interface.
type errOwned struct {
	pid, uid int
	silent   bool // it could not be asked who it is
}

func (e *errOwned) Error() string {
	switch {
	case e.pid == os.Getpid() && !e.silent:
		return "already watched by this process, perhaps by another of its names: attach once"
	case e.silent:
		return "already watched by xdplog, a process that doesn't answer: stop it first"
	case e.pid == 0:
		return "already watched by xdplog, a process that can't be seen from here (in another container?): stop it first"
	case e.uid != 0 && e.uid != os.Geteuid():
		return fmt.Sprintf("already watched by xdplog, process %d of user %d: stop it first", e.pid, e.uid)
	default:
		return fmt.Sprintf("already watched by xdplog, process %d: stop it first", e.pid)
	}
}

// ownerOf asks who listens. It does not wait: the socket is non-blocking, so
// a full queue is an error.
func ownerOf(name *net.UnixAddr) (*errOwned, error) {
	peer, err := net.DialUnix("unix", nil, name)
	if err != nil {
		return nil, err
	}
	defer peer.Close()

	raw, err := peer.SyscallConn()
	if err != nil {
		return nil, err
	}
	var owner *unix.Ucred
	var sockErr error
	err = raw.Control(func(fd uintptr) {
		owner, sockErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, sockErr); err != nil {
		return nil, err
	}
	return &errOwned{pid: int(owner.Pid), uid: int(owner.Uid)}, nil
}
