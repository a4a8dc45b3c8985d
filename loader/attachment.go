package loader

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	bpflink "github.com/cilium/ebpf/link"

	"github.com/xdplog/xdplog/asm"
)

// Attachment is a program on an interface, and the claim to it. [Attach] makes
// it; the zero value is attached to nothing, which Close says.
type Attachment struct {
	place       asm.Place
	site        *site
	stand       stand         // nil: the XDP slot, to which what follows belongs
	prog        *ebpf.Program // our own descriptor: the caller may close his
	passer      *passer       // takes its place before it is taken off: see retire; nil: none
	id          uint32
	mode        Mode
	method      Method
	asks        asm.Metadata // what the program asks the driver
	hardware    *HardwareClock
	held        bpflink.Link // by which the program is attached; nil: by netlink
	hardwareErr error
	refused     *RefusedError // nil: the first mode was taken
	harm        *HarmError    // nil: native mode was tried, or not wanted
	returns     *ReturnsError // nil: each packet is seen once
	offloads    offloads      // switched off by the kernel for the program
	away        atomic.Int64  // ns for which the link was away, of our doing
	tookOver    int

	watch   *watch
	lost    chan error
	closing atomic.Bool // what happens to the program is our own doing
	close   func() error
}

// Beside is the program that ours stands beside at the moment, or nil.
func (a *Attachment) Beside() *Program {
	b, ok := a.stand.(*besideStand)
	if !ok {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.beside()
}

// Interface is the name the interface had when the program was attached.
func (a *Attachment) Interface() string { return a.at().name }

// Index is the interface's index in its network namespace, and unique there alone.
func (a *Attachment) Index() int { return a.at().index }

// at is the interface, or none of the zero value.
func (a *Attachment) at() link {
	if a.site == nil {
		return link{}
	}
	return a.site.link
}

// Place is where the program stands.
func (a *Attachment) Place() asm.Place { return a.place }

// Mode is the one that the interface took, of the XDP slot; never Auto there.
func (a *Attachment) Mode() Mode { return a.mode }

// Fallback is why Auto became generic, else nil: a [HarmError] where native mode was
// not tried, or a [RefusedError] with the kernel's words where the driver refused it.
func (a *Attachment) Fallback() error {
	switch {
	case a.harm != nil:
		return a.harm
	case a.refused != nil:
		return a.refused
	}
	return nil
}

// Returns is why the program sees packets twice, a [ReturnsError], or nil. Only one in
// Generic mode that was asked for does, where that was so when it was attached.
func (a *Attachment) Returns() error {
	if a.mode == Generic && a.returns != nil {
		return a.returns
	}
	return nil
}

// Down reports whether the interface was down when the program came: it receives
// nothing until somebody sets it up.
func (a *Attachment) Down() bool { return a.site != nil && !a.site.link.up }

// Away is for how long the interface's link was away because the program came, and
// after Close because it went, too: drivers that make their queues anew, of which
// Auto asks for no native program.
func (a *Attachment) Away() time.Duration { return time.Duration(a.away.Load()) }

// Method is by what the program is held in the XDP slot.
func (a *Attachment) Method() Method { return a.method }

// TookOver is the id of the program of a killed xdplog that was replaced, or 0.
func (a *Attachment) TookOver() int { return a.tookOver }

// Lost receives one error when the interface or its network namespace has
// disappeared ([ErrGone]), or when the program was taken off ([ErrTakenOff]) or
// replaced ([ErrReplaced]) from outside (on an interface that is down: once it
// is up, for the kernel says nothing before). It is closed by Close.
//
// A namespace that was given as a process doesn't disappear when the process
// ends: the attachment keeps it alive.
func (a *Attachment) Lost() <-chan error {
	if a.lost == nil { // the zero value has nothing to lose
		none := make(chan error)
		close(none)
		return none
	}
	return a.lost
}

// Close takes off our own program and no other, and makes sure that it is off.
// It needs CAP_NET_ADMIN. It returns nil if the interface is gone, and an error
// that wraps [ErrReplaced] if another program is in the place of ours, or
// [ErrOutOfReach]. It may be called more than once, which returns the same, and
// from any goroutine. After an [UpperError] the program is still there, and a later
// call tries again: [CloseAll] does where both are the caller's.
func (a *Attachment) Close() error {
	if a.close == nil {
		return errors.New("close attachment: it is attached to nothing")
	}
	return a.close()
}

func (a *Attachment) release() {
	if a.watch != nil {
		a.watch.stop()
	}
	if a.site != nil {
		a.site.release()
	}
	if a.held != nil {
		a.held.Close()
	}
	if a.prog != nil {
		a.prog.Close()
	}
	a.passer.close()
	a.hardware.close()
}
