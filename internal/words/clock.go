package words

import "time"

// A Clock appends times. Packets come many to a second, so it keeps what it
// wrote of the last one down to the second.
type Clock struct {
	Layout   string // as package time's, without the fraction
	Location *time.Location

	second int64 // since the epoch; of prefix
	prefix []byte
}

// AppendSecond appends a time down to the second.
func (c *Clock) AppendSecond(b []byte, t time.Time) []byte {
	if s := t.Unix(); s != c.second || len(c.prefix) == 0 {
		c.second = s
		c.prefix = t.In(c.Location).AppendFormat(c.prefix[:0], c.Layout)
	}
	return append(b, c.prefix...)
}

// AppendDigits appends n in exactly width digits, at most 9.
func AppendDigits(b []byte, n, width int) []byte {
	const zeros = "000000000"
	b = append(b, zeros[:width]...)
	for i := len(b) - 1; n > 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}
