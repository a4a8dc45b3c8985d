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
	record wire.WideRecord
	wide   bool // whether it has a second half
}

func newRingbuf(events *ebpf.Map, wide bool) (*ringbufSource, error) {
	reader, err := newKernelRing(events)
	if err != nil {
		return nil, fmt.Errorf("open ring buffer: %w", err)
	}
	return &ringbufSource{reader: reader, bytes: int(events.MaxEntries()), wide: wide}, nil
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
		decode := s.record.Record.Decode
		if s.wide {
			decode = s.record.Decode
		}
		if err := decode(s.sample.RawSample); err != nil {
			return n, err
		}
		if n == 0 {
			stamp = clock.stamp()
		}
		if event := into.event(n); s.wide {
			event.setWide(&s.record, &stamp)
		} else {
			event.set(&s.record.Record, &stamp)
		}
		n++
		if s.sample.Remaining == 0 {
			return n, nil
		}
	}
	return n, nil
}

func (s *ringbufSource) waiting(uint64) uint64 {
	return uint64(s.reader.AvailableBytes() / (wire.RingbufHeader + recordSize(s.wide)))
}

func (s *ringbufSource) size() int { return s.bytes }

func (s *ringbufSource) wake() error  { return s.reader.Flush() }
func (s *ringbufSource) close() error { return s.reader.Close() }
