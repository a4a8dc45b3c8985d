package loader

import (
	"errors"
	"fmt"

	bpflink "github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// setLink attaches the program in a mode by a link.
func (a *Attachment) setLink(mode Mode) error {
	err := a.site.ns.do(func() (err error) {
		a.held, err = bpflink.AttachXDP(bpflink.XDPOptions{
			Program: a.prog, Interface: a.site.link.index, Flags: bpflink.XDPAttachFlags(mode.flag()),
		})
		return err
	})
	var plain unix.Errno
	if errors.As(err, &plain) {
		return plain // the kernel says no more than that
	}
	return err
}

// unlink takes the program off, where it is: a link goes along when the interface
// is moved. A native one gives its place to the passer first: see retire.
func (a *Attachment) unlink() error {
	defer a.held.Close()
	on := a.id
	if a.mode == Native && a.passer != nil && a.held.Update(a.passer.prog) == nil {
		on = a.passer.id
		quiesce()
	}
	err := a.held.Detach()
	if err == nil {
		return nil
	}
	err = errors.Join(err, a.held.Close())
	now, asked := a.site.conn.link(a.site.link.index)
	if errors.Is(asked, unix.ENODEV) {
		return nil
	}
	if _, still := now.mode(on); asked == nil && !still {
		return nil
	}
	return fmt.Errorf("take program %d off %s: %w", on, a.site.link.name, explainAttach(errors.Join(err, asked)))
}
