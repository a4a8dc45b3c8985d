package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/reader"
)

// A format writes events and counters as lines, appending them to b.
type format interface {
	// appendEvent appends the line of one event. It allocates nothing once b
	// has grown, and is for one goroutine at a time.
	appendEvent(b []byte, e *reader.Event) []byte

	// addInterface makes known an interface that was found on the way, without
	// a name perhaps. It is called as appendEvent is.
	addInterface(i names.Interface)

	// appendCounters appends the counters as they stood at a time. It may be
	// called while another goroutine appends events.
	appendCounters(b []byte, c wire.Counters, at time.Time) []byte

	// appendStats appends a line of the counters so far and of how many there
	// were per second, in the seconds since they were before. As appendCounters.
	appendStats(b []byte, c, before wire.Counters, seconds float64, at time.Time) []byte
}

// outputs are the values of -o, the default first.
var outputs = [...]string{"text", "json", "log", noOutput}

// noOutput is that of no events.
const noOutput = "none"

// newFormat returns the format of one of the [outputs].
func newFormat(output string, interfaces []names.Interface) (format, error) {
	switch output {
	case "text":
		return newText(interfaces, time.Local), nil
	case "json":
		return newJSON(interfaces), nil
	case "log":
		return newLog(), nil
	case noOutput:
		return none{}, nil
	}
	return nil, fmt.Errorf("must be one of %s", strings.Join(outputs[:], ", "))
}

// none writes no events: the counters alone.
type none struct {
	closingLines
	nameless
}

func (none) appendEvent(b []byte, _ *reader.Event) []byte { return b }

// nameless are formats that name no interface.
type nameless struct{}

func (nameless) addInterface(names.Interface) {}

// closingLines are the counters as tcpdump prints them.
type closingLines struct{}

func (closingLines) appendCounters(b []byte, c wire.Counters, _ time.Time) []byte {
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
