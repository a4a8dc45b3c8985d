// Package match compiles a filter into code that jumps.
//
// A filter speaks of a packet that the parser has just walked through, so most of what it asks stands in the record, and
// the rest a few bytes away. [Compile] turns the tree into short-circuit jumps over those answers: no truth value is ever
// kept, it is where the program is. What is certain at a place is not asked again there, neighbours that ask the same of
// different values become one look-up, and code that can't be reached is not emitted.
//
// It may import assemble, layout, filter and wire. Where the packet's bytes are it asks a [Place].
package match

import (
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/layout"
)

// Place is where the program stands, as far as a filter asks for more than the parser left. What the code finds when it
// begins is the same in every place:
//
//   - layout.Record holds the decoded packet, but for time, length and interface. [layout.Next] and [layout.Flags] hold
//     its protocol and flags, until a helper is called.
//   - layout.Header points behind the last header that was read: to the ports, where there may be some.
//   - Bytes before layout.End can be loaded, once it was compared with where they end.
//   - What is below [layout.FilterSlot] on the stack is the filter's; r0 to r5 are.
//
// It leaves r6 to r10 as they were, writes nothing but its part of the stack, and falls through if the packet matches.
type Place interface {
	// Start leaves in dst where the packet's first byte is, and no other register changed.
	Start(b *assemble.Builder, dst bpf.Register)

	// Inner says whether the frame may be one in a tunnel. It then begins as many bytes behind
	// Start as [layout.FrameSlot] says; of an IP packet without an Ethernet header there,
	// which the record says, so many before it as that would have.
	Inner() bool

	// Limits are how far code reaches that is not Copy. near is the largest
	// constant offset into a header at which a byte that is not before
	// layout.End is had by Further; 0 is none, and all are had by Copy.
	// direct is the largest offset that may be added to Start. Whatever is
	// before layout.End up to near or direct, and 4 bytes more, the verifier
	// must accept.
	Limits() (near uint32, direct int32)

	// Length leaves in r0 how many bytes the frame has, in all of its buffers.
	// Where it is Fragmented, that takes r1 to r5.
	Length(b *assemble.Builder)

	// Further is where a byte near a header is not before layout.End, of a
	// Fragmented frame: it has the program begin anew with a frame of which more
	// is before that, or jumps where no more is to be had.
	Further(b *assemble.Builder, otherwise assemble.Label)

	// Fragmented says whether the frame may go on behind layout.End.
	Fragmented() bool

	// Copy copies size bytes of a Fragmented frame, at the offset in r0, to a
	// slot of the stack. It leaves 0 in r0, or else the frame has no such bytes,
	// and takes r1 to r5.
	Copy(b *assemble.Builder, slot int16, size int32)
}

// Registers by their roles, as everywhere in the program.
const (
	header = layout.Header
	end    = layout.End
	record = layout.Record
	stack  = layout.Stack
	next   = layout.Next
	flags  = layout.Flags
)
