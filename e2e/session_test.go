package e2e

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/gopacket/gopacket"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Devices whose two ends have to agree on something.

// genl sends a command of a generic netlink family.
func genl(family string, command uint8, attributes ...*nl.RtAttr) error {
	f, err := netlink.GenlFamilyGet(family)
	if err != nil {
		return err
	}
	request := nl.NewNetlinkRequest(int(f.ID), unix.NLM_F_ACK)
	request.AddData(&genlHeader{command, uint8(f.Version)})
	for _, a := range attributes {
		request.AddData(a)
	}
	_, err = request.Execute(unix.NETLINK_GENERIC, 0)
	return err
}

// genlHeader is struct genlmsghdr, whose last two bytes must be zero, which of the
// library's own they need not be.
type genlHeader [nl.SizeofGenlmsg]byte

func (h *genlHeader) Len() int          { return len(h) }
func (h *genlHeader) Serialize() []byte { return h[:] }

// nested is an attribute that has others.
func nested(kind int, attributes ...*nl.RtAttr) *nl.RtAttr {
	of := nl.NewRtAttr(kind|unix.NLA_F_NESTED, nil)
	for _, a := range attributes {
		of.AddChild(a)
	}
	return of
}

// wireguard is one end of two, each in a namespace.
func wireguard(t *testing.T, lab *lab) func(...[]byte) {
	const (
		setDevice = 1
		port      = 51820

		deviceName, devicePrivateKey, devicePort, devicePeers = 2, 3, 6, 8 // WGDEVICE_A_…
		peerPublicKey, peerEndpoint, peerAllowed              = 1, 4, 9    // WGPEER_A_…
		allowedFamily, allowedAddress, allowedBits            = 1, 2, 3    // WGALLOWEDIP_A_…
	)
	var keys [2]*ecdh.PrivateKey
	for i := range keys {
		var err error
		if keys[i], err = ecdh.X25519().GenerateKey(rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	// configure is of the end that has the first key; the other is at an address.
	configure := func(name string, own, other int, address []byte) error {
		endpoint := slices.Concat(binary.NativeEndian.AppendUint16(nil, unix.AF_INET), binary.BigEndian.AppendUint16(nil, port), address, make([]byte, 8))
		return genl("wireguard", setDevice,
			nl.NewRtAttr(deviceName, nl.ZeroTerminated(name)),
			nl.NewRtAttr(devicePrivateKey, keys[own].Bytes()),
			nl.NewRtAttr(devicePort, nl.Uint16Attr(port)),
			nested(devicePeers, nested(0,
				nl.NewRtAttr(peerPublicKey, keys[other].PublicKey().Bytes()),
				nl.NewRtAttr(peerEndpoint, endpoint),
				nested(peerAllowed, nested(0,
					nl.NewRtAttr(allowedFamily, nl.Uint16Attr(unix.AF_INET)),
					nl.NewRtAttr(allowedAddress, make([]byte, 4)),
					nl.NewRtAttr(allowedBits, []byte{0}),
				)),
			)))
	}
	make := func(a netlink.LinkAttrs) error {
		a.ParentIndex = 0
		return netlink.LinkAdd(&netlink.Wireguard{LinkAttrs: a})
	}
	lab.add(t, "wireguard", func(a netlink.LinkAttrs) error {
		if err := make(a); err != nil {
			return err
		}
		return configure(above, 0, 1, []byte{192, 0, 2, 1})
	})
	err := lab.left.do(func() error {
		a := netlink.NewLinkAttrs()
		a.Name = above
		if err := make(a); err != nil {
			return err
		}
		return configure(above, 1, 0, []byte{192, 0, 2, 2})
	})
	if err != nil {
		t.Fatal(err)
	}
	lab.left.change(t, above, netlink.LinkSetUp)
	send := lab.sends(t, lab.left, above)
	send(sumIPv4(frame(ipv4(protoUDP), udp(1, 1)), 0))
	time.Sleep(500 * time.Millisecond) // they shake hands
	return func(frames ...[]byte) { send(sumIPv4(frames[0][14:], 0)) }
}

// ppp is a PPP link over PPPoE, as if both ends had agreed already.
func ppp(t *testing.T, lab *lab) func(...[]byte) {
	const (
		getChannel    = 0x80047437 // PPPIOCGCHAN
		attachChannel = 0x40047438 // PPPIOCATTCHAN
		newUnit       = 0xc004743e // PPPIOCNEWUNIT
		connect       = 0x4004743a // PPPIOCCONNECT

		session = 5
	)
	ioctl := func(file *os.File, command uintptr, number *int32) error {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), command, uintptr(unsafe.Pointer(number))); errno != 0 {
			return os.NewSyscallError("ioctl", errno)
		}
		return nil
	}
	var files []*os.File
	t.Cleanup(func() {
		for _, f := range files {
			f.Close()
		}
	})
	err := lab.right.do(func() error {
		fd, err := unix.Socket(unix.AF_PPPOX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		files = append(files, os.NewFile(uintptr(fd), "pppoe"))
		if err := unix.Connect(fd, &unix.SockaddrPPPoE{SID: session, Remote: lab.wires[0].from, Dev: right(0)}); err != nil {
			return err
		}
		for range 2 {
			f, err := os.OpenFile("/dev/ppp", os.O_RDWR, 0)
			if err != nil {
				return err
			}
			files = append(files, f)
		}
		var channel int32
		unit := int32(-1)
		if err := ioctl(files[0], getChannel, &channel); err != nil {
			return err
		}
		if err := ioctl(files[1], attachChannel, &channel); err != nil {
			return err
		}
		if err := ioctl(files[2], newUnit, &unit); err != nil {
			return err
		}
		return ioctl(files[1], connect, &unit)
	})
	if err != nil && len(files) == 0 {
		t.Skipf("this kernel lacks PPPoE: %v", err)
	}
	if err != nil {
		t.Fatalf("make a PPP link: %v", err)
	}
	lab.right.change(t, "ppp0", netlink.LinkSetUp)
	return lab.carried(t, 14, func(packet []byte) []byte {
		size := len(packet) + 2
		return slices.Concat(ethernet(0x8864), []byte{0x11, 0, 0, session, byte(size >> 8), byte(size), 0, 0x21}, packet)
	})
}

// gtp is the end of a tunnel to a phone whose address is that of what is sent.
func gtp(t *testing.T, lab *lab) func(...[]byte) {
	const id = 5
	var sockets []*os.File
	t.Cleanup(func() {
		for _, s := range sockets {
			s.Close()
		}
	})
	lab.add(t, "gtp", func(a netlink.LinkAttrs) error {
		a.ParentIndex = 0
		for _, port := range []int{3386, 2152} {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			sockets = append(sockets, os.NewFile(uintptr(fd), "gtp"))
			if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port}); err != nil {
				return err
			}
		}
		link := &netlink.GTP{LinkAttrs: a, FD0: int(sockets[0].Fd()), FD1: int(sockets[1].Fd())}
		if err := netlink.LinkAdd(link); err != nil {
			return err
		}
		made, err := netlink.LinkByName(above)
		if err != nil {
			return err
		}
		return netlink.GTPPDPAdd(made, &netlink.PDP{Version: 1, PeerAddress: net.IPv4(192, 0, 2, 1), MSAddress: stranger4, ITEI: id, OTEI: id})
	})
	return lab.carried(t, 14, func(packet []byte) []byte {
		header := []byte{0x30, 0xff, byte(len(packet) >> 8), byte(len(packet)), 0, 0, 0, id}
		return within4(protoUDP, udp(2152, 2152), gopacket.Payload(slices.Concat(header, packet)))
	})
}

// l2tp is an L2TPv3 session of Ethernet frames.
func l2tp(t *testing.T, lab *lab) func(...[]byte) {
	const (
		createTunnel, createSession = 1, 5
		port, id                    = 1701, 5

		pseudowire, encap, l2spec, version, name            = 1, 2, 5, 7, 8 // L2TP_ATTR_…
		tunnelID, peerTunnelID, sessionID, peerSessionID    = 9, 10, 11, 12
		sourceAddress, destAddress, sourcePort, destPort    = 24, 25, 26, 27
		pseudowireEthernet, encapUDP, version3, withoutSpec = 5, 0, 3, 0
	)
	lab.add(t, "l2tp", func(netlink.LinkAttrs) error {
		err := genl("l2tp", createTunnel,
			nl.NewRtAttr(tunnelID, nl.Uint32Attr(id)), nl.NewRtAttr(peerTunnelID, nl.Uint32Attr(id)),
			nl.NewRtAttr(version, []byte{version3}), nl.NewRtAttr(encap, nl.Uint16Attr(encapUDP)),
			nl.NewRtAttr(sourceAddress, []byte{192, 0, 2, 2}), nl.NewRtAttr(destAddress, []byte{192, 0, 2, 1}),
			nl.NewRtAttr(sourcePort, nl.Uint16Attr(port)), nl.NewRtAttr(destPort, nl.Uint16Attr(port)))
		if err != nil {
			return err
		}
		return genl("l2tp", createSession,
			nl.NewRtAttr(tunnelID, nl.Uint32Attr(id)), nl.NewRtAttr(sessionID, nl.Uint32Attr(id)), nl.NewRtAttr(peerSessionID, nl.Uint32Attr(id)),
			nl.NewRtAttr(pseudowire, nl.Uint16Attr(pseudowireEthernet)), nl.NewRtAttr(l2spec, []byte{withoutSpec}),
			nl.NewRtAttr(name, nl.ZeroTerminated(above)))
	})
	mac := lab.macOf(t, above)
	return lab.carried(t, 0, func(f []byte) []byte {
		header := []byte{0, 3, 0, 0, 0, 0, 0, id}
		return within4(protoUDP, udp(port, port), gopacket.Payload(slices.Concat(header, patch(bytes.Clone(f), 0, mac...))))
	})
}

// protected returns what sends packets from the left in an ESP tunnel, which the right
// takes out again. mine changes the right's state, by which it finds the interface that
// gets what was inside.
func (l *lab) protected(t *testing.T, mine func(*netlink.XfrmState)) func(frames ...[]byte) {
	t.Helper()
	const request = 5
	all := &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
	state := netlink.XfrmState{
		Src: net.IPv4(192, 0, 2, 1), Dst: net.IPv4(192, 0, 2, 2), Proto: netlink.XFRM_PROTO_ESP, Mode: netlink.XFRM_MODE_TUNNEL, Spi: 0x1000, Reqid: request,
		Aead: &netlink.XfrmStateAlgo{Name: "rfc4106(gcm(aes))", Key: make([]byte, 20), ICVLen: 128},
	}
	here := state
	mine(&here)
	// policy is one of a direction that has all be protected as a state does.
	policy := func(direction netlink.Dir, s *netlink.XfrmState) *netlink.XfrmPolicy {
		return &netlink.XfrmPolicy{Src: all, Dst: all, Dir: direction, Mark: s.Mark, Ifid: s.Ifid, Tmpls: []netlink.XfrmPolicyTmpl{{
			Src: s.Src, Dst: s.Dst, Proto: s.Proto, Mode: s.Mode, Reqid: request,
		}}}
	}
	err := l.right.do(func() error {
		if err := netlink.XfrmStateAdd(&here); err != nil {
			return err
		}
		return netlink.XfrmPolicyAdd(policy(netlink.XFRM_DIR_IN, &here))
	})
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOENT) {
		t.Skipf("this kernel lacks IPsec: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	fd := -1
	err = l.left.do(func() (err error) {
		if err := netlink.XfrmStateAdd(&state); err != nil {
			return err
		}
		if err := netlink.XfrmPolicyAdd(policy(netlink.XFRM_DIR_OUT, &state)); err != nil {
			return err
		}
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return func(frames ...[]byte) {
		if err := unix.Sendto(fd, frames[0][14:], 0, &unix.SockaddrInet4{Addr: [4]byte{192, 0, 2, 2}}); err != nil {
			t.Errorf("send a packet that is to be protected: %v", err)
		}
	}
}

// ipsec is an interface that gets what was inside an ESP tunnel: an xfrm interface, or a VTI.
func ipsec(link func(netlink.LinkAttrs) netlink.Link, mine func(*netlink.XfrmState)) maker {
	return func(t *testing.T, lab *lab) func(...[]byte) {
		lab.addLink(t, link)
		return lab.protected(t, mine)
	}
}
