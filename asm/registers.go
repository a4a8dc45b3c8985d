package asm

import (
	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// Registers by their roles: see package layout.
const (
	ctx    = layout.Ctx
	header = layout.Header
	end    = layout.End
	record = layout.Record
	stack  = layout.Stack
	next   = layout.Next
	flags  = layout.Flags
)

// label names a place in the program.
type label = assemble.Label

// builder emits the program: the assembler, and the place where the program is to stand.
type builder struct {
	*assemble.Builder
	place  place
	slot   uint8 // number of the program, among those of its collection
	inner  bool  // it looks into tunnels
	wide   bool  // its records are two cache lines
	hashes bool  // which have a hash

	short []short // see outOfReach

	inside bool // what is emitted reads the headers of an inner packet, see aligned
}

// recordSize is the size of its records in bytes.
func (b *builder) recordSize() int { return recordSize(b.wide) }

func recordSize(wide bool) int {
	if wide {
		return wire.WideRecordSize
	}
	return wire.RecordSize
}

// wide reports whether records are two cache lines.
func (cfg Config) wide() bool { return cfg.Inner || cfg.Hash }

func newBuilder(at place) *builder {
	return &builder{Builder: assemble.New(layout.Roles()), place: at, inner: at.Inner()}
}
