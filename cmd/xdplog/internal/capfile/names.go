package capfile

import (
	"fmt"
	"strconv"
	"time"
)

// conversions are those of strftime(3) that a file's name may have, as package time
// writes them.
var conversions = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'b': "Jan", 'h': "Jan", 'B': "January",
	'd': "02", 'e': "_2", 'j': "002", 'a': "Mon", 'A': "Monday",
	'H': "15", 'I': "03", 'p': "PM", 'M': "04", 'S': "05",
	'F': "2006-01-02", 'T': "15:04:05", 'R': "15:04", 'D': "01/02/06", 'z': "-0700", 'Z': "MST",
}

// CheckTimes returns an error if a name has a conversion of strftime(3) that is not
// known here.
func CheckTimes(name string) error {
	_, err := appendTimes(nil, name, time.Time{})
	return err
}

// appendTimes appends a name with the times in it.
func appendTimes(b []byte, name string, at time.Time) ([]byte, error) {
	for i := 0; i < len(name); i++ {
		if name[i] != '%' {
			b = append(b, name[i])
			continue
		}
		if i++; i == len(name) {
			return b, fmt.Errorf("%q ends in %%: %%%% stands for it", name)
		}
		layout, known := conversions[name[i]]
		switch {
		case known:
			b = at.AppendFormat(b, layout)
		case name[i] == 's':
			b = strconv.AppendInt(b, at.Unix(), 10)
		case name[i] == '%':
			b = append(b, '%')
		default:
			return b, fmt.Errorf("%q has %%%c, which is not known: %%Y %%m %%d %%H %%M %%S %%F %%T %%s %%j and others of strftime(3) are", name, name[i])
		}
	}
	return b, nil
}

// numbering makes the names of a ring's files one after the other, as tcpdump does: what
// was asked for, its times filled in, and a number from the second file on, or with a
// number of files from the first.
type numbering struct {
	ring Ring
	name string // as it was asked for

	base   string // of the file before
	number int
	digits int // of all numbers; 0: as many as they have, and the first has none
}

func newNumbering(name string, ring Ring) *numbering {
	n := &numbering{ring: ring, name: name}
	if ring.Size > 0 && ring.Count > 1 {
		n.digits = len(strconv.Itoa(ring.Count - 1))
	}
	return n
}

// next is the name of the next file, which is begun at a time. It is never that of the
// file before, unless only one is wanted.
func (n *numbering) next(at time.Time) string {
	base := n.name
	if n.ring.Every > 0 {
		if n.ring.Location != nil {
			at = at.In(n.ring.Location)
		}
		filled, _ := appendTimes(nil, n.name, at) // checked
		base = string(filled)
	}
	if base == n.base {
		n.number++
	} else {
		n.base, n.number = base, 0
	}
	if n.ring.around() {
		n.number %= n.ring.Count
	}
	if n.number == 0 && n.digits == 0 {
		return base
	}
	return fmt.Sprintf("%s%0*d", base, n.digits, n.number)
}
