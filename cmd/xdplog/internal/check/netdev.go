package check

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The generic netlink family "netdev" (Linux 6.3), of linux/netdev.h.
const (
	netdevDevGet      = 1 // NETDEV_CMD_DEV_GET
	netdevIndex       = 1 // NETDEV_A_DEV_IFINDEX
	netdevXDPFeatures = 3 // NETDEV_A_DEV_XDP_FEATURES
)

// XDP features that are named by more than their place in featureWords: enum
// netdev_xdp_act.
const (
	basicXDP     = 1 << 0 // the driver runs programs
	receiveFrags = 1 << 5 // packets of more than one buffer
)

var featureWords = [...]string{"basic", "redirect", "transmit", "zero-copy", "offload", "frags", "transmit frags"}

func featureNames(features uint64) string {
	var names []string
	for bit, word := range featureWords {
		if features&(1<<bit) != 0 {
			names = append(names, word)
		}
	}
	return strings.Join(names, ", ")
}

// genericHeader is struct genlmsghdr: command, version, and two bytes that must
// be zero. The package's own leaves in them what happens to be in memory.
type genericHeader [nl.SizeofGenlmsg]byte

func (h genericHeader) Len() int          { return len(h) }
func (h genericHeader) Serialize() []byte { return h[:] }

// errNoNetdev is the error of a kernel that can't be asked.
var errNoNetdev = errors.New("no netdev family")

// xdpFeatures asks the kernel what an interface's driver says that it can do.
func xdpFeatures(index int) (uint64, error) {
	family, err := netlink.GenlFamilyGet("netdev")
	if errors.Is(err, unix.ENOENT) {
		return 0, errNoNetdev
	}
	if err != nil {
		return 0, fmt.Errorf("look for the netdev family: %w", err)
	}
	request := nl.NewNetlinkRequest(int(family.ID), 0)
	request.AddData(genericHeader{netdevDevGet, uint8(family.Version)})
	request.AddData(nl.NewRtAttr(netdevIndex, nl.Uint32Attr(uint32(index))))
	answer, err := request.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return 0, fmt.Errorf("ask for XDP features: %w", err)
	}
	for _, message := range answer {
		if len(message) < nl.SizeofGenlmsg {
			continue
		}
		attributes, err := nl.ParseRouteAttr(message[nl.SizeofGenlmsg:])
		if err != nil {
			return 0, fmt.Errorf("ask for XDP features: %w", err)
		}
		for _, a := range attributes {
			if a.Attr.Type == netdevXDPFeatures && len(a.Value) >= 8 {
				return binary.NativeEndian.Uint64(a.Value), nil
			}
		}
	}
	return 0, errNoNetdev
}
