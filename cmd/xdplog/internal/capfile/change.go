package capfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// A period is the time that a file is for.
type period struct {
	from, due time.Time // due is zero: it has no end
	every     time.Duration
}

func newPeriod(from time.Time, every time.Duration) period {
	if every == 0 {
		return period{from: from}
	}
	return period{from, from.Add(every), every}
}

// over reports whether it has ended.
func (p period) over(now time.Time) bool { return !p.due.IsZero() && !now.Before(p.due) }

// after is the one that now is in. Periods follow each other without gaps, however late
// a change is.
func (p period) after(now time.Time) period {
	late := now.Sub(p.due) / p.every
	return newPeriod(p.due.Add(late*p.every), p.every)
}

// Due is when the file is to be changed, also where no packets come: see Turn. The zero
// time is never.
func (w *Writer) Due() time.Time { return w.period.due }

// Turn has packets go to the next file where the time of this one is over. The error
// wraps [ErrFull] where there is none.
func (w *Writer) Turn(now time.Time) error {
	if w.err != nil || !w.period.over(now) {
		return nil
	}
	w.period = w.period.after(now)
	_, err := w.change(w.period.from)
	return err
}

// change has packets go to the next file, whose name has a time. It returns how many
// packets are in the file before by that.
func (w *Writer) change(at time.Time) (n int, err error) {
	if n, err = w.flush(); err != nil {
		return n, err
	}
	if w.ring.last() {
		return n, ErrFull
	}
	name := w.out.file.Name()
	if err := w.finish(); err != nil {
		return n, err
	}
	w.then.run(name)
	w.ring.prune()
	next, err := w.ring.next(at)
	if err != nil {
		w.err = err
		return n, err
	}
	w.begin(next)
	if _, err := w.flush(); err != nil {
		return n, err
	}
	w.err = w.ring.show(next)
	return n, w.err
}

// finish completes the file.
func (w *Writer) finish() error {
	if err := w.addStatistics(); err != nil {
		return err
	}
	if _, err := w.flush(); err != nil {
		return err
	}
	if w.ring != nil {
		w.ring.finish(w.out)
	}
	if err := w.out.close(); err != nil {
		w.err = err
		return err
	}
	return nil
}

// begin begins another file.
func (w *Writer) begin(next *output) {
	next.blocks, next.ends = w.out.blocks, w.out.ends
	w.out, w.started = next, time.Now()
	w.head()
}

// MayFollow returns an error if no further file can be made where one is to follow, with
// the rights that the calling thread has.
func (w *Writer) MayFollow() error {
	if w.ring == nil {
		return nil
	}
	dir := filepath.Dir(w.out.file.Name())
	if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("make the files that follow in %s: %w", dir, err)
	}
	return nil
}

// Reopens reports whether Reopen makes sense. Any goroutine may ask.
func (w *Writer) Reopens() bool { return w.reopens }

// Reopen has packets go to the next file, or where there is one alone, to a new one of
// the same name, once somebody has taken this one away (rename(2)). It returns what was
// done, for people.
func (w *Writer) Reopen() (did string, err error) {
	if w.err != nil {
		return "", nil
	}
	before := w.out.file.Name()
	if w.ring != nil {
		if _, err := w.change(w.period.from); err != nil {
			return "", err
		}
		return fmt.Sprintf("%s is complete: goes on in %s", before, w.out.file.Name()), nil
	}
	next, err := w.moved(before)
	if err != nil {
		return fmt.Sprintf("goes on in the same file: %v", err), nil
	}
	if err := w.finish(); err != nil {
		next.close()
		return "", err
	}
	w.begin(next)
	_, err = w.flush()
	return fmt.Sprintf("%s was opened again", before), err
}

// moved opens a new file of a name that was this one's. What is there by now must be
// empty, as logrotate makes it.
func (w *Writer) moved(name string) (*output, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err == nil {
		return &output{file: file, owned: true, made: true}, nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if file, err = os.OpenFile(name, os.O_WRONLY, 0); err != nil {
		return nil, err
	}
	there, err := file.Stat()
	this, failed := w.out.file.Stat()
	switch {
	case err != nil || failed != nil:
		err = errors.Join(err, failed)
	case os.SameFile(there, this):
		err = fmt.Errorf("nobody has moved %s away", name)
	case !there.Mode().IsRegular() || there.Size() > 0:
		err = fmt.Errorf("%s is another file by now, which is not empty", name)
	default:
		return &output{file: file, owned: true}, nil
	}
	file.Close()
	return nil, err
}
