package wire

import "unsafe"

// ReplayMap holds the [Replay] of a program that runs on recorded packets.
const ReplayMap = "replay"

// Replay is what a recorded packet does not say by its bytes. Whoever runs the
// program on one sets it before, in memory that both share.
type Replay struct {
	Time      uint64 // ns since the Unix epoch, when the packet was recorded: that of its record
	Length    uint32 // bytes that the packet had, of which fewer may have been recorded
	Interface uint32 // that of its record
	Verdict   uint32 // [Undecided], or that of the filter
	_         uint32
}

// Verdicts of a [Replay].
const (
	Undecided = 0 // the program's own filter decides
	Matches   = 1 // the filter's verdict is known: the packet matches
	Differs   = 2 // or it does not
)

// ReplaySize is the size of a [Replay] in bytes.
const ReplaySize = int(unsafe.Sizeof(Replay{}))
