package term

import (
	"os"

	"golang.org/x/sys/unix"
)

// A Terminal is the one that a process was started from. The zero Terminal is none,
// which can't go.
type Terminal struct{ file *os.File }

// Controlling returns that of this process. Where its name can't be opened, as in an
// empty root, it is one of the standard files.
func Controlling() Terminal {
	if file, err := os.OpenFile("/dev/tty", os.O_RDONLY|unix.O_NOCTTY, 0); err == nil {
		return Terminal{file}
	}
	for _, file := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		if IsTerminal(file) {
			return Terminal{file}
		}
	}
	return Terminal{}
}

// Gone reports whether it was hung up: its window was closed, or its connection ended.
func (t Terminal) Gone() bool {
	if t.file == nil {
		return false
	}
	_, err := unix.IoctlGetTermios(int(t.file.Fd()), unix.TCGETS)
	return err != nil
}

// File is the file that is behind a writer, an [*os.File] or a [Wrapper] of one; nil if none is.
func File(w any) *os.File {
	for {
		wrapper, ok := w.(Wrapper)
		if !ok {
			break
		}
		w = wrapper.Unwrap()
	}
	file, _ := w.(*os.File)
	return file
}
