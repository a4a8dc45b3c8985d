package format

import (
	"strconv"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
)

// counterNames are those of the JSON object, and the counters under them.
func counterNames(c wire.Counters) [5]struct {
	name  string
	value uint64
} {
	return [...]struct {
		name  string
		value uint64
	}{
		{"seen", c.Seen}, {"matched", c.Matched()}, {"sampled_out", c.SampledOut},
		{"captured", c.Captured}, {"lost", c.Lost},
	}
}

// appendRate appends how many a second there were since before.
func appendRate(b []byte, now, before uint64, seconds float64, decimals int) []byte {
	return strconv.AppendFloat(b, float64(now-min(before, now))/seconds, 'f', decimals, 64)
}

// closingLines are the counters as tcpdump prints them.
type closingLines struct{}

func (closingLines) AppendCounters(b []byte, c wire.Counters, _ time.Time) []byte {
	b = appendPackets(b, c.Captured, "captured")
	b = appendPackets(b, c.Matched(), "received by filter")
	return appendPackets(b, c.Lost, "dropped by kernel")
}

func appendPackets(b []byte, n uint64, what string) []byte {
	b = strconv.AppendUint(b, n, 10)
	b = append(b, " packet"...)
	if n != 1 {
		b = append(b, 's')
	}
	b = append(b, ' ')
	b = append(b, what...)
	return append(b, '\n')
}

// AppendStats appends one line:
//
//	seen 1000 (100/s) matched 800 (80/s) captured 790 (79/s) lost 10 (1/s)
func (closingLines) AppendStats(b []byte, c, before wire.Counters, seconds float64, _ time.Time) []byte {
	was := counterNames(before)
	for i, counter := range counterNames(c) {
		name := counter.name
		if name == "sampled_out" {
			if counter.value == 0 {
				continue // as nearly always: nobody samples
			}
			name = "sampled out"
		}
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, name...)
		b = append(b, ' ')
		b = strconv.AppendUint(b, counter.value, 10)
		b = append(b, " ("...)
		b = appendRate(b, counter.value, was[i].value, seconds, 0)
		b = append(b, "/s)"...)
	}
	return append(b, '\n')
}
