package live

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/loader"
)

// lab is a network namespace with a veth pair, v0 and v1, both up.
type lab struct {
	name   string
	handle *netlink.Handle
}

var labs atomic.Int32

func newLab(t testing.TB) *lab {
	t.Helper()
	l := &lab{name: fmt.Sprintf("xdplog-live-%d-%d", os.Getpid(), labs.Add(1))}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends
		own, err := netns.Get()
		if err != nil {
			made <- err
			return
		}
		defer own.Close()
		ns, err := netns.NewNamed(l.name)
		if err == nil {
			l.handle, err = netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
			ns.Close()
			err = errors.Join(err, netns.Set(own)) // the first thread of the process doesn't end
		}
		made <- err
	}()
	err := <-made
	if errors.Is(err, os.ErrPermission) && os.Getenv("XDPLOG_E2E") != "required" {
		t.Skipf("needs root: %v", err)
	}
	must(t, err)
	t.Cleanup(func() {
		l.handle.Close()
		netns.DeleteNamed(l.name)
	})
	must(t, l.handle.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "v0"}, PeerName: "v1"}))
	for _, name := range []string{"v0", "v1"} {
		must(t, l.handle.LinkSetUp(l.link(t, name)))
	}
	return l
}

func (l *lab) link(t testing.TB, name string) netlink.Link {
	t.Helper()
	link, err := l.handle.LinkByName(name)
	must(t, err)
	return link
}

// delete deletes both interfaces.
func (l *lab) delete() error {
	return l.handle.LinkDel(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Name: "v0"}})
}

// send sends n datagrams to v0, of ports 1 to n.
func (l *lab) send(t testing.TB, n int) {
	t.Helper()
	to := &unix.SockaddrLinklayer{Protocol: 8, Ifindex: l.link(t, "v1").Attrs().Index} // ETH_P_IP in network order
	must(t, loader.Within(l.name, func() error {
		socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(socket)
		for port := range n {
			if err := unix.Sendto(socket, datagram(uint16(port+1)), 0, to); err != nil {
				return err
			}
		}
		return nil
	}))
}

// datagram is Ethernet, IPv4 and UDP from 192.0.2.1 to 192.0.2.2:53.
func datagram(port uint16) []byte {
	return []byte{
		2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0,
		0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
		byte(port >> 8), byte(port), 0, 53, 0, 8, 0, 0,
	}
}

// bare fails the test unless no interface has a program.
func (l *lab) bare(t testing.TB) {
	t.Helper()
	for _, name := range []string{"v0", "v1"} {
		if xdp := l.link(t, name).Attrs().Xdp; xdp != nil && xdp.Attached {
			t.Errorf("%s has program %d, want none", name, xdp.ProgId)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
