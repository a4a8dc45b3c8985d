package term

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Size is that of the terminal which w is, in columns and lines, or 80 by 24 where
// it doesn't say.
func Size(w io.Writer) (columns, lines int) {
	if patient, ok := w.(*PatientWriter); ok {
		w = patient.to
	}
	if file, ok := w.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 && size.Row > 0 {
			return int(size.Col), int(size.Row)
		}
	}
	return 80, 24
}

// A Keyboard is a terminal whose keys come one by one, and are not shown. Those that
// make signals still do.
type Keyboard struct {
	file   *os.File
	before unix.Termios
	wake   [2]*os.File
	keys   chan []byte
	stop   chan struct{} // closed by Close
	ended  chan struct{} // closed when nothing reads any more
}

// OpenKeyboard has a terminal give its keys one by one, until Close.
func OpenKeyboard(file *os.File) (*Keyboard, error) {
	before, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	if err != nil {
		return nil, os.NewSyscallError("ask for the terminal's settings", err)
	}
	k := &Keyboard{file: file, before: *before, keys: make(chan []byte), stop: make(chan struct{}), ended: make(chan struct{})}
	if k.wake[0], k.wake[1], err = os.Pipe(); err != nil {
		return nil, err
	}
	if err := k.Resume(); err != nil {
		k.wake[0].Close()
		k.wake[1].Close()
		return nil, err
	}
	go k.read()
	return k, nil
}

// Keys receives what keys send, as it comes.
func (k *Keyboard) Keys() <-chan []byte { return k.keys }

// Resume sets the terminal again, after [Keyboard.Suspend] or somebody else.
func (k *Keyboard) Resume() error {
	now := k.before
	now.Lflag &^= unix.ICANON | unix.ECHO
	now.Iflag &^= unix.IXON // Ctrl-S would block what is drawn
	now.Cc[unix.VMIN], now.Cc[unix.VTIME] = 1, 0
	return os.NewSyscallError("set the terminal", unix.IoctlSetTermios(int(k.file.Fd()), unix.TCSETS, &now))
}

// Suspend has the terminal as it was.
func (k *Keyboard) Suspend() error {
	return os.NewSyscallError("set the terminal", unix.IoctlSetTermios(int(k.file.Fd()), unix.TCSETS, &k.before))
}

// Close ends it, and has the terminal as it was.
func (k *Keyboard) Close() error {
	close(k.stop)
	k.wake[1].Close()
	<-k.ended
	k.wake[0].Close()
	return k.Suspend()
}

// read reads keys until the pipe is closed. A read of a terminal can't be ended
// otherwise.
func (k *Keyboard) read() {
	defer close(k.ended)
	fds := []unix.PollFd{
		{Fd: int32(k.file.Fd()), Events: unix.POLLIN},
		{Fd: int32(k.wake[0].Fd())},
	}
	buffer := make([]byte, 256)
	for {
		if _, err := unix.Poll(fds, -1); err == unix.EINTR {
			continue
		} else if err != nil || fds[1].Revents != 0 {
			return
		}
		n, err := unix.Read(int(fds[0].Fd), buffer)
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
			continue
		case err != nil || n == 0: // the terminal is gone
			fds[0].Fd = -1
			continue
		}
		select {
		case k.keys <- append([]byte(nil), buffer[:n]...):
		case <-k.stop:
			return
		}
	}
}
