package loader

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Mode says where a program runs in the way of a packet.
type Mode uint8

const (
	Auto    Mode = iota // native, and generic where the driver refuses that
	Native              // in the driver, before the kernel makes an skb
	Generic             // in the kernel's own receive path: any interface, slower
	Offload             // on the card, as some of others run: see [Program]. No card has a place for events, so [Attach] takes it for no program
)

var modeNames = [...]string{Auto: "auto", Native: "native", Generic: "generic", Offload: "offload"}

// String is the name that [ParseMode] takes.
func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return fmt.Sprintf("mode(%d)", uint8(m))
}

// ParseMode returns the mode with a name: auto, native or generic; or offload, in which programs of
// others may run.
func ParseMode(s string) (Mode, error) {
	for m, name := range modeNames {
		if s == name {
			return Mode(m), nil
		}
	}
	return Auto, fmt.Errorf("no mode %q: want auto, native or generic", s)
}

// order is the modes to try, best first.
func (m Mode) order() []Mode {
	if m == Auto {
		return []Mode{Native, Generic}
	}
	return []Mode{m}
}

// flag is the XDP_FLAGS_ bit of a mode other than Auto.
func (m Mode) flag() uint32 {
	switch m {
	case Native:
		return unix.XDP_FLAGS_DRV_MODE
	case Generic:
		return unix.XDP_FLAGS_SKB_MODE
	case Offload:
		return unix.XDP_FLAGS_HW_MODE
	default:
		return 0
	}
}

// excludes reports whether the kernel lets only one of two programs be
// attached: native and generic share a place, the card has its own.
func (m Mode) excludes(other Mode) bool {
	return (m == Offload) == (other == Offload)
}
