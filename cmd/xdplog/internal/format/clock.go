package format

import "time"

// A clock appends times. Packets come many to a second, so it keeps what it
// wrote of the last one down to the second.
type clock struct {
	layout   string // without the fraction
	location *time.Location
	second   int64 // since the epoch; of prefix
	prefix   []byte
}

func (c *clock) appendSecond(b []byte, t time.Time) []byte {
	if s := t.Unix(); s != c.second || len(c.prefix) == 0 {
		c.second = s
		c.prefix = t.In(c.location).AppendFormat(c.prefix[:0], c.layout)
	}
	return append(b, c.prefix...)
}

// appendDigits appends n in exactly width digits, at most 9.
func appendDigits(b []byte, n, width int) []byte {
	const zeros = "000000000"
	b = append(b, zeros[:width]...)
	for i := len(b) - 1; n > 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}
