package loader

import (
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ethtoolStrings is struct ethtool_gstrings (linux/ethtool.h), for a set that is no
// larger than that.
type ethtoolStrings struct {
	command, set, count uint32
	texts               [featureWords * 32][32]byte // ETH_GSTRING_LEN
}

const (
	ethtoolGetStrings = 0x1b // ETHTOOL_GSTRINGS
	stringsOfFeatures = 4    // ETH_SS_FEATURES
)

// featureNames are those of the bits of a featureSet, as ethtool -K takes them.
func (s *site) featureNames() (names []string) {
	answer := &ethtoolStrings{command: ethtoolGetStrings, set: stringsOfFeatures}
	if s.ns.do(func() error { return ethtool(s.link.name, unsafe.Pointer(answer)) }) != nil {
		return nil
	}
	for _, text := range answer.texts[:min(int(answer.count), len(answer.texts))] {
		names = append(names, unix.ByteSliceToString(text[:]))
	}
	return names
}

// named are the names of those bits that are set.
func (s *site) named(bits [featureWords]uint32) (named []string) {
	for i, name := range s.featureNames() {
		if bits[i/32]&(1<<(i%32)) != 0 {
			named = append(named, name)
		}
	}
	return named
}

// merging are the offloads by which a card makes one of several packets. The kernel
// switches them off for a generic program (generic_xdp_install, net/core/dev.c), and some drivers do for a native one.
var merging = []string{"rx-lro", "rx-gro-hw"}

// MergesInCard returns the offloads by which an interface's card merges packets, by the names
// that ethtool -K takes: those that are on, and that the kernel switches off for a program
// in the mode that Auto takes. The namespace is as in [Options].
func MergesInCard(iface, namespace string) ([]string, error) {
	s, err := approach(iface, namespace)
	if err != nil {
		return nil, err
	}
	defer s.release()
	if s.takesNative() {
		return nil, nil // drivers that switch them off then do more harm
	}
	now, err := s.features()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(s.named(now.active), func(name string) bool { return !slices.Contains(merging, name) }), nil
}

// SwitchedOff returns the names of the interface's offloads that the kernel switched off
// for the program. Close puts them back.
func (a *Attachment) SwitchedOff() []string {
	if a.site == nil || a.offloads.none() {
		return nil
	}
	return a.site.named(a.offloads.off)
}
