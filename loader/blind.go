package loader

import (
	"encoding/binary"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

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
	case l.l3s:
		return "ipvlan in mode l3s gets packets behind all programs: watch the interface that it is made on"
	}
	return ""
}

// VirtualFunctions is how many the card has, as it is shared out (SR-IOV). What they receive and
// send passes its own interface by.
func (a *Attachment) VirtualFunctions() int {
	if a.site == nil {
		return 0
	}
	return a.site.virtualFunctions()
}

// VirtualFunctions is [Attachment.VirtualFunctions] of an interface in a namespace as in [Options].
// Of one that can't be asked it is 0.
func VirtualFunctions(iface, namespace string) int {
	s, err := approach(iface, namespace)
	if err != nil {
		return 0
	}
	defer s.release()
	return s.virtualFunctions()
}

func (s *site) virtualFunctions() (n int) {
	const withoutStatistics = 1 << 3 // RTEXT_FILTER_SKIP_STATS
	if s.link.made != "" {
		return 0
	}
	// Asked for by itself: of very many the kernel's answer is too long, and an error.
	request := s.conn.request(unix.RTM_GETLINK, 0, s.link.index)
	request.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(nl.RTEXT_FILTER_VF|withoutStatistics)))
	answer, err := request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil || len(answer) != 1 || len(answer[0]) < unix.SizeofIfInfomsg {
		return 0
	}
	_ = attributes(answer[0][unix.SizeofIfInfomsg:], func(attribute uint16, value []byte) error {
		if attribute == unix.IFLA_NUM_VF && len(value) >= 4 {
			n = int(binary.NativeEndian.Uint32(value))
		}
		return nil
	})
	return n
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
