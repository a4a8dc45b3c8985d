package loader

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Promiscuous has an interface take in frames to all addresses, until what it returns is
// closed or the process ends, however that does: it is a packet socket's membership
// (packet(7)), of which the kernel keeps count, so that others who want the same are not
// disturbed. The namespace is as in [Options]. It needs CAP_NET_RAW.
func Promiscuous(name, namespace string) (io.Closer, error) {
	var held *os.File
	err := Within(namespace, func() error {
		link, err := netlink.LinkByName(name)
		if errors.As(err, new(netlink.LinkNotFoundError)) {
			return explain(ErrNoInterface, "no interface %s", quoted(name))
		}
		if err != nil {
			return err
		}
		// Of protocol 0, which is none: no packet comes to the socket.
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			if missing := missing(unix.CAP_NET_RAW); len(missing) > 0 {
				return explain(err, "%s", needs(missing))
			}
			return fmt.Errorf("open a packet socket: %w", err)
		}
		held = os.NewFile(uintptr(fd), "packet socket")
		all := unix.PacketMreq{Ifindex: int32(link.Attrs().Index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &all); err != nil {
			held.Close()
			return err
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("make %s promiscuous: %w", quoted(name), err)
	}
	return held, nil
}
