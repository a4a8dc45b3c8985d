package asm

import (
	"errors"
	"io"

	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/match"
)

// Listing writes a program for people to read: registers by role, loads and
// stores with their width, jumps to labels, and beside an access the name of
// what it reads or writes. An instruction's number counts in the 8 bytes that
// the kernel counts in, as the verifier's log and bpftool do.
//
// The roles are known of the instructions of a spec that [Program] made.
func Listing(w io.Writer, insns bpf.Instructions) error { return assemble.Listing(w, insns) }

// Errors of [Program] that are the filter's.
var (
	ErrTooLarge   = errors.New("filter is too large: split or simplify it") // its code is larger than jumps reach
	ErrRejectsAll = match.ErrRejectsAll                                     // it contradicts itself, as in "tcp and udp"
)
