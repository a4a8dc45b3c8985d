package loader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// conn is a route netlink socket. It belongs to the network namespace in which
// it was opened, from whichever thread it is used, and keeps it alive.
type conn struct {
	socket  *nl.NetlinkSocket
	sockets map[int]*nl.SocketHandle
}

// dial opens a socket in the calling thread's network namespace.
func dial() (*conn, error) {
	socket, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	// On the socket: the package has only a global variable for it. Without
	// extended acks (Linux 4.12) the kernel's words are lost and no more.
	_ = socket.SetExtAck(true)
	// A driver may take seconds to change its rings, and holds the lock that
	// everybody's requests need.
	timeout := unix.Timeval{Sec: 60}
	_ = socket.SetSendTimeout(&timeout)
	_ = socket.SetReceiveTimeout(&timeout)

	handle := &nl.SocketHandle{Socket: socket}
	return &conn{socket, map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: handle}}, nil
}

func (c *conn) close() { c.socket.Close() }

func (c *conn) request(kind, flags int, index int) *nl.NetlinkRequest {
	request := nl.NewNetlinkRequest(kind, flags)
	request.Sockets = c.sockets
	message := nl.NewIfInfomsg(unix.AF_UNSPEC)
	message.Index = int32(index)
	request.AddData(message)
	return request
}

// link is what the kernel says of an interface.
type link struct {
	index    int
	name     string
	kind     uint16              // of link layer: unix.ARPHRD_
	master   int                 // index of the interface that it is a port of, or 0
	lower    int                 // index of that which it is made on, as a VLAN is, or 0
	up       bool                // administratively (IFF_UP)
	made     string              // what kind of virtual interface it is, as ip link calls it, or ""
	l3s      bool                // an ipvlan in mode l3s
	carrier  bool                // up, and its link is (IFF_LOWER_UP)
	programs [Offload + 1]uint32 // id of the XDP program, 0 for none, by mode
}

// mode is that in which a program is attached to the interface.
func (l *link) mode(program uint32) (Mode, bool) {
	for mode, id := range l.programs {
		if id == program {
			return Mode(mode), true
		}
	}
	return Auto, false
}

// ethernet reports whether packets bear an Ethernet header when a program sees
// them. Those of tunnels without one, as tun's or WireGuard's, are no frames.
func (l *link) ethernet() bool {
	return l.kind == unix.ARPHRD_ETHER || l.kind == unix.ARPHRD_LOOPBACK
}

func (l *link) loopback() bool { return l.kind == unix.ARPHRD_LOOPBACK }

// link returns an interface; the error is ENODEV if there is none.
func (c *conn) link(index int) (link, error) {
	return one(c.request(unix.RTM_GETLINK, 0, index))
}

// linkByName is link by name or alternative name.
func (c *conn) linkByName(name string) (link, error) {
	request := c.request(unix.RTM_GETLINK, 0, 0)
	attribute := unix.IFLA_IFNAME
	if len(name) >= unix.IFNAMSIZ {
		attribute = unix.IFLA_ALT_IFNAME // Linux 5.5, up to 127 bytes
	}
	request.AddData(nl.NewRtAttr(attribute, nl.ZeroTerminated(name)))
	return one(request)
}

func one(request *nl.NetlinkRequest) (link, error) {
	answer, err := request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil {
		return link{}, err
	}
	if len(answer) != 1 {
		return link{}, unix.ENODEV
	}
	return parseLink(answer[0])
}

// links returns all interfaces of the namespace, in the order of their index.
func (c *conn) links() ([]link, error) {
	answer, err := c.request(unix.RTM_GETLINK, unix.NLM_F_DUMP, 0).Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	// What came and went during the dump is no reason to have nothing.
	if err != nil && !errors.Is(err, nl.ErrDumpInterrupted) {
		return nil, err
	}
	links := make([]link, 0, len(answer))
	for _, message := range answer {
		l, err := parseLink(message)
		if err != nil {
			return nil, err
		}
		links = append(links, l)
	}
	slices.SortFunc(links, func(a, b link) int { return a.index - b.index })
	return links, nil
}

// names are those of all interfaces; none if they can't be had.
func (c *conn) names() []string {
	links, _ := c.links()
	names := make([]string, len(links))
	for i, l := range links {
		names[i] = quoted(l.name)
	}
	return names
}

func parseLink(message []byte) (link, error) {
	if len(message) < unix.SizeofIfInfomsg {
		return link{}, errors.New("short netlink message")
	}
	info := nl.DeserializeIfInfomsg(message)
	l := link{index: int(info.Index), kind: info.Type, up: info.Flags&unix.IFF_UP != 0, carrier: info.Flags&unix.IFF_LOWER_UP != 0}
	var on uint32
	var elsewhere bool
	var made []byte
	err := attributes(message[unix.SizeofIfInfomsg:], func(kind uint16, value []byte) error {
		switch kind {
		case unix.IFLA_IFNAME:
			l.name = nl.BytesToString(value)
		case unix.IFLA_MASTER:
			if len(value) >= 4 {
				l.master = int(binary.NativeEndian.Uint32(value))
			}
		case unix.IFLA_LINK:
			if len(value) >= 4 {
				on = binary.NativeEndian.Uint32(value)
			}
		case unix.IFLA_LINK_NETNSID:
			elsewhere = true
		case unix.IFLA_LINKINFO:
			made = value
		case unix.IFLA_XDP:
			return attributes(value, func(kind uint16, value []byte) error {
				if mode := programMode(kind); mode != Auto && len(value) >= 4 {
					l.programs[mode] = binary.NativeEndian.Uint32(value)
				}
				return nil
			})
		}
		return nil
	})
	if err == nil {
		l.lower, err = parseLower(on, elsewhere, made)
		l.parseMade(made)
	}
	return l, err
}

// programMode is the mode whose program id an attribute in IFLA_XDP tells.
// These are there since Linux 4.19; IFLA_XDP_PROG_ID tells nothing beside them.
func programMode(attribute uint16) Mode {
	switch attribute {
	case unix.IFLA_XDP_DRV_PROG_ID:
		return Native
	case unix.IFLA_XDP_SKB_PROG_ID:
		return Generic
	case unix.IFLA_XDP_HW_PROG_ID:
		return Offload
	default:
		return Auto
	}
}

func attributes(b []byte, f func(kind uint16, value []byte) error) error {
	parsed, err := nl.ParseRouteAttr(b)
	if err != nil {
		return fmt.Errorf("parse a netlink message: %w", err)
	}
	for _, a := range parsed {
		if err := f(a.Attr.Type&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), a.Value); err != nil {
			return err
		}
	}
	return nil
}

// In place of a descriptor.
const (
	noProgram  = -1
	anyProgram = -2
)

// setXDP attaches a program (a descriptor) in a mode; noProgram takes it off.
// If expected is a descriptor, it must be that of the program which is there
// now, and if it is noProgram, there must be none: both are one step with the
// change (Linux 5.7). With anyProgram what is there goes, whatever it is.
func (c *conn) setXDP(index, program int, mode Mode, expected int) error {
	flags := mode.flag()
	switch expected {
	case noProgram:
		flags |= unix.XDP_FLAGS_UPDATE_IF_NOEXIST
	case anyProgram:
	default:
		flags |= unix.XDP_FLAGS_REPLACE
	}
	xdp := nl.NewRtAttr(unix.IFLA_XDP|unix.NLA_F_NESTED, nil)
	xdp.AddRtAttr(unix.IFLA_XDP_FD, nl.Uint32Attr(uint32(program)))
	xdp.AddRtAttr(unix.IFLA_XDP_FLAGS, nl.Uint32Attr(flags))
	if expected >= 0 {
		xdp.AddRtAttr(unix.IFLA_XDP_EXPECTED_FD, nl.Uint32Attr(uint32(expected)))
	}

	var err error
	for range 5 {
		request := c.request(unix.RTM_SETLINK, unix.NLM_F_ACK, index)
		request.AddData(xdp)
		if _, err = request.Execute(unix.NETLINK_ROUTE, 0); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	return err
}
