package e2e

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
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

// features are the names of the offloads that are on at right0.
func (l *lab) features(t *testing.T) (on []string) {
	t.Helper()
	const (
		getStrings  = 0x1b // ETHTOOL_GSTRINGS
		ofFeatures  = 4    // ETH_SS_FEATURES
		getFeatures = 0x3a // ETHTOOL_GFEATURES
		most        = 128
	)
	names := &struct {
		command, set, n uint32
		texts           [most][32]byte
	}{command: getStrings, set: ofFeatures}
	bits := &struct {
		command, words uint32
		blocks         [most / 32]struct{ available, requested, active, never uint32 }
	}{command: getFeatures, words: most / 32}
	err := l.right.do(func() error {
		return errors.Join(ethtool(right(0), unsafe.Pointer(names)), ethtool(right(0), unsafe.Pointer(bits)))
	})
	if err != nil {
		t.Fatalf("ask for offloads: %v", err)
	}
	for i := range min(int(names.n), most) {
		if bits.blocks[i/32].active&(1<<(i%32)) != 0 {
			on = append(on, unix.ByteSliceToString(names.texts[i][:]))
		}
	}
	return on
}

func setFeature(name string, command, value uint32) error {
	feature := struct{ command, value uint32 }{command, value} // struct ethtool_value
	if err := ethtool(name, unsafe.Pointer(&feature)); err != nil {
		return fmt.Errorf("set feature %#x of %s: %w", command, name, err)
	}
	return nil
}

// ethtool is one SIOCETHTOOL in the thread's namespace.
func ethtool(name string, command unsafe.Pointer) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request := struct { // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: command}
	copy(request.name[:], name)
	var pinner runtime.Pinner
	pinner.Pin(command)
	defer pinner.Unpin()
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}
