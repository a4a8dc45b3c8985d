package loader

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// closer is Close, which shuts once, but as often as an [UpperError] forbids it.
func (a *Attachment) closer() func() error {
	var mu sync.Mutex
	var closed bool
	var err error
	return func() error {
		mu.Lock()
		defer mu.Unlock()
		if !closed {
			err = a.shut()
			closed = !errors.As(err, new(*UpperError))
		}
		return err
	}
}

// shut takes the program off, and gives back everything unless an interface above
// forbids that.
func (a *Attachment) shut() error {
	a.closing.Store(true)
	if a.stand != nil {
		err := a.stand.leave()
		if errors.Is(err, unix.ENODEV) {
			err = nil
		}
		a.release()
		close(a.lost)
		return err
	}
	var err error
	a.away.Add(int64(a.site.wait(a.mode, func() {
		if a.held != nil {
			err = a.unlink()
		} else {
			err = a.site.takeOff(a.id, a.mode, a.prog.FD(), a.passer)
		}
	})))
	if err == nil {
		a.site.putBack(a.offloads)
	}
	if errors.Is(err, unix.ENODEV) {
		err = nil
		if a.watch.moved() {
			err = a.follow()
		}
	}
	if errors.As(err, new(*UpperError)) {
		return err
	}
	a.release()
	close(a.lost)
	return err
}

// takeOff takes the program off the interface, and asks whether it is off: a
// request may succeed and change nothing. The error is ENODEV if the interface
// is gone, wraps ErrReplaced if another program is in its place, and an UpperError
// if one on an interface above forbids it.
func (s *site) takeOff(id uint32, mode Mode, fd int, passer *passer) error {
	if s.retire(mode, fd, passer) {
		id, fd = passer.id, passer.prog.FD()
	}
	var err error
	for attempt := range 5 {
		time.Sleep(time.Duration(attempt*attempt) * 10 * time.Millisecond)

		err = s.conn.setXDP(s.link.index, noProgram, mode, fd)
		now, asked := s.conn.link(s.link.index)
		if asked != nil {
			if errors.Is(asked, unix.ENODEV) {
				return asked
			}
			err = errors.Join(err, asked)
			continue
		}
		where, on := now.mode(id)
		if on && denied(err) {
			break
		}
		if on && errors.Is(err, unix.EEXIST) {
			if upper := s.upper(); upper != nil {
				return fmt.Errorf("take program %d off %s: %w: take that off first", id, s.link.name, upper)
			}
		}
		if on {
			mode = where
			continue
		}
		other := now.programs[mode]
		if other != 0 && other == passer.number() { // of an earlier call, which got no further
			id, fd = passer.id, passer.prog.FD()
			continue
		}
		if err != nil && other != 0 {
			there := inspect(s.link.index, other, mode)
			there.close()
			return fmt.Errorf("%s: the program was %w by %s, which is left alone", s.link.name, ErrReplaced, there.program())
		}
		return nil
	}
	if err == nil {
		err = errors.New("the kernel says it did, and it is still there")
	}
	if saysUpper(err) {
		err = &UpperError{Interface: s.link.name}
	}
	return fmt.Errorf("take program %d off %s: %w", id, s.link.name, explainAttach(err))
}

// follow takes the program off an interface that was moved to another network
// namespace: it goes along, and its id tells where it is.
func (a *Attachment) follow() error {
	names, _ := filepath.Glob(filepath.Join(namesDir, "*"))
	processes, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	var seen []os.FileInfo
	for _, path := range append(names, processes...) {
		info, err := os.Stat(path)
		if err != nil || containsFile(seen, info) {
			continue
		}
		seen = append(seen, info)
		if err := a.takeOffIn(path); err == nil || errors.As(err, new(*UpperError)) {
			return err
		}
	}
	return explain(ErrOutOfReach, "interface %s was moved to another network namespace, and program %d with it", a.site.link.name, a.id)
}

func containsFile(files []os.FileInfo, file os.FileInfo) bool {
	for _, f := range files {
		if os.SameFile(f, file) {
			return true
		}
	}
	return false
}

// takeOffIn takes the program off wherever it is in a namespace.
func (a *Attachment) takeOffIn(path string) error {
	ns, err := openNamespaceFile(path, path)
	if err != nil {
		return err
	}
	defer ns.close()
	var c *conn
	if err := ns.do(func() (err error) { c, err = dial(); return err }); err != nil {
		return err
	}
	defer c.close()
	links, err := c.links()
	if err != nil {
		return err
	}
	for _, l := range links {
		if mode, on := l.mode(a.id); on {
			return (&site{ns: ns, conn: c, link: l}).takeOff(a.id, mode, a.prog.FD(), a.passer)
		}
	}
	return unix.ENODEV
}
