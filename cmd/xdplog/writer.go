package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// errStuck is returned by a patientWriter that has waited long enough.
var errStuck = errors.New("output is blocked")

// A patientWriter waits for a write no longer than its patience: where stderr
// is a pipe that nobody empties, what stands in it must not keep a program on
// an interface.
type patientWriter struct {
	mu       sync.Mutex
	to       io.Writer
	patience time.Duration
	stuck    chan error // of the write that was given up, while it lasts
}

// Write writes b to the end or gives up, with b or a part of it perhaps
// written later. It is quick to refuse more while that lasts.
func (w *patientWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stuck != nil {
		select {
		case <-w.stuck:
			w.stuck = nil
		default:
			return 0, errStuck
		}
	}
	done := make(chan error, 1)
	b = bytes.Clone(b) // the write may outlast this call
	go func() {
		_, err := w.to.Write(b)
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			return 0, err
		}
		return len(b), nil
	case <-time.After(w.patience):
		w.stuck = done
		return 0, errStuck
	}
}

// isClosed reports whether a write failed because nobody is there to read.
func isClosed(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe)
}

// orClosed is an error of writing, or nil where whoever was reading has seen enough.
func orClosed(err error) error {
	if isClosed(err) {
		return nil
	}
	return err
}

// watchClosed returns a channel that receives EPIPE when the reading end of one
// of the writers, a pipe, is closed. A write would tell, but there is none before
// the next packet. stop ends the watch.
func watchClosed(writers ...io.Writer) (closed <-chan error, stop func()) {
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
