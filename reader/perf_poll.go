package reader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// perfPoller waits until a ring has filled by a part, or somebody wakes it.
type perfPoller struct {
	epoll int
	bell  *os.File // an eventfd(2); nil: not open
}

func (p *perfPoller) open() (err error) {
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("make an epoll(7) instance: %w", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(p.epoll)
		return fmt.Errorf("make an eventfd(2): %w", err)
	}
	p.bell = os.NewFile(uintptr(bell), "eventfd")
	return p.add(bell)
}

func (p *perfPoller) add(fd int) error {
	err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	if err != nil {
		return fmt.Errorf("wait for a perf event: %w", err)
	}
	return nil
}

func (p *perfPoller) remove(fd int) { unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, fd, nil) }

// wait returns after the time at the latest. A signal may end it early.
func (p *perfPoller) wait(most time.Duration) error {
	var ready [8]unix.EpollEvent
	n, err := unix.EpollWait(p.epoll, ready[:], int((most+time.Millisecond-1)/time.Millisecond))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for perf events: %w", err)
	}
	for _, event := range ready[:max(n, 0)] {
		switch {
		case uintptr(event.Fd) == p.bell.Fd():
			var count [8]byte
			if _, err := p.bell.Read(count[:]); err != nil {
				return fmt.Errorf("wait for perf events: %w", err)
			}
		case event.Events&unix.EPOLLHUP != 0: // for ever
			p.remove(int(event.Fd))
		}
	}
	return nil
}

func (p *perfPoller) wake() error {
	_, err := p.bell.Write(binary.NativeEndian.AppendUint64(nil, 1))
	return err
}

func (p *perfPoller) close() error {
	if p.bell == nil {
		return nil
	}
	return errors.Join(p.bell.Close(), unix.Close(p.epoll))
}
