package loader

import "time"

// How long a link is waited for that went away because a program came or went
// natively, and how often it is asked for.
const (
	mostAway  = 10 * time.Second
	lookAgain = 10 * time.Millisecond
)

// wait does something in a mode, and waits for the link to be back where that has
// taken it down. It returns for how long it was away.
func (s *site) wait(mode Mode, do func()) time.Duration {
	if mode != Native {
		do()
		return 0
	}
	before, err := s.conn.link(s.link.index)
	begin := time.Now()
	do()
	if err != nil || !before.carrier {
		return 0
	}
	for down := false; ; time.Sleep(lookAgain) {
		now, err := s.conn.link(s.link.index)
		took := time.Since(begin)
		switch {
		case err != nil, took > mostAway:
			return took
		case now.carrier && down:
			return took
		case now.carrier:
			return 0
		}
		down = true
	}
}
