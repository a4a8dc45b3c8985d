package loader

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// A HardwareClock is that of a device, which stamps packets by it (a PTP hardware clock).
type HardwareClock struct {
	Number int // of /dev/ptp

	// Idle: the device stamps none of the packets that it receives, until it is told to,
	// as by hwstamp_ctl.
	Idle bool

	file *os.File
}

// ErrNoHardwareClock: the device has no clock of its own that can be read.
var ErrNoHardwareClock = errors.New("the device has no clock of its own")

// openHardwareClock opens the clock of an interface.
func (s *site) openHardwareClock() (*HardwareClock, error) {
	c := &HardwareClock{}
	err := s.ns.do(func() error {
		socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(socket)
		info, err := unix.IoctlGetEthtoolTsInfo(socket, s.link.name)
		if err != nil || info.Phc_index < 0 {
			return ErrNoHardwareClock
		}
		c.Number = int(info.Phc_index)
		if stamping, err := unix.IoctlGetHwTstamp(socket, s.link.name); err == nil {
			c.Idle = stamping.Rx_filter == unix.HWTSTAMP_FILTER_NONE
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for the clock of %s: %w", s.link.name, err)
	}
	if c.file, err = os.Open(fmt.Sprintf("/dev/ptp%d", c.Number)); err != nil {
		return nil, fmt.Errorf("open the clock of %s: %w", s.link.name, err)
	}
	return c, nil
}

// Ahead is how far the wall clock is ahead of this one, which may count from any time on.
func (c *HardwareClock) Ahead() (time.Duration, error) {
	connection, err := c.file.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("read the device's clock: %w", err)
	}
	closest, ahead := time.Duration(1<<62), time.Duration(0)
	var fault error
	err = connection.Control(func(fd uintptr) {
		for range 5 { // the closer the looks at the wall clock are, the better it is known when the other one was read
			var before, device, after unix.Timespec
			fault = errors.Join(
				unix.ClockGettime(unix.CLOCK_REALTIME, &before),
				unix.ClockGettime(unix.FdToClockID(int(fd)), &device),
				unix.ClockGettime(unix.CLOCK_REALTIME, &after),
			)
			if fault != nil {
				return
			}
			if took := time.Duration(after.Nano() - before.Nano()); took < closest {
				closest, ahead = took, time.Duration(before.Nano()-device.Nano())+took/2
			}
		}
	})
	if err := errors.Join(err, fault); err != nil {
		return 0, fmt.Errorf("read the device's clock: %w", err)
	}
	return ahead, nil
}

func (c *HardwareClock) close() {
	if c != nil {
		c.file.Close()
	}
}

// HardwareClock is the clock by which the device stamps packets, if the program asks for
// its times ([asm.Config.Metadata]), or nil. The error is [ErrNoHardwareClock], or one that
// says why the clock can't be read: times are then told as the device has them. It lasts as long as the attachment.
func (a *Attachment) HardwareClock() (*HardwareClock, error) { return a.hardware, a.hardwareErr }

// AsksTime reports whether the program asks for the device's time of each packet.
func (a *Attachment) AsksTime() bool { return a.asks.Timestamp != 0 || a.place == asm.TCIngress }

// setHardwareClock opens the clock that packets' times are of.
func (a *Attachment) setHardwareClock(clock asm.Clock) {
	if clock == asm.HardwareClock && a.AsksTime() {
		a.hardware, a.hardwareErr = a.site.openHardwareClock()
	}
}
