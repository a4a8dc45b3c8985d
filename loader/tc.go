package loader

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	bpflink "github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// A stand is how a program is held at a place other than the XDP slot.
type stand interface {
	// leave takes the program off, and no other. The error is ENODEV if the
	// interface is gone, and wraps ErrReplaced if another program is in its place.
	leave() error

	// check returns an error that wraps ErrTakenOff or ErrReplaced where the program
	// is not there any more.
	check() error
}

// standAtTC puts a program at tc ingress or egress, before the programs of others:
// so it sees also what those drop, redirect or let pass without asking the next.
// With tcx (Linux 6.6) that is a link, which ends with this process, however that
// ends; before, a filter.
func (s *site) standAtTC(prog *ebpf.Program, at asm.Place) (stand, error) {
	attach := ebpf.AttachTCXIngress
	if at == asm.TCEgress {
		attach = ebpf.AttachTCXEgress
	}
	var held bpflink.Link
	err := s.ns.do(func() (err error) {
		held, err = bpflink.AttachTCX(bpflink.TCXOptions{
			Interface: s.link.index, Program: prog, Attach: attach, Anchor: bpflink.Head(),
		})
		return err
	})
	switch {
	case errors.Is(err, ebpf.ErrNotSupported):
		f, err := s.addFilter(prog, at)
		if err != nil {
			return nil, err
		}
		s.sweep(opposite(at))
		return f, nil
	case errors.Is(err, unix.ERANGE):
		return nil, explain(err, "attach to %s: %v has its 64 programs already, and takes no more", s.link.name, at)
	case err != nil:
		return nil, fmt.Errorf("attach to %s: %w", s.link.name, s.explain(err))
	}
	return &tcxLink{Link: held, iface: s.link.name, at: at}, nil
}

// tcxLink is a program at tc that is held by a link.
type tcxLink struct {
	bpflink.Link
	iface string
	at    asm.Place

	mu   sync.Mutex // held while the link is asked or closed
	left bool
}

// leave closes the link: the kernel takes the program off, and waits for those
// CPUs that still run it.
func (l *tcxLink) leave() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = true
	return l.Close()
}

// check asks the link whether it still leads anywhere: nothing tells when it is
// detached by somebody else.
func (l *tcxLink) check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left {
		return nil
	}
	info, err := l.Info()
	if err != nil {
		return nil
	}
	if tcx := info.TCX(); tcx != nil && tcx.Ifindex == 0 {
		return fmt.Errorf("the program at %v of %s was %w", l.at, l.iface, ErrTakenOff)
	}
	return nil
}

func opposite(at asm.Place) asm.Place {
	if at == asm.TCEgress {
		return asm.TCIngress
	}
	return asm.TCEgress
}
