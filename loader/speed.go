package loader

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Speed asks the driver how fast the interface's link is, in bits per second.
// It is 0 where the driver does not know, as of a link that is down.
func (a *Attachment) Speed() uint64 {
	if a.site == nil {
		return 0
	}
	var speed uint64
	a.site.ns.do(func() error {
		speed = linkSpeed(a.site.link.name)
		return nil
	})
	return speed
}

// ethtoolSettings is struct ethtool_cmd (linux/ethtool.h): the old form of the
// question, which every kernel answers and which fits into one call.
type ethtoolSettings struct {
	command                uint32
	supported, advertising uint32
	speed                  uint16 // Mbit/s, lower half
	duplex, port, phy      uint8
	transceiver, autoneg   uint8
	mdio                   uint8
	maxTxPackets, maxRx    uint32
	speedHigh              uint16
	mdix, mdixControl      uint8
	advertisingPartner     uint32
	reserved               [2]uint32
}

const ethtoolGetSettings = 1 // ETHTOOL_GSET

// linkSpeed is Speed for the calling thread's network namespace.
func linkSpeed(name string) uint64 {
	if len(name) >= unix.IFNAMSIZ {
		return 0
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(socket)
	settings := &ethtoolSettings{command: ethtoolGetSettings}
	request := struct { // struct ifreq (linux/if.h)
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [24 - unsafe.Sizeof(uintptr(0))]byte
	}{data: unsafe.Pointer(settings)}
	copy(request.name[:], name)
	var pinner runtime.Pinner
	pinner.Pin(settings)
	defer pinner.Unpin()
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(socket), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	const unknown = 1<<32 - 1 // SPEED_UNKNOWN
	speed := uint32(settings.speedHigh)<<16 | uint32(settings.speed)
	if errno != 0 || speed == unknown {
		return 0
	}
	return uint64(speed) * 1_000_000
}
