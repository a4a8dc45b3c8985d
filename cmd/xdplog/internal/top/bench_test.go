package top

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader"
	"github.com/xdplog/xdplog/reader/tally"
)

// countFeed gives the same counts again and again, as the kernel's table does.
type countFeed struct {
	kernelTable
	counts []reader.Count
}

func (f *countFeed) Read() ([]tally.Row, tally.Sum, error) {
	f.now.Reset()
	for i := range f.counts {
		f.add(&f.counts[i])
	}
	return f.now.All(), f.now.Other(), nil
}

// BenchmarkInterval measures what an interval's rows take: to read them, to add them to
// those of the run, and to find the first ten.
func BenchmarkInterval(b *testing.B) {
	const rows = 1 << 15
	feed := &countFeed{counts: make([]reader.Count, rows)}
	for i := range feed.counts {
		c := &feed.counts[i]
		c.Key.Flags = wire.FlagIPv6
		copy(c.Key.Source[:], []byte{0x20, 0x01, 0x0d, 0xb8})
		binary.BigEndian.PutUint32(c.Key.Source[12:], uint32(i))
		c.Packets, c.Bytes = 10, 640
		c.First, c.Last = time.Unix(1_700_000_000, 0), time.Unix(1_700_000_001, 0)
	}
	o := &Options{}
	h := newHistory(feed, 0, time.Unix(1_700_000_000, 0))
	b.ReportAllocs()
	for b.Loop() {
		if err := h.read(time.Unix(1_700_000_001, 0)); err != nil {
			b.Fatal(err)
		}
		h.interval(o, 10)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
}
