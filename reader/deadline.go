package reader

import (
	"sync"
	"time"
)

// deadline is when a read that waits is to give up. Its zero value is none.
type deadline struct {
	mu    sync.Mutex
	at    time.Time
	timer *time.Timer
}

// set sets the time, at which wake is called to end a read. The zero time is none.
func (d *deadline) set(at time.Time, wake func() error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.at = at; !at.IsZero() {
		d.timer = time.AfterFunc(time.Until(at), func() { wake() }) // fails only when closed, and then nobody waits
	}
}

func (d *deadline) passed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.at.IsZero() && !time.Now().Before(d.at)
}
