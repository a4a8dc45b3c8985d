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

// Queues is how many receive queues the interface has, as its driver says; 0 if that
// does not.
func (a *Attachment) Queues() int {
	if a.site == nil {
		return 0
	}
	const get = 0x3c // ETHTOOL_GCHANNELS
	// struct ethtool_channels (linux/ethtool.h): the most that there can be, and those that
	// there are.
	type channels struct{ rx, tx, other, combined uint32 }
	var answer struct {
		command   uint32
		most, are channels
	}
	answer.command = get
	err := a.site.ns.do(func() error { return ethtool(a.site.link.name, unsafe.Pointer(&answer)) })
	if err != nil {
		return 0
	}
	return int(answer.are.rx + answer.are.combined)
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
	settings := &ethtoolSettings{command: ethtoolGetSettings}
	const unknown = 1<<32 - 1 // SPEED_UNKNOWN
	if ethtool(name, unsafe.Pointer(settings)) != nil {
		return 0
	}
	speed := uint32(settings.speedHigh)<<16 | uint32(settings.speed)
	if speed == unknown {
		return 0
	}
	return uint64(speed) * 1_000_000
}

// driver is the name of an interface's driver, or "" where it has none.
func (s *site) driver(name string) (driver string) {
	s.ns.do(func() error {
		socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(socket)
		if info, err := unix.IoctlGetEthtoolDrvinfo(socket, name); err == nil {
			driver = unix.ByteSliceToString(info.Driver[:])
		}
		return nil
	})
	return driver
}

// ethtool is one SIOCETHTOOL on an interface of the calling thread's network
// namespace, whose command points to a structure that begins with its number.
func ethtool(name string, command unsafe.Pointer) error {
	if len(name) >= unix.IFNAMSIZ {
		return unix.ENODEV
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	request := struct { // struct ifreq (linux/if.h)
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [24 - unsafe.Sizeof(uintptr(0))]byte
	}{data: command}
	copy(request.name[:], name)
	var pinner runtime.Pinner
	pinner.Pin(command)
	defer pinner.Unpin()
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(socket), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}

// ethtoolValue is struct ethtool_value.
type ethtoolValue struct{ command, data uint32 }

const (
	ethtoolGetFlags = 0x25   // ETHTOOL_GFLAGS
	flagRXVLAN      = 1 << 8 // ETH_FLAG_RXVLAN
)

// stripsTags reports whether an interface takes VLAN tags off what it receives, before
// XDP sees it (rx-vlan-offload), in the network namespace of the calling thread.
func stripsTags(name string) (bool, error) {
	flags := &ethtoolValue{command: ethtoolGetFlags}
	err := ethtool(name, unsafe.Pointer(flags))
	return flags.data&flagRXVLAN != 0, err
}
