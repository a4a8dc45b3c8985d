package layout

import (
	"unsafe"

	"github.com/xdplog/xdplog/asm/wire"
)

// Offsets in [wire.Counters].
const (
	OffSeen       = unsafe.Offsetof(wire.Counters{}.Seen)
	OffSampledOut = unsafe.Offsetof(wire.Counters{}.SampledOut)
	OffCaptured   = unsafe.Offsetof(wire.Counters{}.Captured)
	OffLost       = unsafe.Offsetof(wire.Counters{}.Lost)
	OffSkip       = unsafe.Offsetof(wire.Counters{}.Skip)
)

// Offsets in [wire.Ring].
const (
	OffHead = unsafe.Offsetof(wire.Ring{}.Head)
	OffTail = unsafe.Offsetof(wire.Ring{}.Tail)
	OffWake = unsafe.Offsetof(wire.Ring{}.Wake)
)
