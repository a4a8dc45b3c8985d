package run

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
)

// greet says what the program was attached to.
func (s *session) greet() {
	if s.quiet {
		return
	}
	for _, a := range s.attachments {
		if id := a.TookOver(); id != 0 {
			fmt.Fprintf(s.Stderr, "took %s over from a killed xdplog (program %d)\n", names.OneWord(a.Interface()), id)
		}
		why := ""
		if err := a.Fallback(); err != nil {
			why = "; " + err.Error()
		}
		if err := a.Returns(); err != nil {
			why += "; " + err.Error()
		}
		if blind := a.Blind(); blind != "" {
			why += "; " + blind
		}
		if n := a.VirtualFunctions(); n > 0 {
			why += fmt.Sprintf("; the card's virtual functions (%d) have traffic of their own, which is not seen here", n)
		}
		if off := a.SwitchedOff(); len(off) > 0 {
			why += "; meanwhile off: " + strings.Join(off, ", ")
		}
		if away := a.Away(); away > 0 {
			why += fmt.Sprintf("; the link was away for %v", away.Round(10*time.Millisecond))
		}
		at, what := a.Place().String(), "received packets only"
		switch a.Place() {
		case asm.XDP:
			at = a.Mode().String() + " XDP"
		case asm.Beside:
			at = "beside an XDP program that has gone"
			if p := a.Beside(); p != nil {
				at, why = "beside its XDP program "+p.String(), ""
			}
		case asm.TCEgress:
			what = "sent packets only"
		}
		if a.HidesTags() {
			why += "; VLAN tags kept beside packets are not seen (--place tc sees them)"
		}
		why += s.clock(a) + s.hashing(a)
		if s.flows != nil && s.oneSided {
			what += ": of each flow that side (both: --direction inout)"
		}
		fmt.Fprintf(s.Stderr, "listening on %s (%s%s), %s%s; Ctrl-C ends\n", names.OneWord(a.Interface()), at, why, what, s.transport)
		if a.Down() {
			fmt.Fprintf(s.Stderr, "%s is down, and receives nothing until it is set up: ip link set %[1]s up\n", names.OneWord(a.Interface()))
		}
	}
	s.flows.greet(s.Stderr)
	if s.metrics != "" {
		fmt.Fprintf(s.Stderr, "metrics on %s\n", s.metrics)
	}
}

// renounce gives up the rights that have been needed until now. Where it can't,
// the run is as good without.
func (s *session) renounce() {
	beside := slices.ContainsFunc(s.attachments, func(a attachment) bool { return a.Place() == asm.Beside })
	if s.Environment.Renounce == nil || beside { // to follow another's program takes them all
		return
	}
	err := s.Environment.Renounce(func() error {
		if err := s.mayRead(); err != nil || s.record == nil {
			return err
		}
		return s.record.MayFollow()
	})
	if err != nil && !s.quiet {
		fmt.Fprintf(s.Stderr, "goes on with all its rights: %v\n", err)
	}
}

// notify tells the service manager a state. That it does not listen is no reason to end:
// it does what it does about services that say nothing.
func (s *session) notify(state string) {
	if s.Notify == nil {
		return
	}
	if err := s.Notify(state); err != nil && !s.quiet {
		fmt.Fprintln(s.Stderr, err)
	}
}
