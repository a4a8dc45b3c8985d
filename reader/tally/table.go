package tally

// DefaultRows is how many rows a table has unless it is told otherwise.
const DefaultRows = 65536

// A Table is counts by key. Its zero value is empty, and has room for [DefaultRows].
// It is for one goroutine at a time.
//
// A row that is there was counted from its first packet on, so it is exact; keys
// that come once the table is full are counted in its other, together.
type Table struct {
	// Rows is how many keys have one of their own. Default: [DefaultRows].
	Rows int

	index index
	rows  []Row
	other Sum
	total Sum
}

// Add counts what a row holds.
func (t *Table) Add(row *Row) {
	t.total.Add(row.Total())
	i, slot := t.index.find(t.rows, &row.Key)
	if i >= 0 {
		t.rows[i].merge(row)
		return
	}
	if len(t.rows) >= t.Limit() {
		t.other.Add(row.Total())
		return
	}
	t.rows = append(t.rows, *row)
	t.index.set(slot, t.rows)
}

// AddOther counts what is of no row.
func (t *Table) AddOther(sum Sum) {
	t.total.Add(sum)
	t.other.Add(sum)
}

// Limit is how many keys may have a row of their own.
func (t *Table) Limit() int {
	if t.Rows > 0 {
		return t.Rows
	}
	return DefaultRows
}

// All are the rows in the order in which their keys came. They are valid until the
// table is changed.
func (t *Table) All() []Row { return t.rows }

// Row is that of a key, or nil.
func (t *Table) Row(key *Key) *Row {
	i, _ := t.index.find(t.rows, key)
	if i < 0 {
		return nil
	}
	return &t.rows[i]
}

// Other is what is counted in no row.
func (t *Table) Other() Sum { return t.other }

// Total is everything that is counted: the rows and other.
func (t *Table) Total() Sum { return t.total }

// Top returns the first n rows in an order, all if n is 0 or there are fewer, and
// the other of a table that has no more: what is left out is counted there.
func (t *Table) Top(n int, order Order) (rows []Row, other Sum) {
	rows = Top(t.rows, n, order)
	other = t.total
	for i := range rows {
		sum := rows[i].Total()
		other.Packets -= sum.Packets
		other.Bytes -= sum.Bytes
	}
	return rows, other
}

// Reset forgets everything, and keeps the memory.
func (t *Table) Reset() {
	clear(t.index.slots)
	t.rows = t.rows[:0]
	t.other, t.total = Sum{}, Sum{}
}
