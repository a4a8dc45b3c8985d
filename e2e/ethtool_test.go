package e2e

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Features that ethtool switches (linux/ethtool.h): ETHTOOL_SGRO, ETHTOOL_STSO.
const (
	setGRO = 0x2c
	setTSO = 0x1f
)

// useGRO switches generic receive offload on at an interface of the thread's
// namespace. A veth then polls (NAPI), and takes redirected frames also where
// no program is attached natively.
func useGRO(name string) error { return setFeature(name, setGRO, 1) }

// sendFrames keeps an interface from sending segments larger than its MTU, as
// a veth does until its peer has a program attached natively.
func sendFrames(name string) error { return setFeature(name, setTSO, 0) }

func setFeature(name string, command, value uint32) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	feature := struct{ command, value uint32 }{command, value} // struct ethtool_value
	request := struct {                                        // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&feature)}
	copy(request.name[:], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return fmt.Errorf("set feature %#x of %s: %w", command, name, errno)
	}
	return nil
}
