package run

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/loader"
)

// detach takes the programs off, and says how long that took links away. Where one
// stays because of another's on an interface above, it waits until that is gone, or
// until another signal.
func (s *session) detach() error {
	before := make([]time.Duration, len(s.attachments))
	for i, a := range s.attachments {
		before[i] = a.Away()
	}
	var signals <-chan os.Signal
	other := time.After(echo)
	told := false
	for {
		err := OneOf(loader.CloseAll(s.attachments)...)
		if !errors.As(err, new(*loader.UpperError)) {
			s.sayAway(before)
			return err
		}
		if !told {
			fmt.Fprintf(s.Stderr, "waits to %v; Ctrl-C leaves the program there\n", err)
			told = true
		}
		select {
		case <-time.After(again):
		case <-other:
			signals = s.Signals
		case <-signals:
			return fmt.Errorf("left in place: %w", err)
		}
	}
}

func (s *session) sayAway(before []time.Duration) {
	for i, a := range s.attachments {
		if away := a.Away() - before[i]; away > 0 && !s.quiet {
			fmt.Fprintf(s.Stderr, "the link of %s was away for %v\n", names.OneWord(a.Interface()), away.Round(10*time.Millisecond))
		}
	}
}

// again is the time between tries to take a program off.
const again = 100 * time.Millisecond
