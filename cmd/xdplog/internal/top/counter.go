package top

import (
	"sync"
	"time"

	"github.com/xdplog/xdplog/reader"
	"github.com/xdplog/xdplog/reader/tally"
)

// A counter counts packets as they are read. It is a [tally.Feed].
type counter struct {
	by tally.By

	mu          sync.Mutex
	now, before tally.Table // before is that of the last Read's rows
	first, last time.Time   // of all packets
}

func newCounter(by tally.By, rows int) *counter {
	c := &counter{by: by}
	c.now.Rows, c.before.Rows = rows, rows
	return c
}

// add counts packets. It is for one goroutine.
func (c *counter) add(packets []reader.Packet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range packets {
		row := packets[i].Row(c.by)
		c.now.Add(&row)
		if c.first.IsZero() || row.First.Before(c.first) {
			c.first = row.First
		}
		if row.Last.After(c.last) {
			c.last = row.Last
		}
	}
}

// Read implements [tally.Feed].
func (c *counter) Read() ([]tally.Row, tally.Sum, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.before = c.before, c.now
	c.now.Reset()
	return c.before.All(), c.before.Other(), nil
}

// span is the times of the first packet and the last; zero where there were none.
func (c *counter) span() (first, last time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first, c.last
}

// A kernelTable is what the program counts itself. It is a [tally.Feed].
type kernelTable struct {
	by    tally.By
	table *reader.Table
	now   tally.Table // what was read last: one key may have a row on each CPU
}

// Read implements [tally.Feed].
func (k *kernelTable) Read() ([]tally.Row, tally.Sum, error) {
	k.now.Reset()
	other, err := k.table.Read(k.add)
	k.now.AddOther(tally.Sum(other))
	return k.now.All(), k.now.Other(), err
}

func (k *kernelTable) add(c *reader.Count) {
	row := c.Row(k.by)
	k.now.Add(&row)
}
