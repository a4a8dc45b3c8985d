package e2e

import (
	"errors"
	"io"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/perf"

	"github.com/xdplog/xdplog/asm"
	shared "github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader"
)

// A perEventReader reads as the tutorial does: the kernel wakes it for every
// event, which it takes one at a time.
type perEventReader struct {
	perf   *perf.Reader
	sample perf.Record
	coll   *ebpf.Collection
	finish atomic.Bool
}

func newPerEventReader(coll *ebpf.Collection) (*perEventReader, error) {
	r, err := perf.NewReader(coll.Maps[shared.EventsMap], asm.DefaultBuffer)
	return &perEventReader{perf: r, coll: coll}, err
}

func (r *perEventReader) Read(events []reader.Event) (int, error) {
	for {
		switch err := r.perf.ReadInto(&r.sample); {
		case errors.Is(err, perf.ErrFlushed): // all that was there has been read
			if r.finish.Load() {
				return 0, io.EOF
			}
		case err != nil:
			return 0, err
		case len(r.sample.RawSample) > 0:
			events[0], err = reader.Decode(r.sample.RawSample)
			return 1, err
		}
	}
}

func (r *perEventReader) Finish() {
	r.finish.Store(true)
	r.perf.Flush()
}

func (r *perEventReader) Counters() (sum shared.Counters, err error) {
	var all []shared.Counters
	err = r.coll.Maps[shared.CountersMap].Lookup(uint32(0), &all)
	for _, c := range all {
		sum.Add(c)
	}
	return sum, err
}

func (r *perEventReader) Close() error { return r.perf.Close() }
