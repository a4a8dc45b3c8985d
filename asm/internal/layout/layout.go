// Package layout says where the program finds things: which register has which role, where the fields of headers and of
// the record are, which part of the stack is whose.
//
// The parser and the filter's code are emitted by different packages and run in one program. What they agree on stands
// here once, with a name, so that neither writes a number. It may import assemble and wire.
package layout

import (
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/wire"
)

// Registers have roles. r6–r9 survive helper calls; r0–r5 do not, so the two
// roles among those last only while a packet is parsed, where nothing is called.
const (
	Ctx    = bpf.R6  // the program's context
	Header = bpf.R7  // start of the header at hand
	End    = bpf.R8  // one past the packet's last byte that can be read directly
	Record = bpf.R9  // the wire.Record being filled
	Stack  = bpf.R10 // one past the highest byte of the stack, read-only

	Next  = bpf.R5 // what follows the header at hand: EtherType, then IP protocol
	Flags = bpf.R4 // wire.Flags of the record
)

// Roles are the names under which a listing shows registers that keep their
// role throughout the program.
func Roles() assemble.Naming {
	return assemble.Naming{Ctx: "ctx", Header: "header", End: "end", Record: "record", Stack: "stack"}
}

// ParseRoles are the names of the others while a packet is parsed.
func ParseRoles() assemble.Naming { return assemble.Naming{Next: "next", Flags: "flags"} }

// Places on the stack, in bytes from its top.
const (
	RecordSlot   = -int16(wire.RecordSize)
	CountersSlot = RecordSlot - 8   // pointer to this CPU's wire.Counters
	RingSlot     = CountersSlot - 8 // mmap: pointer to this CPU's wire.Ring
	StartSlot    = RingSlot - 8     // tc: pointer to the frame's first byte
	CopiedSlot   = StartSlot - 8    // tc: how much of the packet was copied
	LengthSlot   = CopiedSlot - 8   // the packet's length in bytes, once it is to be reported
	TagSlot      = LengthSlot - 8   // XDP: the tag that a device keeps beside the packet
	LeadSlot     = TagSlot          // tc: how much is before a packet without Ethernet header
	FilterSlot   = TagSlot          // what is below is the filter's, down to OutsideSlot where that is used

	// Of a program with records of two cache lines, from the stack's lower end on; what follows the
	// record is for tunnels.
	WideRecordSlot = -512
	FrameSlot      = WideRecordSlot + int16(wire.WideRecordSize) // how far into the frame begins the one that filters speak of
	OutsideSlot    = FrameSlot + 8                               // how far into the frame the outer packet's ports, or what is in their place
)
