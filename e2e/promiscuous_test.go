package e2e

import (
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// promiscuity is how many have made right0 promiscuous.
func (l *lab) promiscuity(t testing.TB) (n int) {
	t.Helper()
	err := l.right.do(func() error {
		link, err := netlink.LinkByName(right(0))
		if err == nil {
			n = link.Attrs().Promisc
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestPromiscuous: the interface is what it was before, however xdplog ends, and others
// who want it promiscuous keep that.
func TestPromiscuous(t *testing.T) {
	lab := newLab(t)
	others := func(on bool) {
		t.Helper()
		err := lab.right.do(func() error {
			link, err := netlink.LinkByName(right(0))
			if err != nil {
				return err
			}
			if on {
				return netlink.SetPromiscOn(link)
			}
			return netlink.SetPromiscOff(link)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(n int, when string) {
		t.Helper()
		if got := lab.promiscuity(t); got != n {
			t.Errorf("promiscuous %d times %s, want %d", got, when, n)
		}
	}
	lab.xdplog(t).stop(t)
	want(0, "without the flag")
	capture := lab.xdplog(t, "--promiscuous", "--attach", "link")
	want(1, "with it")
	lab.udp(t, 0, false, 53, 1, 18)
	capture.want(t, udp4)
	capture.kill(t)
	want(0, "once it is killed")

	others(true)
	capture = lab.xdplog(t, "--promiscuous")
	want(2, "beside others")
	others(false)
	want(1, "once others have enough")
	capture.stop(t)
	want(0, "at the end")
	complain(t, lab.right, 1, []string{"make nosuch0 promiscuous: no interface nosuch0"}, "-i", "nosuch0", "--promiscuous")

	admit(t, nil)
	cmd := command("-i", right(0), "--promiscuous")
	cmd.SysProcAttr = nobody(granted...)
	launch(t, lab.right, cmd).read().complains(t, 1, "CAP_NET_RAW is missing", "cap_net_raw+ep")
	want(0, "where CAP_NET_RAW is missing")
	cmd = command("-i", right(0), "-o", "json", "--promiscuous")
	cmd.SysProcAttr = nobody(append([]uintptr{unix.CAP_NET_RAW}, granted...)...)
	capture = launch(t, lab.right, cmd).read().listens(t)
	want(1, "with four capabilities")
	capture.stop(t)
	want(0, "at the end")
}
