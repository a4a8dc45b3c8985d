package asm

import bpf "github.com/cilium/ebpf/asm"

// Registers have roles. r6–r9 survive helper calls; r0–r5 do not, so the two
// roles among those last only while a packet is parsed, where nothing is called.
const (
	ctx    = bpf.R6  // *xdp_md
	header = bpf.R7  // start of the header at hand
	end    = bpf.R8  // one past the packet's last byte that can be read directly
	record = bpf.R9  // the wire.Record being filled
	stack  = bpf.R10 // one past the highest byte of the stack, read-only

	next  = bpf.R5 // what follows the header at hand: EtherType, then IP protocol
	flags = bpf.R4 // wire.Flags of the record
)

// roles are the names under which a listing shows registers that keep their
// role throughout the program.
var roles = naming{
	ctx: "ctx", header: "header", end: "end", record: "record", stack: "stack",
}

// parseRoles are the names of the others while a packet is parsed.
var parseRoles = naming{next: "next", flags: "flags"}
