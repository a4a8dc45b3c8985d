// Package term is about where a command's output goes: whether somebody looks
// at it, whether anybody reads it any more, and what to do where it gets stuck.
//
// A terminal or a pipe may take nothing for hours, or be gone. What a run has in
// the kernel must not wait for that: so writes for people have a bound
// ([PatientWriter]), a reader that leaves is noticed without a write
// ([WatchClosed]), and a write that fails in the middle can leave whole lines
// behind ([TakeBack]).
//
// It imports the standard library and x/sys alone.
package term

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// IsTerminal reports whether somebody looks at what is written to w, or enters
// what is read from it: an [*os.File], or a [Wrapper] of one.
func IsTerminal(w any) bool {
	file := File(w)
	if file == nil {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// A Wrapper writes to another writer.
type Wrapper interface{ Unwrap() io.Writer }

// TakeBack takes the last n bytes that were written out of a file again. It can't
// out of a pipe, and doesn't where others' bytes follow.
func TakeBack(file *os.File, n int) {
	at, err := file.Seek(0, io.SeekCurrent)
	if err != nil || n == 0 {
		return
	}
	if info, err := file.Stat(); err == nil && info.Size() == at {
		file.Truncate(at - int64(n))
	}
}
