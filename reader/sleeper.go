package reader

import (
	"errors"
	"os"
	"runtime"
	"time"

	"github.com/cilium/ebpf/ringbuf"
)

// sleeper is how a source of rings in shared memory waits for records: see [mmapSource].
type sleeper struct {
	doorbell *kernelRing
	rung     ringbuf.Record
	busy     bool // something was taken since the last sleep
	quiet    bool // nothing came in a sleep until the next record
}

// read takes what is there, and waits where that is nothing. mark says when the doorbell
// is to ring, and reports whether it would have by now.
func (s *sleeper) read(latency time.Duration, take func() int, mark func() bool) (int, error) {
	if n := take(); n > 0 {
		return n, nil
	}
	if latency == 0 {
		return 0, nil
	}
	deadline := time.Now().Add(latency)
	if s.quiet {
		deadline = time.Time{}
	}
	if mark() {
		return take(), nil
	}
	idle := !s.busy
	s.busy = false
	if !s.quiet {
		// A goroutine that has run for 10 ms without this loses its thread in the wait
		// that follows; then the runtime looks each 20 µs for others to lose theirs,
		// which takes as long as reading a packet does.
		runtime.Gosched()
	}
	s.doorbell.SetDeadline(deadline)
	err := s.doorbell.ReadInto(&s.rung)
	slept := errors.Is(err, os.ErrDeadlineExceeded) // and no bell of before cut it short
	if err != nil && !slept && !errors.Is(err, ringbuf.ErrFlushed) {
		return 0, err
	}
	n := take()
	s.quiet = slept && idle && n == 0
	return n, nil
}

func (s *sleeper) wake() error { return s.doorbell.Flush() }
