package term

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// IsClosed reports whether a write failed because nobody is there to read.
func IsClosed(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe)
}

// OrClosed is an error of writing, or nil where whoever was reading has seen enough.
func OrClosed(err error) error {
	if IsClosed(err) {
		return nil
	}
	return err
}

// WatchClosed returns a channel that receives EPIPE when the reading end of one
// of the writers, a pipe, is closed. A write would tell, but there is none before
// the next packet. stop ends the watch.
func WatchClosed(writers ...io.Writer) (closed <-chan error, stop func()) {
	var fds []unix.PollFd // no events are asked for: what comes is a hang-up or an error
	for _, w := range writers {
		if file, ok := w.(*os.File); ok {
			fds = append(fds, unix.PollFd{Fd: int32(file.Fd())})
		}
	}
	if len(fds) == 0 {
		return nil, func() {}
	}
	wake, end, err := os.Pipe()
	if err != nil {
		return nil, func() {} // the next write tells
	}
	last := len(fds)
	fds = append(fds, unix.PollFd{Fd: int32(wake.Fd())})
	report := make(chan error, 1)
	var group sync.WaitGroup
	group.Go(func() {
		for {
			if _, err := unix.Poll(fds, -1); err == unix.EINTR {
				continue
			} else if err != nil || fds[last].Revents != 0 {
				return
			}
			for i := range fds[:last] {
				switch fd := &fds[i]; {
				case fd.Revents&unix.POLLERR != 0:
					report <- syscall.EPIPE
					return
				case fd.Revents != 0:
					fd.Fd = -1 // something else: a write tells
				}
			}
		}
	})
	return report, func() {
		end.Close()
		group.Wait()
		wake.Close()
	}
}
