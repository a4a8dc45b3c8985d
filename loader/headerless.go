package loader

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// rawLinks are the link types (ARPHRD_) whose packets begin with their IP header, and
// what such an interface is called.
var rawLinks = map[uint16]string{
	unix.ARPHRD_NONE:    "a tunnel", // tun, WireGuard, xfrm, vxlan with GPE and others
	unix.ARPHRD_RAWIP:   "a raw IP link",
	unix.ARPHRD_PPP:     "a PPP link",
	unix.ARPHRD_SLIP:    "a SLIP link",
	unix.ARPHRD_TUNNEL:  "an IPIP tunnel",
	unix.ARPHRD_TUNNEL6: "an IPv6 tunnel",
	unix.ARPHRD_SIT:     "a SIT tunnel",
	unix.ARPHRD_IPGRE:   "a GRE tunnel",
	unix.ARPHRD_IP6GRE:  "a GRE tunnel over IPv6",
}

// otherLinks are what people have whose packets are neither that nor Ethernet frames.
var otherLinks = map[uint16]string{
	unix.ARPHRD_INFINIBAND:         "an InfiniBand link",
	unix.ARPHRD_CAN:                "a CAN bus",
	unix.ARPHRD_IEEE80211:          "a Wi-Fi interface in monitor mode",
	unix.ARPHRD_IEEE80211_PRISM:    "a Wi-Fi interface in monitor mode",
	unix.ARPHRD_IEEE80211_RADIOTAP: "a Wi-Fi interface in monitor mode",
	unix.ARPHRD_IEEE802154:         "an IEEE 802.15.4 link",
	unix.ARPHRD_6LOWPAN:            "a 6LoWPAN link",
	unix.ARPHRD_NETLINK:            "a monitor of netlink",
	unix.ARPHRD_VSOCKMON:           "a monitor of vsock",
}

// RawIP reports whether the packets of an interface, in a namespace as in [Options],
// begin with their IP header, as tunnels' do. They are seen at tc, by programs that are
// made for them: see [asm.Config.RawIP]. Of an interface that can't be asked it is false.
func RawIP(iface, namespace string) bool {
	s, err := approach(iface, namespace)
	if err != nil {
		return false
	}
	defer s.release()
	return s.link.rawIP()
}

func (l *link) rawIP() bool { return rawLinks[l.kind] != "" }

// what is an interface without Ethernet frames in some words.
func (l *link) what() string {
	name := rawLinks[l.kind]
	if name == "" {
		name = otherLinks[l.kind]
	}
	switch {
	case name == "":
		return fmt.Sprintf("an interface of link type %d", l.kind)
	case l.kind == unix.ARPHRD_NONE && l.made != "":
		return fmt.Sprintf("%s (%s)", name, l.made)
	}
	return name
}

// needLink returns an error where packets are not what the program is made for.
func (s *site) needLink(opts Options) error {
	raw, atTC := opts.Config.IsRawIP(int(opts.Slot)), opts.Place == asm.TCIngress || opts.Place == asm.TCEgress
	l := &s.link
	switch {
	case l.ethernet() && raw:
		return fmt.Errorf("attach to %s: its packets have an Ethernet header, and the program is made for others (Config.RawIP)", l.name)
	case l.ethernet():
		return nil
	case l.rawIP() && raw && atTC:
		return nil
	case l.rawIP():
		return fmt.Errorf("attach to %s, %s: %w but begin with their IP header, and are seen at tc alone", l.name, l.what(), ErrNotEthernet)
	}
	return fmt.Errorf("attach to %s, %s: %w, nor IP packets", l.name, l.what(), ErrNotEthernet)
}
