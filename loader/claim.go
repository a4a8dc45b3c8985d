package loader

import (
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// A claim makes this process the one xdplog at a place of an interface. It is a listening
// unix socket with an abstract name in the interface's network namespace, so
// that binding decides between two starts at the same instant, the kernel
// frees it with its owner however that ends, and whoever connects learns the
// owner's pid.
type claim struct {
	listener *net.UnixListener
	done     chan struct{}
}

// claimName is that of the socket; the @ makes it abstract (unix(7)).
func claimName(index int, at asm.Place) *net.UnixAddr {
	name := fmt.Sprintf("@xdplog/%d", index)
	if at != asm.XDP {
		name += "/" + at.String()
	}
	return &net.UnixAddr{Name: name, Net: "unix"}
}

// claimLink claims a place of an interface in the calling thread's network
// namespace. Where another process has it, the error is a [WatchedError].
func claimLink(index int, at asm.Place) (*claim, error) {
	name := claimName(index, at)
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
	return nil, &WatchedError{silent: true}
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

// ownerOf asks who listens. It does not wait: the socket is non-blocking, so
// a full queue is an error.
func ownerOf(name *net.UnixAddr) (*WatchedError, error) {
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
	return &WatchedError{PID: int(owner.Pid), UID: int(owner.Uid)}, nil
}
