package loader

import (
	"errors"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// TestBlind: where XDP sees nothing of what an interface receives, that is said.
func TestBlind(t *testing.T) {
	attrs := func(l *lab) netlink.LinkAttrs {
		a := netlink.NewLinkAttrs()
		a.Name, a.ParentIndex = "w0", l.link(t, "v0").Attrs().Index
		return a
	}
	for name, test := range map[string]struct {
		make func(*lab) netlink.Link
		says string
	}{
		"ifb": {func(*lab) netlink.Link {
			a := netlink.NewLinkAttrs()
			a.Name = "w0"
			return &netlink.Ifb{LinkAttrs: a}
		}, "is seen at tc egress"},
		"vrf": {func(*lab) netlink.Link {
			a := netlink.NewLinkAttrs()
			a.Name = "w0"
			return &netlink.Vrf{LinkAttrs: a, Table: 10}
		}, "received by its ports"},
		"dummy": {func(*lab) netlink.Link {
			a := netlink.NewLinkAttrs()
			a.Name = "w0"
			return &netlink.Dummy{LinkAttrs: a}
		}, "seen at tc egress"},
		"ipvlan l3s": {func(l *lab) netlink.Link {
			return &netlink.IPVlan{LinkAttrs: attrs(l), Mode: netlink.IPVLAN_MODE_L3S}
		}, "mode l3s"},
		"ipvlan l3": {func(l *lab) netlink.Link {
			return &netlink.IPVlan{LinkAttrs: attrs(l), Mode: netlink.IPVLAN_MODE_L3}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			lab := newLab(t)
			err := lab.handle.LinkAdd(test.make(lab))
			if errors.Is(err, unix.EOPNOTSUPP) {
				t.Skipf("this kernel lacks such devices: %v", err)
			}
			must(t, err)
			a, err := Attach(load(t, asm.Config{}), Options{Interface: "w0", Namespace: lab.name})
			must(t, err)
			defer func() { must(t, a.Close()) }()
			if blind := a.Blind(); test.says == "" && blind != "" {
				t.Errorf("it says %q", blind)
			} else {
				saysText(t, blind, test.says)
			}
		})
	}
}
