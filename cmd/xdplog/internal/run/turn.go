package run

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/capfile"
)

// turn has packets go to the next file, where the time of the one before is over or
// somebody has asked for that, and reads end when it may be needed again.
func (p *pump) turn() {
	if p.record == nil || p.stopped() {
		return
	}
	asked := p.asked.Swap(false) // before the deadline is set: one that is asked for later comes with its own
	if due := p.record.Due(); p.woken || asked || !due.Equal(p.due) {
		p.due, p.woken = due, false
		p.source.SetDeadline(due)
	}
	p.steps.Add(1)
	defer p.steps.Add(1)
	err := p.record.Turn(time.Now())
	if asked && err == nil {
		var did string
		if did, err = p.record.Reopen(); did != "" {
			p.say(did)
		}
	}
	switch {
	case errors.Is(err, capfile.ErrFull):
		p.filled.Store(true)
		p.end()
	case err != nil:
		p.fail(0, 0, err)
	}
}

// woke reports whether an error of reading is that of a deadline, at which there is
// nothing wrong.
func (p *pump) woke(err error) bool {
	p.woken = p.record != nil && errors.Is(err, os.ErrDeadlineExceeded)
	return p.woken
}

// reopen has packets go to another file soon. Any goroutine may call it.
func (p *pump) reopen() {
	p.asked.Store(true)
	p.source.SetDeadline(time.Unix(1, 0))
}

// stopped reports whether nothing more is to be written.
func (p *pump) stopped() bool { return p.filled.Load() || p.writeErr.Load() != nil }

// reopens reports whether a signal asks for another file, as log rotation does, and not
// for the end: that of a terminal that has gone.
func (s *session) reopens(sig os.Signal) bool {
	return sig == syscall.SIGHUP && s.record != nil && s.record.Reopens() && len(s.attachments) > 0 && !s.terminal.Gone()
}

// sayRest says what has been left to say.
func (s *session) sayRest() {
	for {
		select {
		case line := <-s.said:
			if !s.quiet {
				fmt.Fprintln(s.Stderr, line)
			}
		default:
			return
		}
	}
}

// sayUnread says how many events were captured and have not been written, because nobody
// reads them any more. That is no fault: xdplog can't tell one who has seen enough from
// one who died. What of a file was not written is still there. Of a capture the counters
// follow, for a pipe that nobody reads has no statistics at its end.
func (s *session) sayUnread(p *pump) {
	counters, err := s.source.Counters()
	if err != nil || s.quiet || len(s.attachments) == 0 {
		return
	}
	if p.missing(counters.Captured) > 0 {
		fmt.Fprintf(s.Stderr, "nobody reads the output any more: %s\n", p.unwritten(counters.Captured))
	}
	if s.record != nil && s.record.Pipe() != nil {
		s.print(p, counters)
	}
}

// sayTo returns what says lines on a channel, as far as that has room.
func sayTo(said chan<- string) func(string) {
	return func(line string) {
		select {
		case said <- line:
		default: // nobody listens any more
		}
	}
}

// complete closes the recording, and waits for what is done with its files.
func (s *session) complete() error {
	if s.record == nil {
		return nil
	}
	err := s.record.Close()
	done, interrupted := make(chan struct{}), make(chan os.Signal, 1)
	go func() {
		defer close(done)
		s.record.Wait(interrupted)
	}()
	var signals <-chan os.Signal
	other := time.After(echo)
	for {
		select {
		case <-other:
			signals = s.Signals
		case sig := <-signals:
			signals = nil
			interrupted <- sig
		case <-done:
			s.sayRest()
			return err
		case line := <-s.said:
			if !s.quiet {
				fmt.Fprintln(s.Stderr, line)
			}
		}
	}
}
