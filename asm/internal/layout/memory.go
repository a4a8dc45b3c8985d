package layout

import (
	"unsafe"

	"github.com/xdplog/xdplog/asm/wire"
)

// Offsets in [wire.Counters].
const (
	OffSeen            = unsafe.Offsetof(wire.Counters{}.Seen)
	OffSampledOut      = unsafe.Offsetof(wire.Counters{}.SampledOut)
	OffCaptured        = unsafe.Offsetof(wire.Counters{}.Captured)
	OffLost            = unsafe.Offsetof(wire.Counters{}.Lost)
	OffSampledOutBytes = unsafe.Offsetof(wire.Counters{}.SampledOutBytes)
	OffCapturedBytes   = unsafe.Offsetof(wire.Counters{}.CapturedBytes)
	OffLostBytes       = unsafe.Offsetof(wire.Counters{}.LostBytes)
	OffSkip            = unsafe.Offsetof(wire.Counters{}.Skip)
)

// Offsets in [wire.Ring].
const (
	OffHead = unsafe.Offsetof(wire.Ring{}.Head)
	OffTail = unsafe.Offsetof(wire.Ring{}.Tail)
	OffWake = unsafe.Offsetof(wire.Ring{}.Wake)
	OffLast = unsafe.Offsetof(wire.Ring{}.Last)
	OffHit  = unsafe.Offsetof(wire.Ring{}.Hit)
)

// Offsets in [wire.Entry].
const (
	OffEntrySize = unsafe.Offsetof(wire.Entry{}.SizeQueue)
	OffEntryLost = unsafe.Offsetof(wire.Entry{}.Lost)
)

// Offsets in [wire.CountRegion] and [wire.CountRow].
const (
	OffOtherPackets = unsafe.Offsetof(wire.CountRegion{}.Packets)
	OffOtherBytes   = unsafe.Offsetof(wire.CountRegion{}.Bytes)
	OffRowMeta      = unsafe.Offsetof(wire.CountRow{}.Meta)
	OffRowPackets   = unsafe.Offsetof(wire.CountRow{}.Packets)
	OffRowBytes     = unsafe.Offsetof(wire.CountRow{}.Bytes)
	OffRowFirst     = unsafe.Offsetof(wire.CountRow{}.First)
	OffRowLast      = unsafe.Offsetof(wire.CountRow{}.Last)
)
