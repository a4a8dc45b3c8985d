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
	l.redirect(t, "ifb0", func(a netlink.LinkAttrs) netlink.Link { return &netlink.Ifb{LinkAttrs: a} })
}

// redirect makes an interface, and has tc redirect to it all that right0 receives.
func (l *lab) redirect(t *testing.T, name string, link func(netlink.LinkAttrs) netlink.Link) {
	t.Helper()
	err := l.right.do(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = name
		if err := netlink.LinkAdd(link(attrs)); err != nil {
			return err
		}
		to, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(to); err != nil {
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
			RedirIndex:  to.Attrs().Index,
			ClassId:     netlink.MakeHandle(1, 1),
		})
	})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) {
		t.Skipf("this kernel lacks %s, u32 filters or redirection: %v", name, err)
	}
	if err != nil {
		t.Fatalf("redirect what %s receives to %s: %v", right(0), name, err)
	}
	t.Cleanup(func() { l.right.change(t, name, netlink.LinkDel) })
}

// shapeByRule has nftables do what shape has tc do.
func (l *lab) shapeByRule(t *testing.T) {
	l.alone(t, "ifb0", func(a netlink.LinkAttrs) netlink.Link { return &netlink.Ifb{LinkAttrs: a} })
	l.forwardTo(t, "ifb0")
}

// TestSeenOnce: packets that are redirected to an ifb come back, and are run through
// generic XDP again. Each is reported once, as it was on the wire, or it is said.
func TestSeenOnce(t *testing.T) {
	tagged := frame(ethernet(dot1q), vlan(10, eth4), ipv4(protoUDP), udp(1234, 53))
	for by, shape := range map[string]func(*lab, *testing.T){"tc": (*lab).shape, "nftables": (*lab).shapeByRule} {
		comesBack := by + " redirects what right0 receives to ifb0, from where it comes back"
		for _, c := range []struct {
			args []string
			says string
			more int // events than packets
		}{
			{[]string{"--mode", "native"}, "(native XDP", 0},
			{[]string{"--attach", "link"}, "(tc ingress; " + comesBack, 0}, // which wants generic mode on a veth
			{[]string{"--place", "tc"}, "(tc ingress)", 0},
			{[]string{"--mode", "generic"}, "(generic XDP; " + comesBack, 2},
		} {
			t.Run(by+" "+strings.Join(c.args, " "), func(t *testing.T) {
				lab := newLab(t)
				shape(lab, t)
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
	}
	lab := newLab(t)
	lab.shape(t)
	complain(t, lab.right, 1, []string{"from where it comes back: generic XDP sees it twice", "--place tc"}, "-i", right(0), "--place", "xdp", "--attach", "link")
}
