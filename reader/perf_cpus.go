package reader

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// A CPU that goes offline takes its perf events with it, and they do not come back when
// it does (Linux 5.10 to 7.3): what the program outputs there is lost, and so it
// is on a CPU that comes online for the first time. Linux tells who listens
// for uevents of both (NETLINK_KOBJECT_UEVENT), in every network namespace of the first user
// namespace, and nobody needs rights or files for that. Where they can't be heard, the CPU is read again by
// the next reader.

// openUevents listens for uevents. It returns nil where it can't.
func openUevents() *os.File {
	const group = 1 // those of the kernel; udev's are in another one
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil
	}
	if err := unix.Bind(socket, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: group}); err != nil {
		unix.Close(socket)
		return nil
	}
	return os.NewFile(uintptr(socket), "uevents")
}

// begin follows the CPUs until the source is closed.
func (s *perfSource) begin() {
	if s.uevents != nil {
		s.follows.Go(s.follow)
	}
}

// follow opens the rings of CPUs that come, and ends those of CPUs that go.
func (s *perfSource) follow() {
	conn, err := s.uevents.SyscallConn()
	if err != nil {
		return
	}
	buffer := make([]byte, 8<<10) // the kernel's are up to 2 KiB
	for {
		var n int
		var from unix.Sockaddr
		var heard error
		if err := conn.Read(func(fd uintptr) bool {
			n, from, heard = unix.Recvfrom(int(fd), buffer, 0)
			return !errors.Is(heard, unix.EAGAIN)
		}); err != nil {
			return // closed
		}
		sender, _ := from.(*unix.SockaddrNetlink)
		switch {
		case errors.Is(heard, unix.ENOBUFS): // some were missed: it may have been any
			for cpu := range int(s.events.MaxEntries()) {
				s.came(cpu)
			}
		case errors.Is(heard, unix.EINTR):
		case heard != nil:
			return
		case sender != nil && sender.Pid == 0: // the kernel
			switch cpu, action := cpuEvent(buffer[:n]); action {
			case "online":
				s.came(cpu)
			case "offline":
				s.went(cpu)
			}
		}
	}
}

// came opens a ring for a CPU, a smaller one if there is no more memory to lock. If there
// can't be one, what comes there is lost, and counted.
func (s *perfSource) came(cpu int) {
	for buffer := s.buffer; buffer >= os.Getpagesize(); buffer /= 2 {
		if err := s.add(cpu, buffer); !errors.Is(err, errLocked) {
			return
		}
	}
}

func (s *perfSource) went(cpu int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events.Delete(uint32(cpu))
	s.end(cpu)
}

// mayRenew says whether the calling thread may do what follow does.
func (s *perfSource) mayRenew() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rings {
		if r.over {
			continue
		}
		fd, err := openPerfEvent(r.cpu, 1)
		if errors.Is(err, unix.ENODEV) {
			continue
		}
		if err != nil {
			return err
		}
		unix.Close(fd)
		if err := s.events.Put(uint32(r.cpu), uint32(r.event)); err != nil {
			return fmt.Errorf("hand the buffer of CPU %d to the program: %w", r.cpu, err)
		}
		return nil
	}
	return nil
}

// cpuEvent is what a uevent tells of a CPU, and of which: "online@/devices/system/cpu/cpu1",
// and more behind a zero byte. Of anything else the action is "".
func cpuEvent(message []byte) (cpu int, action string) {
	first, _, _ := bytes.Cut(message, []byte{0})
	what, path, _ := bytes.Cut(first, []byte("@"))
	number, ok := bytes.CutPrefix(path, []byte("/devices/system/cpu/cpu"))
	if !ok {
		return 0, ""
	}
	cpu, err := strconv.Atoi(string(number))
	if err != nil || cpu < 0 {
		return 0, ""
	}
	return cpu, string(what)
}
