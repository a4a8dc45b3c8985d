package tally

import (
	"cmp"
	"container/heap"
	"slices"
)

// An Order says which of two rows comes first.
type Order uint8

const (
	MostPackets Order = iota // then bytes, then the lower key
	MostBytes                // then packets, then the lower key
)

// compare is negative where a comes first.
func (o Order) compare(a, b *Row) int {
	x, y := a.Total(), b.Total()
	packets, bytes := cmp.Compare(y.Packets, x.Packets), cmp.Compare(y.Bytes, x.Bytes)
	if o == MostBytes {
		packets, bytes = bytes, packets
	}
	return cmp.Or(packets, bytes, a.Key.Compare(&b.Key))
}

// Top returns the first n of some rows in an order, or all where n is 0 or there are
// fewer. The rows stay as they are.
func Top(rows []Row, n int, order Order) []Row {
	if n <= 0 || n > len(rows) {
		n = len(rows)
	}
	// Sorting all takes longer than a second may, where there are hundreds of thousands.
	best := worstFirst{order: order, rows: make([]*Row, 0, n)}
	for i := range rows {
		switch {
		case len(best.rows) < n:
			if best.rows = append(best.rows, &rows[i]); len(best.rows) == n && n < len(rows) {
				heap.Init(&best)
			}
		case n > 0 && order.compare(&rows[i], best.rows[0]) < 0:
			best.rows[0] = &rows[i]
			heap.Fix(&best, 0)
		}
	}
	slices.SortFunc(best.rows, order.compare)
	top := make([]Row, n)
	for i, row := range best.rows {
		top[i] = *row
	}
	return top
}

// worstFirst is a heap of rows with the one on top that comes last.
type worstFirst struct {
	order Order
	rows  []*Row
}

func (h *worstFirst) Len() int           { return len(h.rows) }
func (h *worstFirst) Less(i, j int) bool { return h.order.compare(h.rows[i], h.rows[j]) > 0 }
func (h *worstFirst) Swap(i, j int)      { h.rows[i], h.rows[j] = h.rows[j], h.rows[i] }
func (h *worstFirst) Push(any)           { panic("it has its size") }
func (h *worstFirst) Pop() any           { panic("it has its size") }
