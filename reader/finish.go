package reader

import "time"

// ending is how a reader that finishes comes to its end.
type ending struct {
	grace   time.Time // until when it waits for events that are counted but not there
	counted bool      // it is known how much it has to deliver yet
	until   uint64    // the number of delivered events that is the end
}

const (
	finishGrace = 100 * time.Millisecond
	finishPause = time.Millisecond // between two looks
)

// Finish makes [Reader.Read] deliver what has been captured, and then return
// [io.EOF]. Take the program off first, or what it still captures meanwhile
// may be left.
func (r *Reader) Finish() {
	r.finish.Store(true)
	if r.source == nil {
		return
	}
	r.Release()
	r.source.wake() // fails only when closed, and then nobody waits
}

// Release has [Reader.Read] deliver the packets that are kept, of a program that keeps the
// last ones ([asm.Config.Keep]): in the order of their times, once, and the keeping begins
// anew. Without it they are delivered when such a program meets a packet of
// [asm.Config.Until], and with [Reader.Finish]. What was written over by then is captured, and
// never delivered. Of another program it does nothing.
func (r *Reader) Release() {
	if kept, ok := r.source.(*keptSource); ok {
		kept.ask()
	}
}

// over reports whether a reader that finishes has delivered what was captured,
// or what of it was to be had in time. A program that is still attached doesn't
// keep it from that: what it captures when the grace is over is left.
func (r *Reader) over(now time.Time) (bool, error) {
	e := &r.ending
	late := now.After(e.grace)
	switch {
	case e.grace.IsZero():
		// A program that was just taken off may still be running on another
		// CPU: there is a pause before the look at the counters that may be
		// the last.
		e.grace = now.Add(finishGrace)
		return false, nil
	case r.empty && late:
		return true, nil
	case e.counted:
		return r.delivered >= e.until, nil
	case !r.empty && !late:
		return false, nil
	}
	counters, err := r.Counters()
	if err != nil {
		return false, err
	}
	var unread uint64
	if all := r.before + r.delivered; counters.Captured > all {
		unread = counters.Captured - all
	}
	waiting := r.source.waiting(unread)
	e.counted, e.until = late, r.delivered+waiting
	return waiting == 0, nil
}
