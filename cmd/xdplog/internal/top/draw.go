package top

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// A look is how a line is painted: a "select graphic rendition" sequence of ECMA-48.
type look string

const (
	plain   look = ""
	strong  look = "\x1b[1m"
	faint   look = "\x1b[2m"
	reverse look = "\x1b[7m"
)

// A line is one of the screen.
type line struct {
	text string
	look look
}

// A picture is what is drawn.
type picture struct {
	table   table
	where   string // interfaces
	filter  string // "": none
	sort    Sort
	paused  bool
	help    bool
	status  string // the last line; "": which keys there are
	aligned [len(columns) + 1]int
}

const keys = "q quit  s sort  b key  p pause  / filter  h help"

var helpText = []string{
	"s      sort by rate, packets, bytes",
	"b Tab  count by another key, from now on",
	"p      pause; counting goes on",
	"/      another filter, from now on",
	"q      quit, and print the whole table",
	"h ?    this, and back",
}

// draw lays the picture out in so many columns and lines. Where there is little room,
// the rows stay.
func (p *picture) draw(columns, height int) []line {
	head := []line{{p.title(), strong}, {p.sums(), plain}}
	foot := line{p.status, plain}
	if p.status == "" {
		foot = line{keys, faint}
	}
	if p.help {
		return fit(append(append(head, lines(helpText)...), foot), columns, height)
	}
	rest := height - 1 // of the titles
	switch {
	case p.status == "" && height < 6:
		foot.text = "" // nobody waits for an answer
	default:
		rest--
	}
	if rest < len(head)+2 {
		head = head[:max(0, min(len(head), rest-2))]
	}
	rest = max(rest-len(head), 0)

	others := rest > 1 && (p.table.other.Packets > 0 || len(p.table.entries) > rest)
	if others {
		rest-- // of other
	}
	p.table.keep(rest)
	g := p.table.grid()
	rows := g.rows
	if others {
		rows = append(rows, g.other)
	}
	p.aligned = widths(p.aligned, append(rows, titles(p.table.by), g.total)...)
	w := narrow(p.aligned, rows, columns)
	all := append(head, line{string(appendCells(nil, titles(p.table.by), w)), reverse})
	for _, row := range rows {
		all = append(all, line{string(appendCells(nil, row, w)), plain})
	}
	if foot.text != "" {
		for len(all) < height-1 {
			all = append(all, line{})
		}
		all = append(all, foot)
	}
	return fit(all, columns, height)
}

// narrow leaves out columns until the keys are whole, but not the last.
func narrow(w [len(columns) + 1]int, rows []cells, width int) [len(columns) + 1]int {
	key := 0
	for _, row := range rows {
		key = max(key, len(row[keyColumn]))
	}
	for {
		sum, worst := key, -1
		for i := range columns {
			if w[i] > 0 {
				sum += w[i] + len("  ")
				if worst < 0 || columns[i].keep > columns[worst].keep {
					worst = i
				}
			}
		}
		if sum <= width || worst < 0 || columns[worst].keep == 1 {
			return w
		}
		w[worst] = 0
	}
}

func (p *picture) title() string {
	title := "xdplog top  " + p.where + "  by " + p.table.by.String() + ", " + p.sort.String() + " first"
	if p.paused {
		title = "paused  " + title
	}
	if p.filter != "" {
		title += "  filter: " + p.filter
	}
	return title
}

func (p *picture) sums() string {
	t := &p.table
	b := appendRate(nil, t, t.recent.Packets, 1)
	b = appendRate(append(b, " pkt/s  "...), t, t.recent.Bytes, 8)
	b = appendCount(append(b, " bit/s  in all "...), t.total.Packets, "packet")
	return string(appendCount(append(b, ", "...), t.total.Bytes, "byte"))
}

// appendCount appends how many there are of something.
func appendCount(b []byte, n uint64, what string) []byte {
	b = append(strconv.AppendUint(b, n, 10), ' ')
	b = append(b, what...)
	if n != 1 {
		b = append(b, 's')
	}
	return b
}

func lines(texts []string) (all []line) {
	for _, text := range texts {
		all = append(all, line{text, plain})
	}
	return all
}

// fit cuts lines to a width, with a + where something is cut, and to a number.
func fit(all []line, columns, height int) []line {
	for i := range all {
		if utf8.RuneCountInString(all[i].text) > columns {
			cut := []rune(all[i].text)[:max(columns-1, 0)]
			all[i].text = string(cut) + "+"
		}
	}
	return all[:min(len(all), height)]
}

// A screen is a terminal of which lines are changed in place.
type screen struct {
	columns, height int
	color           bool
	shown           []string // as they are there; nil: nothing is known
}

// Sequences of ECMA-48 and xterm's: the screen beside that of the shell, without a
// cursor and without wrapping.
const (
	enter = "\x1b[?1049h\x1b[?25l\x1b[?7l"
	leave = "\x1b[m\x1b[?7h\x1b[?25h\x1b[?1049l"
	clean = "\x1b[m\x1b[2J"
	unset = "\x1b[m"
	blank = "\x1b[K" // to the end of the line
)

// update returns what has the terminal show these lines: those that differ.
func (s *screen) update(all []line) []byte {
	var b []byte
	if s.shown == nil {
		b = append(b, clean...)
		s.shown = make([]string, s.height)
	}
	for i := range s.shown {
		var want string
		if i < len(all) {
			want = s.paint(all[i])
		} else {
			want = blank
		}
		if want == s.shown[i] {
			continue
		}
		s.shown[i] = want
		b = strconv.AppendInt(append(b, "\x1b["...), int64(i+1), 10)
		b = append(append(b, ";1H"...), want...)
	}
	return b
}

// paint is a line to its end, of what was there before nothing is left.
func (s *screen) paint(l line) string {
	room := s.columns - utf8.RuneCountInString(l.text)
	text := l.text
	if l.look == reverse {
		text, room = text+strings.Repeat(" ", max(0, room)), 0
	}
	if s.color && l.look != plain {
		text = string(l.look) + text + unset
	}
	if room > 0 { // behind the last column it would take the character there
		text += blank
	}
	return text
}

// resize has the screen be of another size, or drawn anew.
func (s *screen) resize(columns, height int) {
	s.columns, s.height, s.shown = columns, height, nil
}
