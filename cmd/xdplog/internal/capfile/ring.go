package capfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Ring says over which files packets are spread. The zero Ring is one file.
type Ring struct {
	Size  int64         // bytes that a file may have, unless one packet has more; 0: no limit
	Every time.Duration // time that a file is for; 0: no limit. Names have times then
	Count int           // files: of those by time the last one ends it all, else the oldest goes; 0: no limit
	Total int64         // bytes that all files may have, of which the oldest go; 0: no limit

	Location *time.Location // of times in names; nil: this machine's
}

// Wanted reports whether there may be more than one file.
func (r Ring) Wanted() bool { return r.Size > 0 || r.Every > 0 }

// around reports whether names come again: the number goes up to the count.
func (r Ring) around() bool { return r.Size > 0 && r.Every == 0 && r.Count > 0 }

// ErrFull is why there is no next file: as many as were wanted are there.
var ErrFull = errors.New("as many files as were asked for are full")

// ring is the files that a run makes.
type ring struct {
	Ring
	names    *numbering
	started  int        // files
	finished []finished // and not deleted, the oldest first
	then     *then      // which may have packed them; nil: nothing is done with them
	late     []finished // deleted while something was done with them
	read     []fs.FileInfo
	say      func(string)
	stuck    bool // said that one can't be deleted
}

// finished is a file that is whole.
type finished struct {
	name string
	info fs.FileInfo
}

func newRing(name string, o WriterOptions) *ring {
	return &ring{Ring: o.Ring, names: newNumbering(name, o.Ring), read: o.Read, say: o.say()}
}

// first is the name of the first file.
func (r *ring) first(at time.Time) string {
	r.started++
	return r.names.next(at)
}

// next opens the next file, new.
func (r *ring) next(at time.Time) (*output, error) {
	r.started++
	return r.open(r.names.next(at))
}

// last reports whether there is to be no further file.
func (r *ring) last() bool { return r.Every > 0 && r.Size == 0 && r.started == r.Count }

// full reports whether a file of so many bytes is larger than one may be.
func (r *ring) full(bytes int64) bool { return r.Size > 0 && bytes > r.Size }

// open makes a file that is hidden until it has its head: whenever this process is killed,
// what has a name is readable.
func (r *ring) open(name string) (*output, error) {
	hidden := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".new")
	if err := os.Remove(hidden); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a killed process
		return nil, err
	}
	fd, err := unix.Open(hidden, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &output{file: os.NewFile(uintptr(fd), name), owned: true, made: true, hidden: hidden}, nil
}

// show gives a file its name, in place of one that may have had it: whoever reads that goes
// on reading it.
func (r *ring) show(o *output) error {
	name := o.file.Name()
	r.forget(name)
	if err := r.replace(name); err != nil {
		return err
	}
	if err := os.Rename(o.hidden, name); err != nil {
		return err
	}
	o.hidden = ""
	return nil
}

// replace returns an error if a name is that of something which is not to be replaced.
func (r *ring) replace(name string) error {
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("replace %s: it is no regular file", name)
	case slices.ContainsFunc(r.read, func(read fs.FileInfo) bool { return os.SameFile(read, info) }):
		return fmt.Errorf("replace %s: it is the file that is read", name)
	}
	for i, f := range r.finished {
		if os.SameFile(f.info, info) {
			r.finished = append(r.finished[:i], r.finished[i+1:]...)
			break
		}
	}
	return nil
}

// finish takes note of a file that is whole, where it may have to go.
func (r *ring) finish(o *output) {
	if r.Total == 0 && r.Count == 0 {
		return
	}
	if info, err := o.file.Stat(); err == nil {
		r.finished = append(r.finished, finished{o.file.Name(), info})
	}
}

// prune deletes the oldest of the files that this run made, as far as there are too
// many beside the one that is begun.
func (r *ring) prune() {
	r.sweep()
	for len(r.finished) > 0 && r.over() {
		r.delete(r.finished[0])
		r.finished = r.finished[1:]
	}
}

// delete deletes a file, or what has become of it.
func (r *ring) delete(f finished) {
	if r.then.busy(f.name) {
		r.late = append(r.late, f)
	}
	name, _ := r.present(f)
	if name == "" { // it has been moved, or is another's
		return
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) && !r.stuck {
		r.stuck = true
		r.say(fmt.Sprintf("the oldest file stays: %v", err))
	}
}

// over reports whether an older file has to go.
func (r *ring) over() bool {
	if r.Every > 0 && r.Size > 0 && r.Count > 0 && len(r.finished) >= r.Count {
		return true
	}
	if r.Total == 0 {
		return false
	}
	sum := r.Size
	for _, f := range r.finished {
		_, size := r.present(f)
		sum += size
	}
	return sum > r.Total
}

// explainOpen says more of an error of opening a file to write, where that is known.
func explainOpen(name string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	info, at := os.Stat(name)
	if at != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%w (it is another user's; in a directory that anybody may write to, as /tmp, fs.protected_regular and fs.protected_fifos keep even root from such a file)", err)
	}
	return err
}
