package loader

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The generic netlink family "netdev" (Linux 6.3), of linux/netdev.h.
const (
	netdevDevGet      = 1 // NETDEV_CMD_DEV_GET
	netdevIndex       = 1 // NETDEV_A_DEV_IFINDEX
	netdevXDPFeatures = 3 // NETDEV_A_DEV_XDP_FEATURES
	netdevMetadata    = 5 // NETDEV_A_DEV_XDP_RX_METADATA_FEATURES, Linux 6.7
)

// Features are what a driver says that it can do for XDP, in bits.
type Features struct {
	XDP      uint64 // enum netdev_xdp_act
	Metadata uint64 // enum netdev_xdp_rx_metadata: what programs may ask it, beside a packet's bytes
}

// enum netdev_xdp_rx_metadata.
const (
	tellsTime = 1 << 0
	tellsHash = 1 << 1
	tellsTag  = 1 << 2
)

// TellsTags reports whether it tells a native program which tag it keeps beside a packet.
func (f Features) TellsTags() bool { return f.Metadata&tellsTag != 0 }

// TellsHash reports whether it tells a native program the hash of a packet.
func (f Features) TellsHash() bool { return f.Metadata&tellsHash != 0 }

// ErrNoNetdev is the error of a kernel that can't be asked for [Features]: Linux 6.3 can.
var ErrNoNetdev = errors.New("no netdev family")

// genericHeader is struct genlmsghdr: command, version, and two bytes that must
// be zero. The package's own leaves in them what happens to be in memory.
type genericHeader [nl.SizeofGenlmsg]byte

func (h genericHeader) Len() int          { return len(h) }
func (h genericHeader) Serialize() []byte { return h[:] }

// DeviceFeatures asks the kernel what the driver of an interface says that it can do, by
// its index in the network namespace of the calling thread.
func DeviceFeatures(index int) (f Features, err error) {
	family, err := netlink.GenlFamilyGet("netdev")
	if errors.Is(err, unix.ENOENT) {
		return f, ErrNoNetdev
	}
	if err != nil {
		return f, fmt.Errorf("look for the netdev family: %w", err)
	}
	request := nl.NewNetlinkRequest(int(family.ID), 0)
	request.AddData(genericHeader{netdevDevGet, uint8(family.Version)})
	request.AddData(nl.NewRtAttr(netdevIndex, nl.Uint32Attr(uint32(index))))
	answer, err := request.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return f, fmt.Errorf("ask for XDP features: %w", err)
	}
	told := false
	for _, message := range answer {
		if len(message) < nl.SizeofGenlmsg {
			continue
		}
		attributes, err := nl.ParseRouteAttr(message[nl.SizeofGenlmsg:])
		if err != nil {
			return f, fmt.Errorf("ask for XDP features: %w", err)
		}
		for _, a := range attributes {
			if len(a.Value) < 8 {
				continue
			}
			switch a.Attr.Type {
			case netdevXDPFeatures:
				f.XDP, told = binary.NativeEndian.Uint64(a.Value), true
			case netdevMetadata:
				f.Metadata = binary.NativeEndian.Uint64(a.Value)
			}
		}
	}
	if !told {
		return f, ErrNoNetdev
	}
	return f, nil
}
