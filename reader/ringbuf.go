package reader

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/xdplog/xdplog/asm/wire"
)

// ringbufSource reads the kernel's ring buffer, which all CPUs share. The
// program wakes the reader for the record that fills it by a part; for what
// comes slower there is the latency.
type ringbufSource struct {
	reader *kernelRing
	bytes  int
	sample ringbuf.Record
	record wire.InnerRecord
	inner  bool // whether it has a second half
}

func newRingbuf(events *ebpf.Map, inner bool) (*ringbufSource, error) {
	reader, err := newKernelRing(events)
	if err != nil {
		return nil, fmt.Errorf("open ring buffer: %w", err)
	}
	return &ringbufSource{reader: reader, bytes: int(events.MaxEntries()), inner: inner}, nil
}

func (s *ringbufSource) read(into batch, clock *clock, latency time.Duration) (n int, err error) {
	s.reader.SetDeadline(time.Now().Add(latency))
	var stamp stamp
	for n < into.len() {
		if err := s.reader.ReadInto(&s.sample); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, ringbuf.ErrFlushed) {
				return n, nil
			}
			return n, err
		}
		if err := s.record.Record.Decode(s.sample.RawSample); err != nil {
			return n, err
		}
		if s.inner {
			if err := s.record.Outer.Decode(s.sample.RawSample[wire.RecordSize:]); err != nil {
				return n, err
			}
		}
		if n == 0 {
			stamp = clock.stamp()
		}
		event := into.event(n)
		event.set(&s.record.Record, &stamp)
		if s.inner {
			event.Tunnel.set(&s.record.Outer)
		}
		n++
		if s.sample.Remaining == 0 {
			return n, nil
		}
	}
	return n, nil
}

func (s *ringbufSource) waiting(uint64) uint64 {
	return uint64(s.reader.AvailableBytes() / (wire.RingbufHeader + recordSize(s.inner)))
}

func (s *ringbufSource) size() int { return s.bytes }

func (s *ringbufSource) wake() error  { return s.reader.Flush() }
func (s *ringbufSource) close() error { return s.reader.Close() }
