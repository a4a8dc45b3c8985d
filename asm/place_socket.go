package asm

import "github.com/cilium/ebpf"

// socketFilter is a socket's filter, which is given what that is about to receive: of a
// packet socket frames from the Ethernet header on. Nothing of them can be read directly, so
// the beginning is copied, with a tag that is beside the packet where it was on the wire.
//
// The copy is the CPU's own, so nothing may come between: as the kernel runs a packet
// socket's filter, with softirqs off, nothing does.
type socketFilter struct{ trafficControl }

func newSocketFilter(Config) place { return socketFilter{} }

func (socketFilter) spec() *ebpf.ProgramSpec {
	return &ebpf.ProgramSpec{Type: ebpf.SocketFilter, SectionName: "socket"}
}

// begin copies the packet's beginning; it is also where the program goes on from
// copyAll, once.
func (s socketFilter) begin(b *builder) {
	b.copying(copyUsual, s.most())
	s.copyBeginning(b)
	b.Jump(parse)

	b.Block(parse)
}
