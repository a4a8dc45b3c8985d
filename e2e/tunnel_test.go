package e2e

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A tunnel is a kind of interface whose packets have no Ethernet header.
type tunnel struct {
	kind string
	link func(netlink.LinkAttrs) netlink.Link // nil: a tun device
	// v6 and v4 say what it carries, and by which protocol of the outer header.
	v4, v6 layers.IPProtocol
	header []byte // behind the outer header
}

var tunnels = []tunnel{
	{kind: "tun", v4: 1, v6: 1},
	{kind: "ipip", v4: layers.IPProtocolIPv4, link: func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.Iptun{LinkAttrs: a, Local: net.IPv4(192, 0, 2, 2), Remote: net.IPv4(192, 0, 2, 1)}
	}},
	{kind: "sit", v6: layers.IPProtocolIPv6, link: func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.Sittun{LinkAttrs: a, Local: net.IPv4(192, 0, 2, 2), Remote: net.IPv4(192, 0, 2, 1)}
	}},
	{kind: "gre", v4: layers.IPProtocolGRE, header: []byte{0, 0, 8, 0}, link: func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.Gretun{LinkAttrs: a, Local: net.IPv4(192, 0, 2, 2), Remote: net.IPv4(192, 0, 2, 1)}
	}},
}

const tunnelName = "tunnel0"

// tunnel makes one on the right, and returns what has it receive a packet, which
// stands in a frame.
func (l *lab) tunnel(t *testing.T, kind tunnel) (receive func(frames ...[]byte)) {
	t.Helper()
	fd := -1
	err := l.right.do(func() (err error) {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = tunnelName
		if kind.link == nil {
			if fd, err = openTunnel(tunnelName, unix.IFF_TUN); err != nil {
				return err
			}
		} else if err := netlink.LinkAdd(kind.link(attrs)); err != nil {
			return err
		}
		made, err := netlink.LinkByName(tunnelName)
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(made)
	})
	if err == unix.EOPNOTSUPP || err == unix.ENOENT {
		t.Skipf("this kernel lacks %s devices", kind.kind)
	}
	if err != nil {
		t.Fatalf("make a %s device: %v", kind.kind, err)
	}
	t.Cleanup(func() {
		if fd >= 0 {
			unix.Close(fd)
			return
		}
		l.right.change(t, tunnelName, netlink.LinkDel)
	})
	return func(frames ...[]byte) {
		t.Helper()
		for _, f := range frames {
			packet := f[14:]
			if fd >= 0 {
				if _, err := unix.Write(fd, packet); err != nil {
					t.Fatalf("write %x to a tun device: %v", packet, err)
				}
				continue
			}
			outer := ipv4(max(kind.v4, kind.v6))
			outer.SrcIP = net.IPv4(192, 0, 2, 1)
			l.sendTo(t, l.wires[0].to, frame(ethernet(eth4), outer, gopacket.Payload(slices.Concat(kind.header, packet))))
		}
	}
}

// openTunnel makes a tun or tap device of the thread's namespace, which is there until
// the descriptor is closed.
func openTunnel(name string, kind uint16) (int, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(kind | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// linux is the kernel's version.
func linux(t *testing.T) (major, minor int) {
	t.Helper()
	var name unix.Utsname
	err := unix.Uname(&name)
	if err == nil {
		_, err = fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor)
	}
	if err != nil {
		t.Fatal(err)
	}
	return major, minor
}

var packetLength = regexp.MustCompile(`"pkt_len":(\d+)`)

// headless is the text of an event whose packet has no Ethernet header.
func headless(text string) string {
	return packetLength.ReplaceAllStringFunc(text, func(field string) string {
		n, _ := strconv.Atoi(packetLength.FindStringSubmatch(field)[1])
		return fmt.Sprintf(`"pkt_len":%d`, n-14)
	})
}

// TestTunnels: packets without an Ethernet header are reported as those with one, and
// filters find the same in them.
func TestTunnels(t *testing.T) {
	for _, kind := range tunnels {
		t.Run(kind.kind, func(t *testing.T) {
			lab := newLab(t)
			receive := lab.tunnel(t, kind)
			var cases []frameCase
			mark := marker()
			if kind.v4 != 0 {
				cases = ipv4Cases()
			}
			if kind.v6 != 0 {
				cases = append(cases, ipv6Cases()...)
			}
			if kind.v4 == 0 {
				mark = frame(ethernet(eth6), ipv6(protoUDP), udp(markerPort, markerPort))
			}
			name := filepath.Join(t.TempDir(), "out.pcapng")
			capture := start(t, lab.right, "-i", tunnelName, "-o", "json", "--all", "-w", name).listens(t)
			if said := capture.stderr.String(); !matches(`listening on tunnel0 \(tc ingress; its packets have no Ethernet header\)`, said) {
				t.Errorf("it says\n%s", said)
			}
			read := 0
			for _, c := range cases {
				if !c.isDefault {
					continue
				}
				read++
				receive(c.frame, mark)
				events := capture.untilMarker(t)
				if len(events) != 1 || events[0].text != headless(c.text) {
					t.Errorf("%s: events are %v, want %s", c.name, events, headless(c.text))
				}
			}
			if read < 5 {
				t.Errorf("%d cases", read)
			}
			capture.stop(t)
			for _, filter := range []string{"udp[8:4] = 0x41424344 and len < 100", "udp[len & 7] >= 0", "ether proto 0x800 or ip6", "udp dst port 53"} {
				capture := start(t, lab.right, "-i", tunnelName, "-o", "json", fmt.Sprintf("port %d or (%s)", markerPort, filter)).listens(t)
				text := frame(ethernet(eth4), ipv4(protoUDP), udp(1234, 53), gopacket.Payload("ABCDEFGH"))
				if kind.v4 == 0 {
					text = frame(ethernet(eth6), ipv6(protoUDP), udp(1234, 53), gopacket.Payload("ABCDEFGH"))
				}
				receive(text, mark)
				if events := capture.untilMarker(t); len(events) != 1 {
					t.Errorf("%s: events are %v, want one", filter, events)
				}
				capture.stop(t)
			}
			complain(t, lab.right, 1, []string{"attach to tunnel0, a", "tunnel", "seen at tc alone"}, "-i", tunnelName, "--mode", "generic")
			file := start(t, lab.right, "-r", name, "-o", "json")
			for range read {
				file.next(t)
				file.next(t) // the marker
			}
			if end := file.wait(t); !matches(`link-type RAW \(Raw IP\)`, end.stderr) {
				t.Errorf("of the file it says\n%s", end.stderr)
			}
		})
	}
}
