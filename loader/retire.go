package loader

import (
	"time"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// A passer is a program that lets every packet pass and looks at nothing. It
// bears our name, so that it is ours to take off wherever it is left.
type passer struct {
	prog *ebpf.Program
	id   uint32
}

// newPasser loads one, or returns nil where it may not: Attach needs no more
// than CAP_NET_ADMIN, and Close even less.
func newPasser() *passer {
	const hasFrags = 1 << 5 // BPF_F_XDP_HAS_FRAGS, Linux 5.18
	spec := &ebpf.ProgramSpec{
		Name: asm.ProgramName, Type: ebpf.XDP, License: "MIT", Flags: hasFrags,
		Instructions: bpf.Instructions{bpf.Mov.Imm(bpf.R0, 2), bpf.Return()}, // XDP_PASS
	}
	prog, err := ebpf.NewProgram(spec)
	if refusesFrags(err) {
		spec.Flags = 0
		prog, err = ebpf.NewProgram(spec)
	}
	if err != nil {
		return nil
	}
	info, err := prog.Info() // now: later there may be no right to ask
	if err != nil {
		prog.Close()
		return nil
	}
	id, _ := info.ID()
	return &passer{prog, uint32(id)}
}

// program and number are those of a passer, or nothing.
func (p *passer) program() *ebpf.Program {
	if p == nil {
		return nil
	}
	return p.prog
}

func (p *passer) number() uint32 {
	if p == nil {
		return 0
	}
	return p.id
}

func (p *passer) close() {
	if p != nil {
		p.prog.Close()
	}
}

// retire puts the passer in the place of a program that is on the interface
// natively, and returns when no CPU runs that any more. A veth that has GRO on
// takes a program off while packets arrive, and forgets the device of the
// receive queue without waiting for who still runs it (veth_disable_xdp_range
// of Linux): a program that asks for its interface then makes the kernel follow
// a null pointer. The passer asks for nothing.
//
// A program that could not be opened is replaced in any mode, for the passer can be
// expected from then on. It reports whether the passer is there now.
func (s *site) retire(mode Mode, expected int, passer *passer) bool {
	if mode != Native && expected != anyProgram || passer == nil {
		return false
	}
	if s.conn.setXDP(s.link.index, passer.prog.FD(), mode, expected) != nil {
		return false
	}
	quiesce()
	return true
}

// quiesce returns when no CPU runs a program any more that has been taken off.
func quiesce() {
	const global = 1 // MEMBARRIER_CMD_GLOBAL, which waits for RCU as programs' runs do
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, global, 0, 0); errno != 0 {
		time.Sleep(50 * time.Millisecond) // it is not everywhere; runs take microseconds
	}
}
