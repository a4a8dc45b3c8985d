package loader

import "slices"

// Meanwhile says what is different for others on an interface while a program of ours is in its
// XDP slot, in the mode that Auto takes as far as that can be known before; of its offloads
// [MergesInCard] says it. The namespace is as in [Options]. It changes nothing, and needs no
// capability for the caller's own namespace. At other places than the XDP slot nothing is different.
func Meanwhile(iface, namespace string) (mode Mode, different []string, err error) {
	s, err := approach(iface, namespace)
	if err != nil {
		return Auto, nil, err
	}
	defer s.release()
	if s.takesNative() {
		return Native, natively[s.driver(s.link.name)], nil
	}
	// What a card receives is merged by what hands it to the stack, but where a generic
	// program runs (netif_elide_gro, include/linux/netdevice.h).
	now, err := s.features()
	if err == nil && s.link.made == "" && !s.link.loopback() && slices.Contains(s.named(now.active), "rx-gro") {
		different = append(different, "the kernel merges no segments (GRO) there")
	}
	return Generic, different, nil
}

// takesNative is whether Auto asks for a native program, and gets it.
func (s *site) takesNative() bool {
	return s.harm() == nil && drivers[s.driver(s.link.name)].manner != none && !s.link.loopback()
}

// natively is what is different while a native program is there, by driver, of those of
// which Auto asks for one.
var natively = map[string][]string{
	"veth":       {"the other end cuts what it sends into segments of its MTU (its TSO is off)"},
	"virtio_net": {"the number of its queues (ethtool -L) is limited"},
	"bonding":    {"no interface can be added to it that takes no native program"},
}
