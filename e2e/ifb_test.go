package e2e

import (
	"errors"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// shape has everything that right0 receives go through an ifb, as is done to shape it.
func (l *lab) shape(t *testing.T) {
	t.Helper()
	const name = "ifb0"
	err := l.right.do(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = name
		if err := netlink.LinkAdd(&netlink.Ifb{LinkAttrs: attrs}); err != nil {
			return err
		}
		ifb, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(ifb); err != nil {
			return err
		}
		from, err := netlink.LinkByName(right(0))
		if err != nil {
			return err
		}
		ingress := netlink.QdiscAttrs{LinkIndex: from.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_INGRESS}
		if err := netlink.QdiscAdd(&netlink.Ingress{QdiscAttrs: ingress}); err != nil {
			return err
		}
		return netlink.FilterAdd(&netlink.U32{
			FilterAttrs: netlink.FilterAttrs{LinkIndex: from.Attrs().Index, Parent: ingress.Handle, Priority: 10, Protocol: unix.ETH_P_ALL},
			RedirIndex:  ifb.Attrs().Index,
			ClassId:     netlink.MakeHandle(1, 1),
		})
	})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) {
		t.Skipf("this kernel lacks ifb devices, u32 filters or redirection: %v", err)
	}
	if err != nil {
		t.Fatalf("redirect what %s receives to %s: %v", right(0), name, err)
	}
	t.Cleanup(func() { l.right.change(t, name, netlink.LinkDel) })
}

// TestSeenOnce: packets that tc redirects to an ifb come back, and are run through
// generic XDP again. Each is reported once, as it was on the wire, or it is said.
func TestSeenOnce(t *testing.T) {
	tagged := frame(ethernet(dot1q), vlan(10, eth4), ipv4(protoUDP), udp(1234, 53))
	for _, c := range []struct {
		args []string
		says string
		more int // events than packets
	}{
		{[]string{"--mode", "native"}, "(native XDP)", 0},
		{[]string{"--attach", "link"}, "(tc ingress; tc redirects what right0 receives to ifb0, from where it comes back", 0}, // which wants generic mode on a veth
		{[]string{"--place", "tc"}, "(tc ingress)", 0},
		{[]string{"--mode", "generic"}, "(generic XDP; tc redirects what right0 receives to ifb0, from where it comes back", 2},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			lab := newLab(t)
			lab.shape(t)
			capture := lab.xdplog(t, append(c.args, "--all")...)
			if said := capture.stderr.String(); !strings.Contains(said, c.says) {
				t.Errorf("it says %q, want %q", said, c.says)
			}
			lab.send(t, tagged, frame(ethernet(eth4), ipv4(protoUDP), udp(1234, 53)), marker())
			if events := capture.untilMarker(t); len(events) != 2+c.more {
				t.Errorf("events are %v, want %d", events, 2+c.more)
			}
			capture.stop(t)
			lab.wantNoProgram(t)
		})
	}
	lab := newLab(t)
	lab.shape(t)
	complain(t, lab.right, 1, []string{"from where it comes back: generic XDP sees it twice", "--place tc"}, "-i", right(0), "--place", "xdp", "--attach", "link")
}
