package capfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
)

// An input is a file or a pipe. A read that waits for more can be interrupted.
type input struct {
	name    string // for errors
	fd      int
	owned   bool // close closes fd too
	regular bool // no pipe

	wake, end *os.File // a pipe: the reading end hangs up when interrupted
	interrupt func()   // any goroutine may call it, more than once
}

// ErrInterrupted is the error of a read that was interrupted.
var ErrInterrupted = errors.New("interrupted")

// openInput opens a file, or for "-" stdin.
func openInput(name string, stdin *os.File) (*input, error) {
	in := &input{name: name}
	if name == "-" {
		if in.name = "standard input"; stdin == nil || term.IsTerminal(stdin) {
			return nil, fmt.Errorf("%s is a terminal: give a capture file, or pipe one in", in.name)
		}
		in.fd = int(stdin.Fd())
	} else {
		// Does not wait for somebody to open the other end of a named pipe.
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		in.fd, in.owned = fd, true
	}
	var stat unix.Stat_t
	err := unix.Fstat(in.fd, &stat)
	if err == nil && stat.Mode&unix.S_IFMT == unix.S_IFDIR {
		err = errors.New("is a directory")
	}
	in.regular = stat.Mode&unix.S_IFMT == unix.S_IFREG
	if err == nil {
		in.wake, in.end, err = os.Pipe()
	}
	if err != nil {
		in.close()
		return nil, fmt.Errorf("%s: %w", in.name, err)
	}
	in.interrupt = sync.OnceFunc(func() { in.end.Close() })
	return in, nil
}

// Read implements [io.Reader].
func (in *input) Read(b []byte) (int, error) {
	fds := []unix.PollFd{{Fd: int32(in.fd), Events: unix.POLLIN}, {Fd: int32(in.wake.Fd())}}
	for timeout := 0; ; {
		n, err := unix.Poll(fds, timeout)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, fmt.Errorf("wait for more: %w", err)
		case fds[1].Revents != 0:
			return 0, ErrInterrupted
		case n == 0:
			timeout = -1
			continue
		}
		switch n, err := unix.Read(in.fd, b); {
		case err == unix.EINTR, err == unix.EAGAIN:
		case err != nil:
			return 0, err
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (in *input) close() {
	if in.interrupt != nil {
		in.interrupt()
		in.wake.Close()
	}
	if in.owned {
		unix.Close(in.fd)
	}
}
