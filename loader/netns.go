package loader

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// namesDir is where ip(8) keeps the named network namespaces.
const namesDir = "/run/netns"

// namespace is a network namespace to work in. The zero value is the caller's own.
type namespace struct {
	title string   // as errors call it
	path  string   // the name that stands for it in the file system
	file  *os.File // keeps it alive; nil: the caller's own
}

// openNamespace finds a namespace by what the user calls it: a path, if there
// is a slash in it; a name under /run/netns; the id of a process that is in it.
// A name that is all digits wins over a process, as with ip(8).
func openNamespace(spec string) (*namespace, error) {
	if spec == "" {
		return &namespace{}, nil
	}
	if strings.Contains(spec, "/") {
		return openNamespaceFile(quoted(spec), spec)
	}
	ns, err := openNamespaceFile(quoted(spec), filepath.Join(namesDir, spec))
	if !errors.Is(err, fs.ErrNotExist) {
		return ns, err
	}
	if strings.Trim(spec, "0123456789") == "" {
		ns, err = openNamespaceFile("of process "+spec, filepath.Join("/proc", spec, "ns/net"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, explain(err, "no network namespace %s and no process %s (%s)", spec, spec, have(namespaceNames()))
		}
		return ns, err
	}
	return nil, explain(err, "no network namespace %s (%s)", quoted(spec), have(namespaceNames()))
}

func openNamespaceFile(title, path string) (*namespace, error) {
	title = "network namespace " + title
	// Non-blocking, for it may be a named pipe that somebody points us to.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, explain(err, "no %s", title)
	case errors.Is(err, fs.ErrPermission):
		return nil, explain(err, "%s: may not be opened (%v): run as root", title, errors.Unwrap(err))
	case err != nil:
		return nil, fmt.Errorf("%s: %w", title, err)
	}
	if kind, err := unix.IoctlRetInt(int(file.Fd()), unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		file.Close()
		return nil, fmt.Errorf("%s is not a network namespace", quoted(path))
	}
	return &namespace{title, path, file}, nil
}

func namespaceNames() []string {
	entries, _ := os.ReadDir(namesDir)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = quoted(e.Name())
	}
	return names
}

func (n *namespace) close() {
	if n.file != nil {
		n.file.Close()
	}
}

// do calls f on a thread that is in the namespace. Sockets that f opens belong
// to the namespace from then on, whichever thread uses them.
func (n *namespace) do(f func() error) error {
	if n.file == nil {
		return f()
	}
	done := make(chan error, 1)
	go func() { done <- n.enter(f) }()
	return <-done
}

// inode is the number by which the kernel knows the namespace, or 0 where it doesn't say. It
// takes no /proc, but CAP_NET_ADMIN.
func (n *namespace) inode() (number uint32) {
	n.do(func() error {
		socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(socket)
		file, err := unix.IoctlRetInt(socket, unix.SIOCGSKNS)
		if err != nil {
			return err
		}
		defer unix.Close(file)
		var stat unix.Stat_t
		err = unix.Fstat(file, &stat)
		number = uint32(stat.Ino)
		return err
	})
	return number
}

// Within calls f on a thread that is in a namespace as in [Options], and returns
// its error. Sockets that f opens belong to that namespace from then on,
// whichever thread uses them; goroutines that it starts do not.
// It takes CAP_SYS_ADMIN, except for the caller's own namespace, "".
func Within(namespace string, f func() error) error {
	if f == nil {
		return errors.New("enter a network namespace: there is nothing to do in it")
	}
	ns, err := openNamespace(namespace)
	if err != nil {
		return err
	}
	defer ns.close()
	return ns.do(f)
}

// enter is do on a goroutine of its own: if its thread can't be brought back,
// it returns still locked to it, and the runtime ends the thread with it.
func (n *namespace) enter(f func() error) error {
	runtime.LockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("remember the own network namespace: %w", err)
	}
	defer own.Close()

	if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return n.explain(err)
	}
	err = f()
	if unix.Setns(int(own.Fd()), unix.CLONE_NEWNET) == nil {
		runtime.UnlockOSThread()
	}
	return err
}

func (n *namespace) explain(err error) error {
	if missing := missing(unix.CAP_SYS_ADMIN); errors.Is(err, unix.EPERM) && len(missing) > 0 {
		return explain(err, "enter %s: %s", n.title, needs(missing))
	}
	return fmt.Errorf("enter %s: %w", n.title, err)
}

// deleted reports whether the namespace has lost its name in the file system.
func (n *namespace) deleted() bool {
	now, err := os.Stat(n.path)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	opened, err := n.file.Stat()
	return err == nil && !os.SameFile(opened, now)
}

// watch returns a file that becomes readable when the namespace may have been
// deleted: our own sockets keep it alive, so that only its name tells. The file
// is nil where there is no name to be deleted. A namespace that was given by a
// process in it is one of these: it stays, for us, when the process ends.
func (n *namespace) watch() (*os.File, error) {
	if n.file == nil {
		return nil, nil
	}
	path, err := filepath.EvalSymlinks(n.path)
	if err != nil {
		return nil, nil // /proc/1/ns/net leads to no path
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch %s (more of fs.inotify.max_user_instances may help): %w", n.title, err)
	}
	file := os.NewFile(uintptr(fd), "inotify")
	const gone = unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(path), gone); err != nil {
		file.Close()
		return nil, fmt.Errorf("watch %s: %w", n.title, err)
	}
	if n.deleted() { // before the watch began
		file.Close()
		return nil, explain(ErrGone, "%s was deleted", n.title)
	}
	return file, nil
}
