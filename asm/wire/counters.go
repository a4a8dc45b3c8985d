package wire

import "unsafe"

// Counters is what the program counts, one per CPU, in packets since it was
// loaded, and in bytes of whole frames, without FCS. How many packets matched is no field of
// its own but the sum of their three fates, so that matched = sampled_out + captured + lost
// holds in every snapshot, also in one that is taken while packets arrive.
type Counters struct {
	Seen       uint64 // ran the program
	SampledOut uint64 // matched, and left out by sampling
	Captured   uint64 // handed to the buffer
	Lost       uint64 // the buffer was full; a perf buffer that nobody opened is

	SampledOutBytes, CapturedBytes, LostBytes uint64 // of these packets

	// Skip is how many more matched packets sampling leaves out: no count.
	Skip uint64
}

// Matched is the number of packets that passed the filter.
func (c Counters) Matched() uint64 { return c.SampledOut + c.Captured + c.Lost }

// MatchedBytes are those of the packets that passed the filter.
func (c Counters) MatchedBytes() uint64 { return c.SampledOutBytes + c.CapturedBytes + c.LostBytes }

// Add adds what another CPU counted.
func (c *Counters) Add(other Counters) {
	c.Seen += other.Seen
	c.SampledOut += other.SampledOut
	c.Captured += other.Captured
	c.Lost += other.Lost
	c.SampledOutBytes += other.SampledOutBytes
	c.CapturedBytes += other.CapturedBytes
	c.LostBytes += other.LostBytes
}

// CountersSize is the size of [Counters] in bytes.
const CountersSize = int(unsafe.Sizeof(Counters{}))
