package reader

import (
	"errors"
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
)

// TestHardwareTimes: times of a device's clock become wall clock by what is said of that
// clock, which is asked once a second; all others are as ever.
func TestHardwareTimes(t *testing.T) {
	const tai = 37 * time.Second
	started, wall := time.Now(), time.Unix(1_800_000_000, 0)
	looks := 0
	var fault error
	r := &Reader{clock: clock{hardware: new(hardwareClocks)}}
	r.SetHardwareClock(1, func() (time.Duration, error) { looks++; return -tai - time.Duration(looks-1)*time.Hour, fault })

	of := func(slot uint8, at uint64, after time.Duration) time.Time {
		stamp := r.clock.stampAt(started.Add(after), func() int64 { return wall.UnixNano() })
		record := wire.Record{Time: at, LengthSlot: uint32(slot) << wire.SlotShift}
		var e Event
		e.set(&record, &stamp)
		return e.Time
	}
	device := func(t time.Time) uint64 { return uint64(t.UnixNano()) | wire.HardwareTime }
	for _, step := range []struct {
		name  string
		slot  uint8
		time  uint64
		after time.Duration
		want  time.Time
	}{
		{"of the device", 1, device(wall.Add(tai)), 0, wall},
		{"of the kernel", 1, 5, 0, wall.Add(5)},
		{"of the device again", 1, device(wall.Add(tai + 1)), clockInterval - 1, wall.Add(1)},
		{"of the kernel, of another second", 1, uint64(3 * time.Second), 0, wall.Add(3 * time.Second)},
		{"after a second", 1, device(wall.Add(tai + time.Hour)), clockInterval, wall},
		{"of a device of which nothing is said", 0, device(wall), 0, wall},
	} {
		if got := of(step.slot, step.time, step.after); !got.Equal(step.want) {
			t.Errorf("%s: %v, want %v", step.name, got, step.want)
		}
	}
	fault = errors.New("gone")
	if got := of(1, device(wall.Add(tai+time.Hour)), 5*time.Second); !got.Equal(wall) {
		t.Errorf("of a clock that can't be read any more: %v, want %v", got, wall)
	}
	if r.HardwareTimes() != 5 || looks != 3 {
		t.Errorf("%d times of devices, %d looks at the clock", r.HardwareTimes(), looks)
	}
}
