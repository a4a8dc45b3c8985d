package reader

import (
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
)

// TestClockStepped sets the wall clock forward and back under a running reader:
// the times of events follow within a second, and are right until then by the
// clock as it was.
func TestClockStepped(t *testing.T) {
	const booted = uint64(1000 * time.Second) // what the monotonic clock says at first
	started := time.Now()                     // with a monotonic reading, as the reader's is
	wall := time.Unix(1_700_000_000, 0)       // when that was
	var step time.Duration
	looks := 0
	difference := func() int64 {
		looks++
		return wall.Add(step).UnixNano() - int64(booted)
	}

	var c clock
	at := func(after time.Duration) time.Time {
		s := c.stampAt(started.Add(after), difference)
		return s.another(booted + uint64(after))
	}
	for i, move := range []time.Duration{0, time.Hour, -3 * time.Hour, 365 * 24 * time.Hour} {
		before := step
		begin := time.Duration(i) * clockInterval
		if got, want := at(begin), wall.Add(begin+before); !got.Equal(want) {
			t.Errorf("before the clock is set by %v: %v, want %v", move, got, want)
		}
		step += move
		if got, want := at(begin+clockInterval-1), wall.Add(begin+clockInterval-1+before); !got.Equal(want) {
			t.Errorf("just after it: %v, want still %v", got, want)
		}
		if got, want := at(begin+clockInterval), wall.Add(begin+clockInterval+step); !got.Equal(want) {
			t.Errorf("a second after it: %v, want %v", got, want)
		}
	}
	if looks != 5 {
		t.Errorf("the clocks were looked at %d times in 4 s, want 5", looks)
	}
}

// TestClockDifference holds the difference against the clocks themselves.
func TestClockDifference(t *testing.T) {
	now := uint64(time.Now().UnixNano() - difference())
	s := new(clock).stamp()
	if off := time.Since(s.another(now)); off < 0 || off > time.Second {
		t.Errorf("an event of now is %v old", off)
	}
}

// TestStampSecond goes through seconds and back, and to both ends of time: what
// is told by the second of the record before is what is told without it.
func TestStampSecond(t *testing.T) {
	const second = uint64(time.Second)
	s := stamp{offset: 1_700_000_000_123_456_789, now: 1_800_000_000_000_000_001}
	for _, monotonic := range []uint64{
		1, 2, 0, 876_543_210, 876_543_211, 2 * second, 2*second + 1, second, 0, 1, 1 << 62, 1<<62 + 1, 1 << 63, 1<<63 + 1, 1<<64 - 1,
	} {
		record := wire.Record{Time: monotonic}
		var event Event
		event.set(&record, &s)
		want := time.Unix(0, int64(monotonic)+s.offset)
		if monotonic == 0 {
			want = time.Unix(0, s.now)
		}
		if event.Time != want {
			t.Errorf("%d is %v, want %v", monotonic, event.Time, want)
		}
	}
}
