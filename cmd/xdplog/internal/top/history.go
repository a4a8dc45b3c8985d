package top

import (
	"slices"
	"time"

	"github.com/xdplog/xdplog/reader/tally"
)

// A history is what a feed has given: in the last interval, and in the whole run.
type history struct {
	feed tally.Feed

	rows     []tally.Row // of the last interval; valid until the next read
	other    tally.Sum
	total    tally.Sum
	duration time.Duration // of that

	whole     tally.Table
	began, at time.Time // of the run, and of the last read
}

func newHistory(feed tally.Feed, rows int, began time.Time) *history {
	h := &history{feed: feed, began: began, at: began}
	h.whole.Rows = rows
	return h
}

// read ends an interval, and begins the next.
func (h *history) read(now time.Time) (err error) {
	if h.rows, h.other, err = h.feed.Read(); err != nil {
		return err
	}
	h.total = h.other
	rows := h.rows
	if n := len(h.whole.All()); n < h.whole.Limit() && n+len(rows) > h.whole.Limit() { // who came first has a row
		rows = slices.Clone(rows)
		slices.SortFunc(rows, func(a, b tally.Row) int { return a.First.Compare(b.First) })
	}
	for i := range rows {
		h.total.Add(rows[i].Total())
		h.whole.Add(&rows[i])
	}
	h.whole.AddOther(h.other)
	h.duration, h.at = now.Sub(h.at), now
	return nil
}

// A table is what is shown at a time.
type table struct {
	by       tally.By
	entries  []entry
	other    tally.Sum // of all that has no entry
	total    tally.Sum
	recent   tally.Sum // of total, what rates are made of
	at       time.Time
	duration time.Duration // in which that came
	final    bool          // it is the whole run's
}

// An entry is a row, and what of it came lately, of which a rate is made.
type entry struct {
	tally.Row
	lately tally.Sum
}

// interval is the table of the last interval alone.
func (h *history) interval(o *Options, n int) table {
	t := table{by: o.By, at: h.at, duration: h.duration, total: h.total}
	t.set(tally.Top(h.rows, n, o.Sort.order()))
	return t
}

// all is the table of the whole run.
func (h *history) all(o *Options, n int) table {
	t := table{by: o.By, at: h.at, duration: h.at.Sub(h.began), total: h.whole.Total(), final: true}
	t.set(tally.Top(h.whole.All(), n, o.Sort.order()))
	return t
}

// set has the table be of rows, whose rates are those of all their packets.
func (t *table) set(rows []tally.Row) {
	t.entries = make([]entry, len(rows))
	t.other, t.recent = t.total, t.total
	for i, row := range rows {
		t.entries[i] = entry{row, row.Total()}
		t.cut(row.Total())
	}
}

// keep cuts off all but the first entries, which are in other then.
func (t *table) keep(n int) {
	t.entries = t.entries[:min(len(t.entries), n)]
	t.other = t.total
	for i := range t.entries {
		t.cut(t.entries[i].Total())
	}
}

// cut takes what has an entry out of other.
func (t *table) cut(sum tally.Sum) {
	t.other.Packets -= sum.Packets
	t.other.Bytes -= sum.Bytes
}

// rest is what of recent has no entry.
func (t *table) rest() tally.Sum {
	sum := t.recent
	for i := range t.entries {
		sum.Packets -= t.entries[i].lately.Packets
		sum.Bytes -= t.entries[i].lately.Bytes
	}
	return sum
}

// live is the table of the whole run, with what came in the last interval: by that,
// or by what has come in all.
func (h *history) live(o *Options, n int) table {
	t := table{by: o.By, at: h.at, duration: h.duration, total: h.whole.Total()}
	t.other, t.recent = t.total, h.total
	lately := make(map[tally.Key]tally.Sum)
	shown := make(map[tally.Key]bool)
	add := func(row *tally.Row) {
		if len(t.entries) < n && !shown[row.Key] {
			shown[row.Key] = true
			t.entries = append(t.entries, entry{*row, lately[row.Key]})
			t.cut(row.Total())
		}
	}
	if o.Sort == ByRate {
		for _, row := range tally.Top(h.rows, n, tally.MostPackets) {
			lately[row.Key] = row.Total()
			if whole := h.whole.Row(&row.Key); whole != nil {
				row = *whole
			}
			add(&row)
		}
	}
	rest := tally.Top(h.whole.All(), n, o.Sort.order()) // of which many may be there already
	if o.Sort != ByRate {
		wanted := make(map[tally.Key]bool, len(rest))
		for i := range rest {
			wanted[rest[i].Key] = true
		}
		for i := range h.rows {
			if wanted[h.rows[i].Key] {
				lately[h.rows[i].Key] = h.rows[i].Total()
			}
		}
	}
	for i := range rest {
		add(&rest[i])
	}
	return t
}
