package e2e

import (
	"os"
	"runtime"
	"testing"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// bindXDPSocket binds an AF_XDP socket to the only queue of right0, as a program that
// has not put anything into the XDP slot yet.
func (l *lab) bindXDPSocket(t *testing.T) {
	t.Helper()
	const (
		frames, frameSize = 64, 4096
		size              = frames * frameSize
	)
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	fd := -1
	t.Cleanup(func() { unix.Close(fd); unix.Munmap(memory) })
	l.right.change(t, right(0), func(link netlink.Link) (err error) {
		if fd, err = unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		umem := unix.XDPUmemReg{Addr: uint64(uintptr(unsafe.Pointer(&memory[0]))), Len: size, Size: frameSize}
		_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, unix.XDP_UMEM_REG, uintptr(unsafe.Pointer(&umem)), unsafe.Sizeof(umem), 0)
		runtime.KeepAlive(memory)
		if errno != 0 {
			return os.NewSyscallError("register memory", errno)
		}
		for _, ring := range []int{unix.XDP_UMEM_FILL_RING, unix.XDP_UMEM_COMPLETION_RING, unix.XDP_RX_RING} {
			if err := unix.SetsockoptInt(fd, unix.SOL_XDP, ring, frames); err != nil {
				return err
			}
		}
		return unix.Bind(fd, &unix.SockaddrXDP{Ifindex: uint32(link.Attrs().Index), Flags: unix.XDP_COPY})
	})
}
