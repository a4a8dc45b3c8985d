package term

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"time"
)

// Patience is how long a write may make no progress when there is something
// else to do.
const Patience = time.Second

// ErrStuck is the error of a write that has been waited for long enough.
var ErrStuck = errors.New("output is blocked")

// A PatientWriter waits for a write no longer than [Patience]: where stderr
// is a pipe that nobody empties, what stands in it must not keep a program on
// an interface.
type PatientWriter struct {
	mu    sync.Mutex
	to    io.Writer
	stuck chan error // of the write that was given up, while it lasts
}

// NewPatientWriter returns a writer to w.
func NewPatientWriter(w io.Writer) *PatientWriter { return &PatientWriter{to: w} }

// Unwrap implements [Wrapper].
func (w *PatientWriter) Unwrap() io.Writer { return w.to }

// Write writes b to the end or gives up with [ErrStuck], with b or a part of it perhaps
// written later. It is quick to refuse more while that lasts.
func (w *PatientWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stuck != nil {
		select {
		case <-w.stuck:
			w.stuck = nil
		default:
			return 0, ErrStuck
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
	case <-time.After(Patience):
		w.stuck = done
		return 0, ErrStuck
	}
}
