package top

import (
	"strconv"

	"github.com/xdplog/xdplog/reader/tally"
)

// A column is a number of each entry.
type column struct {
	title  string
	keep   int // the lower, the longer it stays where there is little room
	append func(b []byte, t *table, sum, lately tally.Sum) []byte
}

// columns are those before the key, from left to right.
var columns = [...]column{
	{"packets", 3, func(b []byte, _ *table, sum, _ tally.Sum) []byte { return strconv.AppendUint(b, sum.Packets, 10) }},
	{"bytes", 4, func(b []byte, _ *table, sum, _ tally.Sum) []byte { return strconv.AppendUint(b, sum.Bytes, 10) }},
	{"pkt/s", 1, func(b []byte, t *table, _, lately tally.Sum) []byte { return appendRate(b, t, lately.Packets, 1) }},
	{"bit/s", 2, func(b []byte, t *table, _, lately tally.Sum) []byte { return appendRate(b, t, lately.Bytes, 8) }},
	{"share", 5, func(b []byte, t *table, sum, _ tally.Sum) []byte {
		if t.total.Packets == 0 {
			return append(b, '-')
		}
		return append(appendShort(b, 100*float64(sum.Packets)/float64(t.total.Packets)), '%')
	}},
}

// appendRate appends how many of something there were a second.
func appendRate(b []byte, t *table, n uint64, factor float64) []byte {
	if t.duration <= 0 {
		return append(b, '-')
	}
	return appendShort(b, factor*float64(n)/t.duration.Seconds())
}

// appendShort appends a number in at most five characters: three digits and a prefix
// of SI.
func appendShort(b []byte, x float64) []byte {
	const prefixes = "kMGTPE"
	i := -1
	for ; x >= 999.5 && i < len(prefixes)-1; i++ {
		x /= 1000
	}
	decimals := 0
	switch {
	case x == 0, x >= 99.95:
	case x >= 9.995:
		decimals = 1
	case i < 0:
		decimals = 1
	default:
		decimals = 2
	}
	b = strconv.AppendFloat(b, x, 'f', decimals, 64)
	if i >= 0 {
		b = append(b, prefixes[i])
	}
	return b
}

// A grid is the cells of a table: a line for each entry, and under them those of
// what has none and of all.
type grid struct {
	rows  []cells
	other cells
	total cells
}

// cells are the columns' numbers, and the key.
type cells [len(columns) + 1]string

const keyColumn = len(columns)

// titles are the cells above a column each.
func titles(by tally.By) (all cells) {
	for i, c := range columns {
		all[i] = c.title
	}
	all[keyColumn] = by.String()
	return all
}

// grid lays out a table.
func (t *table) grid() grid {
	line := func(sum, lately tally.Sum, key string) (all cells) {
		for i, c := range columns {
			all[i] = string(c.append(nil, t, sum, lately))
		}
		all[keyColumn] = key
		return all
	}
	g := grid{other: line(t.other, t.rest(), "other"), total: line(t.total, t.recent, "total")}
	for i := range t.entries {
		e := &t.entries[i]
		g.rows = append(g.rows, line(e.Total(), e.lately, string(e.AppendTo(nil, t.by))))
	}
	return g
}

// widths are how wide the columns of lines are; they were at least so wide before.
func widths(before [len(columns) + 1]int, lines ...cells) [len(columns) + 1]int {
	for _, line := range lines {
		for i, cell := range line {
			before[i] = max(before[i], len(cell))
		}
	}
	return before
}

// appendCells appends a line, the numbers to the right of their columns. Columns of
// width 0 are left out.
func appendCells(b []byte, line cells, widths [len(columns) + 1]int) []byte {
	for i, cell := range line[:keyColumn] {
		if widths[i] == 0 {
			continue
		}
		for range widths[i] - len(cell) {
			b = append(b, ' ')
		}
		b = append(append(b, cell...), "  "...)
	}
	return append(b, line[keyColumn]...)
}

// appendText appends a table as lines of plain text, and an empty one before those of
// an interval:
//
//	08:57:42 by src, 1.0 s
//	packets  bytes  pkt/s  bit/s  share  src
//	     10    640     10  5.12k  83.3%  192.0.2.1
//	      2    128      2  1.02k  16.7%  other
//	     12    768     12  6.14k   100%  total
func appendText(b []byte, t *table) []byte {
	b = t.at.Local().AppendFormat(b, "15:04:05")
	b = append(append(append(b, " by "...), t.by.String()...), ", "...)
	if t.final {
		b = append(b, "the whole run, "...)
	}
	b = strconv.AppendFloat(b, t.duration.Seconds(), 'f', 1, 64)
	b = append(b, " s\n"...)
	g := t.grid()
	all := append([]cells{titles(t.by)}, g.rows...)
	all = append(all, g.other, g.total)
	w := widths([len(columns) + 1]int{}, all...)
	for _, line := range all {
		b = append(appendCells(b, line, w), '\n')
	}
	if !t.final {
		b = append(b, '\n') // another one follows
	}
	return b
}
