package format

import (
	"strconv"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/internal/words"
	"github.com/xdplog/xdplog/reader/eve"
)

// closingLines are the counters as tcpdump prints them.
type closingLines struct{}

func (closingLines) AppendCounters(b []byte, c wire.Counters, _ time.Time) []byte {
	b = appendPackets(b, c.Captured, "captured")
	b = appendPackets(b, c.Matched(), "received by filter")
	return appendPackets(b, c.Lost, "dropped by kernel")
}

func appendPackets(b []byte, n uint64, what string) []byte {
	b = appendCount(b, n, "packet")
	b = append(b, ' ')
	b = append(b, what...)
	return append(b, '\n')
}

// AppendStats appends one line:
//
//	seen 1000 (100/s) matched 800 (80/s) captured 790 (79/s) lost 10 (1/s)
func (closingLines) AppendStats(b []byte, c, before wire.Counters, seconds float64, _ time.Time) []byte {
	was := eve.Stats(before)
	for i, counter := range eve.Stats(c) {
		name := counter.Name
		if name == "sampled_out" {
			if counter.Value == 0 {
				continue // as nearly always: nobody samples
			}
			name = "sampled out"
		}
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, name...)
		b = append(b, ' ')
		b = strconv.AppendUint(b, counter.Value, 10)
		b = append(b, " ("...)
		b = words.AppendRate(b, counter.Value, was[i].Value, seconds, 0)
		b = append(b, "/s)"...)
	}
	return append(b, '\n')
}
