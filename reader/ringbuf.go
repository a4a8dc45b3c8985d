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
	reader *ringbuf.Reader
	bytes  int
	sample ringbuf.Record
	record wire.Record
}

func newRingbuf(events *ebpf.Map) (*ringbufSource, error) {
	reader, err := ringbuf.NewReader(events)
	if err != nil {
		return nil, fmt.Errorf("open ring buffer: %w", err)
	}
	return &ringbufSource{reader: reader, bytes: int(events.MaxEntries())}, nil
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
		if err := s.record.Decode(s.sample.RawSample); err != nil {
			return n, err
		}
		if n == 0 {
			stamp = clock.stamp()
		}
		into.event(n).set(&s.record, &stamp)
		n++
		if s.sample.Remaining == 0 {
			return n, nil
		}
	}
	return n, nil
}

func (s *ringbufSource) waiting(uint64) uint64 {
	return uint64(s.reader.AvailableBytes() / (wire.RingbufHeader + wire.RecordSize))
}

func (s *ringbufSource) size() int { return s.bytes }

func (s *ringbufSource) wake() error  { return s.reader.Flush() }
func (s *ringbufSource) close() error { return s.reader.Close() }
