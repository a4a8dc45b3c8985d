// Package engine does in plain Go what the program does in the kernel: it makes records of frames.
//
// Capture files are to be read without rights, and importers' tests to make events of frames without a kernel. An [Engine]
// decodes a frame into the same [wire.Record] to the bit, decides by the same filter, samples and counts alike, for frames
// of any length. [Decode] is the parser alone.
//
// That the two agree is held by tests, which run millions of made-up frames through the program in the kernel, the engine,
// and an independent oracle. It may import asm, filter and wire.
package engine

import (
	"fmt"
	"math/rand/v2"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/wire"
)

// Engine is a program of [asm.Config] in plain Go. It is for one goroutine; the
// zero value reports nothing.
type Engine struct {
	all      bool
	wanted   *filter.Matcher // nil: all, or in the zero value none
	inner    bool
	sampling asm.Sampling
	counters wire.Counters
}

// New returns the engine of a config, of which it takes the filter and the sampling:
// the rest is about the kernel. It fails where [asm.Program] would.
func New(cfg asm.Config) (*Engine, error) {
	// How records leave the kernel, and what is counted or kept there, is not its business.
	cfg.Transport, cfg.CPUs, cfg.SnapLen = asm.Perf, 0, 0
	cfg.Count, cfg.Keep, cfg.Until = nil, false, nil
	if err := cfg.Check(); err != nil {
		return nil, fmt.Errorf("make an engine: %w", err)
	}
	wanted, err := cfg.Wanted()
	if err != nil {
		return nil, fmt.Errorf("make an engine: %w", err)
	}
	e := &Engine{all: wanted == nil, inner: cfg.Inner, sampling: cfg.Sample}
	if wanted != nil {
		e.wanted = wanted.Matcher()
	}
	return e, nil
}

// Run sets a record from a frame, of which length bytes were on the wire, from the
// Ethernet header on, and reports whether it is to be reported: else the record's
// contents mean nothing. It is that of the outer packet, see RunInner. Of a length over [wire.MaxLength] the record has that. Time and interface are the caller's to set.
func (e *Engine) Run(record *wire.Record, frame []byte, length int) bool {
	if !e.Select(frame, length) {
		return false
	}
	Decode(record, frame)
	record.LengthSlot = uint32(recorded(length))
	return true
}

// RunInner is Run of a config with [asm.Config.Inner].
func (e *Engine) RunInner(record *wire.WideRecord, frame []byte, length int) bool {
	if !e.Select(frame, length) {
		return false
	}
	DecodeInner(record, frame)
	record.LengthSlot = uint32(recorded(length))
	return true
}

// Select is Run for who wants no record: whether the packet is to be reported.
func (e *Engine) Select(frame []byte, length int) bool {
	e.counters.Seen++
	if !e.match(frame, length) {
		return false
	}
	if e.left() {
		e.counters.SampledOut++
		e.counters.SampledOutBytes += uint64(recorded(length))
		return false
	}
	e.counters.Captured++
	e.counters.CapturedBytes += uint64(recorded(length))
	return true
}

// recorded is a length as a record has it.
func recorded(length int) int { return min(max(length, 0), wire.MaxLength) }

func (e *Engine) match(frame []byte, length int) bool {
	switch {
	case e.all:
		return true
	case e.wanted == nil:
		return false
	case e.inner:
		return e.wanted.MatchInner(frame, length)
	}
	return e.wanted.Match(frame, length)
}

// left says whether sampling leaves a packet out that matches.
func (e *Engine) left() bool {
	switch n := e.sampling.N; {
	case n <= 1:
		return false
	case e.sampling.Random:
		return rand.Uint32N(n) != 0
	case e.counters.Skip > 0:
		e.counters.Skip--
		return true
	default:
		e.counters.Skip = uint64(n) - 1
		return false
	}
}

// Counters are what the engine has counted. None is ever lost.
func (e *Engine) Counters() wire.Counters { return e.counters }
