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

// watchClosed returns a channel that receives EPIPE when the reading end of a
// pipe is closed. A write would tell, but there is none before the next packet.
// stop ends the watch.
func watchClosed(w io.Writer) (closed <-chan error, stop func()) {
	file, ok := w.(*os.File)
	if !ok {
		return nil, func() {}
	}
	wake, end, err := os.Pipe()
	if err != nil {
		return nil, func() {} // the next write tells
	}
	report := make(chan error, 1)
	var group sync.WaitGroup
	group.Go(func() {
		// No events are asked for: what comes is a hang-up or an error.
		fds := []unix.PollFd{{Fd: int32(file.Fd())}, {Fd: int32(wake.Fd())}}
		for {
			_, err := unix.Poll(fds, -1)
			switch {
			case err == unix.EINTR:
			case err != nil || fds[1].Revents != 0:
				return
			case fds[0].Revents&unix.POLLERR != 0:
				report <- syscall.EPIPE
				return
			case fds[0].Revents != 0:
				return // something else: a write tells
			}
		}
	})
	return report, func() {
		end.Close()
		group.Wait()
		wake.Close()
	}
}
