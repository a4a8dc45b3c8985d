package format

import (
	"strconv"
	"time"

	"github.com/xdplog/xdplog/internal/words"
)

// A stamp appends the time of an event in one of the [TimeFormats]. It has a
// state: delta and elapsed are about the events before.
type stamp struct {
	clock words.Clock
	kind  timeKind
	since time.Time // what delta and elapsed count from; zero before the first event
	nano  bool      // nine digits, not six
}

type timeKind uint8

const (
	wallTime timeKind = iota // time, date
	noTime
	epochTime
	deltaTime
	elapsedTime
)

func newStamp(format string, location *time.Location) stamp {
	s := stamp{clock: words.Clock{Layout: "15:04:05.", Location: location}}
	switch format {
	case "date":
		s.clock.Layout = "2006-01-02 15:04:05."
	case "none":
		s.kind = noTime
	case "epoch":
		s.kind = epochTime
	case "delta":
		s.kind = deltaTime
	case "elapsed":
		s.kind = elapsedTime
	}
	return s
}

// append appends the time and a space, or nothing.
func (s *stamp) append(b []byte, t time.Time) []byte {
	switch s.kind {
	case noTime:
		return b
	case epochTime:
		b = strconv.AppendInt(b, t.Unix(), 10)
		b = append(b, '.')
		b = s.appendFraction(b, t.Nanosecond())
	case deltaTime, elapsedTime:
		if s.since.IsZero() {
			s.since = t
		}
		b = s.appendInterval(b, t.Sub(s.since))
		if s.kind == deltaTime {
			s.since = t
		}
	default:
		b = s.clock.AppendSecond(b, t)
		b = s.appendFraction(b, t.Nanosecond())
	}
	return append(b, ' ')
}

func (s *stamp) appendFraction(b []byte, nanoseconds int) []byte {
	if s.nano {
		return words.AppendDigits(b, nanoseconds, 9)
	}
	return words.AppendDigits(b, nanoseconds/1000, 6)
}

// appendInterval appends an interval as hours, minutes and seconds. It is
// negative where events of two CPUs come out of order.
func (s *stamp) appendInterval(b []byte, d time.Duration) []byte {
	if d < 0 {
		b = append(b, '-')
		d = -d
	}
	hours := int(d / time.Hour)
	if hours > 99 {
		b = strconv.AppendInt(b, int64(hours), 10)
	} else {
		b = words.AppendDigits(b, hours, 2)
	}
	b = append(b, ':')
	b = words.AppendDigits(b, int(d/time.Minute)%60, 2)
	b = append(b, ':')
	b = words.AppendDigits(b, int(d/time.Second)%60, 2)
	b = append(b, '.')
	return s.appendFraction(b, int(d%time.Second))
}
