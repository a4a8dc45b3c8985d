package capfile

import (
	"math/bits"
	"time"
)

// resolution is the unit of an interface's times in pcapng: if_tsresol and
// if_tsoffset (draft-ietf-opsawg-pcapng, 4.2).
type resolution struct {
	unit   uint8 // 10^-n seconds, or with the highest bit 2^-n
	offset int64 // seconds to add
}

// micros is the resolution where none is given.
var micros = resolution{unit: 6}

// powersOfTen are those that 64 bits hold.
var powersOfTen = func() (powers [20]uint64) {
	powers[0] = 1
	for i := 1; i < len(powers); i++ {
		powers[i] = 10 * powers[i-1]
	}
	return powers
}()

// time is that of so many units since 1970, cut to nanoseconds. It is exact for
// every resolution: what 64 bits would lose is computed in 128.
func (r resolution) time(units uint64) time.Time {
	seconds, nanos := r.parts(units)
	return time.Unix(int64(seconds)+r.offset, int64(nanos))
}

func (r resolution) parts(units uint64) (seconds, nanos uint64) {
	n := uint(r.unit &^ 0x80)
	if r.unit&0x80 != 0 {
		if n == 0 {
			return units, 0
		}
		fraction := units
		if n < 64 {
			seconds, fraction = units>>n, units&(1<<n-1)
		}
		high, low := bits.Mul64(fraction, 1e9)
		if n >= 64 {
			return seconds, high >> (n - 64)
		}
		return seconds, high<<(64-n) | low>>n
	}
	fraction := units
	if n < uint(len(powersOfTen)) {
		seconds, fraction = units/powersOfTen[n], units%powersOfTen[n]
	}
	switch {
	case n <= 9:
		return seconds, fraction * powersOfTen[9-n]
	case n-9 < uint(len(powersOfTen)):
		return seconds, fraction / powersOfTen[n-9]
	}
	return seconds, 0
}
