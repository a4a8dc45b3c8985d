package loader

import (
	"encoding/binary"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"

	"github.com/xdplog/xdplog/asm"
)

// Blind is why the program sees nothing of what the interface receives, in a few words,
// and what does; "" where it sees that.
func (a *Attachment) Blind() string {
	if a.place == asm.TCEgress {
		return ""
	}
	l := a.at()
	return l.blind()
}

// Blind is [Attachment.Blind] of programs for what an interface receives, in a namespace
// as in [Options]. Of one that can't be asked it is "".
func Blind(iface, namespace string) string {
	s, err := approach(iface, namespace)
	if err != nil {
		return ""
	}
	defer s.release()
	return s.link.blind()
}

func (l *link) blind() string {
	switch {
	case l.made == "vrf":
		return "what a VRF gets from outside is received by its ports: watch them"
	case l.made == "ifb":
		return "what tc redirects to an ifb counts as sent by it, and is seen at tc egress"
	case l.made == "dummy":
		return "a dummy receives nothing: what is sent to it is seen at tc egress"
	case l.made == "xfrm": // it has the lower interface's Ethernet header there, by its source; run on 6.12 and 7.3
		return "what an xfrm interface receives is not recognized: look at it with tcpdump"
	case l.l3s:
		return "ipvlan in mode l3s gets packets behind all programs: watch the interface that it is made on"
	}
	return ""
}

// parseMade finds what kind of virtual interface it is, of IFLA_LINKINFO. What can't be
// parsed is none.
func (l *link) parseMade(info []byte) {
	_ = attributes(info, func(attribute uint16, value []byte) error {
		switch attribute {
		case nl.IFLA_INFO_KIND:
			l.made = nl.BytesToString(value)
		case nl.IFLA_INFO_DATA:
			if l.made != "ipvlan" && l.made != "ipvtap" {
				return nil
			}
			return attributes(value, func(attribute uint16, value []byte) error {
				if attribute == nl.IFLA_IPVLAN_MODE && len(value) >= 2 {
					l.l3s = netlink.IPVlanMode(binary.NativeEndian.Uint16(value)) == netlink.IPVLAN_MODE_L3S
				}
				return nil
			})
		}
		return nil
	})
}
