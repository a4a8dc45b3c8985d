package run

import (
	"errors"
	"fmt"
	"time"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/loader"
)

// clock says of which clock the times are, where they are to be the device's.
func (s *session) clock(a attachment) string {
	if s.hardwareTimes == nil {
		return ""
	}
	if !a.AsksTime() {
		if a.Place() == asm.XDP {
			return "; times are the kernel's: the driver tells XDP no others (--place tc may)"
		}
		return "; times are the kernel's"
	}
	clock, err := a.HardwareClock()
	if errors.Is(err, loader.ErrNoHardwareClock) {
		return "; it has no clock of its own: hardware times, which packets may bring along, are told as they are"
	}
	if clock == nil {
		return fmt.Sprintf("; hardware times are told as the device has them: %v", err)
	}
	if clock.Idle {
		return fmt.Sprintf("; times are the kernel's until the device stamps packets: hwstamp_ctl -i %s -r 1", names.OneWord(a.Interface()))
	}
	ahead, err := clock.Ahead()
	if err != nil {
		return fmt.Sprintf("; hardware times are told as the device has them: %v", err)
	}
	return fmt.Sprintf("; hardware times are of PTP clock %d, to which %v is added", clock.Number, ahead.Round(time.Microsecond))
}
