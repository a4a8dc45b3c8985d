package loader

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// A claim makes this process the one xdplog at a place of an interface. It is a listening
// unix socket with an abstract name in the interface's network namespace, so
// that binding decides between two starts at the same instant, the kernel
// frees it with its owner however that ends, and whoever connects learns the
// owner's pid.
//
// Everybody may bind any such name. So root believes a claim of another user only if
// it is proved: the owner hands root its program, and to load one takes CAP_BPF and
// CAP_NET_ADMIN. Where somebody has the name who can't, root claims a second one, that
// of its program, which it has and nobody knew before. Of two starts that both have to,
// the kernel lets one into the XDP slot, and the other finds the program's claim.
type claim struct {
	listener *net.UnixListener
	proof    *ebpf.Program // nil: none
	second   bool          // somebody who is no xdplog has the first name
	done     chan struct{}
}

// claimName is that of the socket; the @ makes it abstract (unix(7)). The second
// name, of a program, has its id; the first has 0.
func claimName(index int, at asm.Place, program uint32) *net.UnixAddr {
	name := fmt.Sprintf("@xdplog/%d", index)
	if at != asm.XDP {
		name += "/" + at.String()
	}
	if program != 0 {
		name += fmt.Sprintf("/program %d", program)
	}
	return &net.UnixAddr{Name: name, Net: "unix"}
}

// claimLink claims a place of an interface in the calling thread's network
// namespace, for a program, which stays the caller's. Where another process has
// it, the error is a [WatchedError].
func claimLink(index int, at asm.Place, prog *ebpf.Program, id uint32) (*claim, error) {
	c, err := claimAs(claimName(index, at, 0), prog)
	var owner *WatchedError
	if !errors.As(err, &owner) || !owner.doubtful || prog == nil {
		return c, err
	}
	if c, err = claimAs(claimName(index, at, id), prog); err != nil {
		return nil, err
	}
	c.second = true
	return c, nil
}

func claimAs(name *net.UnixAddr, prog *ebpf.Program) (*claim, error) {
	for range 20 {
		listener, err := net.ListenUnix("unix", name)
		if err == nil {
			c := &claim{listener: listener, proof: prog, done: make(chan struct{})}
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
	return nil, &WatchedError{silent: true, doubtful: os.Geteuid() == 0}
}

// answer takes connections and drops them: the kernel has told the peer whose
// the claim is, but their queue must not fill.
func (c *claim) answer() {
	defer close(c.done)
	for {
		peer, err := c.listener.AcceptUnix()
		switch {
		case err == nil:
			c.prove(peer)
			peer.Close()
		case errors.Is(err, net.ErrClosed):
			return
		default:
			time.Sleep(10 * time.Millisecond) // out of descriptors
		}
	}
}

// prove hands root the proof, and nobody else: who has it can prove with it.
func (c *claim) prove(peer *net.UnixConn) {
	if c.proof == nil {
		return
	}
	if asking, err := credentials(peer); err != nil || asking.Uid != 0 {
		return
	}
	_ = peer.SetWriteDeadline(time.Now().Add(patience))
	_, _, _ = peer.WriteMsgUnix([]byte{0}, unix.UnixRights(c.proof.FD()), nil)
}

func (c *claim) release() {
	c.listener.Close()
	<-c.done
}

// ownerOf asks who listens. The socket is non-blocking, so a full queue is an
// error; only for a proof it waits.
func ownerOf(name *net.UnixAddr) (*WatchedError, error) {
	peer, err := net.DialUnix("unix", nil, name)
	if err != nil {
		return nil, err
	}
	defer peer.Close()
	cred, err := credentials(peer)
	if err != nil {
		return nil, err
	}
	owner := &WatchedError{PID: int(cred.Pid), UID: int(cred.Uid)}
	owner.doubtful = os.Geteuid() == 0 && owner.UID != 0 && !proves(peer)
	return owner, nil
}

// credentials are those of the process at the other end.
func credentials(peer *net.UnixConn) (cred *unix.Ucred, err error) {
	raw, err := peer.SyscallConn()
	if err != nil {
		return nil, err
	}
	var sockErr error
	err = raw.Control(func(fd uintptr) {
		cred, sockErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	return cred, errors.Join(err, sockErr)
}

// patience is how long a proof is waited for.
const patience = 300 * time.Millisecond

// proves reports whether a claim's owner hands out a program of xdplog's.
func proves(peer *net.UnixConn) bool {
	_ = peer.SetReadDeadline(time.Now().Add(patience))
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := peer.ReadMsgUnix(make([]byte, 1), rights)
	if err != nil {
		return false
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil {
		return false
	}
	proved := false
	for _, message := range messages {
		fds, _ := unix.ParseUnixRights(&message)
		for _, fd := range fds {
			prog, err := ebpf.NewProgramFromFD(fd) // closes it, if it is none
			if err != nil {
				continue
			}
			info, err := prog.Info()
			proved = proved || err == nil && info.Name == asm.ProgramName && slices.Contains(proofs, info.Type)
			prog.Close()
		}
	}
	return proved
}

// proofs are the types that nobody can load without rights.
var proofs = []ebpf.ProgramType{ebpf.XDP, ebpf.SchedCLS}
