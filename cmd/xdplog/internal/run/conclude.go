package run

import (
	"fmt"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
)

// conclude prints the closing lines. It returns an error if events were
// captured that were neither printed nor meant to be left out.
func (s *session) conclude(p *pump, drained error) error {
	counters, err := s.source.Counters()
	if err != nil {
		return err
	}
	skipped := p.skipped.Load()
	captured := counters.Captured
	if s.release != nil { // what was written over is not there to be written
		captured = min(captured, p.delivered)
	}
	missing := captured - min(captured, p.taken())
	if s.counted {
		skipped, missing = min(s.skip, counters.Captured), 0
	}
	switch {
	case drained != nil:
		err = fmt.Errorf("%w: %s", drained, p.unwritten(captured))
	case p.failure() != nil:
		err = fmt.Errorf("%w: %s", p.failure(), p.unwritten(captured))
	case p.err != nil:
		err = p.err
	case !s.counted && p.delivered < captured:
		err = fmt.Errorf("%d captured events were not delivered", counters.Captured-p.delivered)
	case missing > 0 && !s.quiet && s.release != nil:
		fmt.Fprintf(s.Stderr, "stopped after %d; %d more, which were kept, are not counted\n", p.written.Load(), missing)
	case missing > 0 && !s.quiet:
		fmt.Fprintf(s.Stderr, "stopped after %d; %d more, which came until the program was off, are not counted\n", p.written.Load(), missing)
	}
	if err == nil && s.attachments == nil && p.flows != nil && p.flows.unsent() > 0 {
		err = fmt.Errorf("%d flows were not taken by the collector", p.flows.unsent()) // live it is no fault
	}
	of := p.ofRun(counters)
	if s.counting {
		err = OneOf(err, s.tell(of.Captured+of.Lost-min(of.Captured, skipped)))
	}
	if s.quiet {
		return err
	}
	s.print(p, of)
	if s.release != nil {
		fmt.Fprintf(s.Stderr, "%d packets of those that were kept came out, %d were written over by later ones\n", p.delivered, counters.Captured-captured)
	}
	if s.hardwareTimes != nil && p.delivered > 0 {
		fmt.Fprintf(s.Stderr, "%d of %d events bear the device's time, the others the kernel's\n", s.hardwareTimes(), p.delivered)
	}
	if s.hashes && p.delivered > 0 {
		fmt.Fprintf(s.Stderr, "%d of %d events bear a hash\n", p.hashed, p.delivered)
	}
	if skipped > 0 {
		fmt.Fprintf(s.Stderr, "%d of the captured packets were left out\n", skipped)
	}
	return err
}

// tell prints how many packets there were, as tcpdump does.
func (s *session) tell(packets uint64) error {
	plural := "s"
	if packets == 1 {
		plural = ""
	}
	_, err := fmt.Fprintf(s.Stdout, "%d packet%s\n", packets, plural)
	return err
}

// print prints counters on stderr. That they can't be, nobody can be told.
func (s *session) print(p *pump, c wire.Counters) {
	switch {
	case p.flows == nil:
		s.Stderr.Write(s.format.AppendCounters(nil, c, time.Now()))
	case p.flows.First && !s.kind.Machine:
		s.Stderr.Write(p.flows.appendFirsts(s.format.AppendCounters(nil, c, time.Now())))
	default:
		s.Stderr.Write(s.format.AppendFlowCounters(nil, c, p.flows.sums(), time.Now(), p.flows.exported()...))
	}
}
