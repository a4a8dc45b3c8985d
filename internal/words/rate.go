package words

import "strconv"

// AppendRate appends how many a second there were since before.
func AppendRate(b []byte, now, before uint64, seconds float64, decimals int) []byte {
	return strconv.AppendFloat(b, float64(now-min(before, now))/seconds, 'f', decimals, 64)
}
