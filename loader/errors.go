package loader

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Errors to tell apart with errors.Is; [WatchedError], [OccupiedError] and
// [RefusedError] are for errors.As. A lack of rights is an [io/fs.ErrPermission],
// and [MissingCapabilities] names what is lacking.
var (
	// ErrNoInterface: there is no interface of that name in that namespace.
	ErrNoInterface = errors.New("no such interface")

	// ErrNoDefaultRoute is that of [DefaultInterface].
	ErrNoDefaultRoute = errors.New("no default route")

	// ErrNotEthernet: the interface's packets have no Ethernet header.
	ErrNotEthernet = errors.New("its packets are no Ethernet frames")

	// ErrNoProgram is that of [Detach]: there is nothing to take off.
	ErrNoProgram = errors.New("no XDP program")

	// ErrGone: the interface, or its network namespace, has disappeared since
	// it was found.
	ErrGone = errors.New("gone")

	// ErrReplaced: another program has taken the place of ours. It is left alone.
	ErrReplaced = errors.New("replaced from outside")

	// ErrTakenOff: somebody else took the program off.
	ErrTakenOff = errors.New("taken off from outside")

	// ErrOutOfReach is that of [Attachment.Close] where the interface was moved
	// to a network namespace that can't be entered, with the program on it.
	ErrOutOfReach = errors.New("moved to another network namespace")
)

// A WatchedError says that a living xdplog, or a program that embeds it, has
// the XDP slot, or before Linux 6.6 tc: two don't share that. Another one may stand beside it.
type WatchedError struct {
	PID int // 0 where the process is in another container or doesn't answer
	UID int // its user

	silent   bool // it could not be asked who it is
	doubtful bool // it has not proved that it is an xdplog
}

func (e *WatchedError) Error() string {
	switch {
	case e.PID == os.Getpid() && !e.silent:
		return "already watched by this process, perhaps by another of its names: attach once"
	case e.silent:
		return "already watched by xdplog, a process that doesn't answer"
	case e.PID == 0:
		return "already watched by xdplog, a process that can't be seen from here (in another container?)"
	case e.UID != 0 && e.UID != os.Geteuid():
		return fmt.Sprintf("already watched by xdplog, process %d of user %d", e.PID, e.UID)
	default:
		return fmt.Sprintf("already watched by xdplog, process %d", e.PID)
	}
}

// An OccupiedError says that a program is on the interface that is not xdplog's,
// or can't be known to be.
type OccupiedError struct {
	Interface string
	Program   Program
}

func (e *OccupiedError) Error() string {
	return fmt.Sprintf("%s has another XDP program, %s", e.Interface, e.Program)
}

// A RefusedError says that the interface's driver takes the program in none of
// the modes that were tried.
type RefusedError struct {
	Refusals []Refusal // in the order of the tries
}

// A Refusal is a driver's no to a mode.
type Refusal struct {
	Mode Mode
	Err  error // wraps the kernel's [syscall.Errno]; its text has the driver's words, too
}

func (e *RefusedError) Error() string {
	if len(e.Refusals) == 0 {
		return "XDP refused by driver"
	}
	var text strings.Builder
	for i, refusal := range e.Refusals {
		if i == 0 {
			fmt.Fprintf(&text, "%s XDP refused by driver: %v", refusal.Mode, refusal.Err)
		} else {
			fmt.Fprintf(&text, "; %s XDP too: %v", refusal.Mode, refusal.Err)
		}
	}
	return text.String()
}

// Unwrap returns the drivers' words.
func (e *RefusedError) Unwrap() []error {
	errs := make([]error, len(e.Refusals))
	for i, refusal := range e.Refusals {
		errs[i] = refusal.Err
	}
	return errs
}
