package loader

import (
	"slices"

	"github.com/xdplog/xdplog/asm"
)

// Metadata is what programs may ask drivers of each packet beside its bytes: for each
// attachment what the driver of its interface says that it tells, and nothing where that
// is nothing, or [Attach] would put no program into the XDP slot natively. It is for
// [asm.Config.Metadata] of a program for each of them; nil is of none. Of their Config
// Clock and Hash count: none but [asm.HardwareClock] takes times.
//
// Such a program is loaded on a thread that is in the interface's namespace, as [Within]
// has it, and Attach puts it there natively or not at all. Where either is
// refused, a program without Metadata is the way to go.
func Metadata(attachments []Options) []asm.Metadata {
	all := make([]asm.Metadata, len(attachments))
	told := make([]uint64, len(attachments))
	for i, at := range attachments {
		all[i].Index, told[i] = tells(at)
	}
	if !slices.ContainsFunc(told, func(what uint64) bool { return what != 0 }) {
		return nil
	}
	functions := metadataFunctions()
	for i := range all {
		if told[i]&tellsTag != 0 {
			all[i].VLANTag = functions.VLANTag
		}
		if told[i]&tellsTime != 0 {
			all[i].Timestamp = functions.Timestamp
		}
		if told[i]&tellsHash != 0 {
			all[i].Hash = functions.Hash
		}
		if all[i] == (asm.Metadata{Index: all[i].Index}) {
			all[i].Index = 0
		}
	}
	return all
}

// tells is what a driver tells of packets to a native program, and of which interface.
func tells(at Options) (index uint32, what uint64) {
	if at.Place != asm.XDP || at.Mode != Auto && at.Mode != Native {
		return 0, 0
	}
	s, err := approach(at.Interface, at.Namespace)
	if err != nil {
		return 0, 0
	}
	defer s.release()
	if at.Mode == Auto && s.harm() != nil || at.Method == ByLink && s.harmOfLink() != nil {
		return 0, 0
	}
	var features Features
	err = s.ns.do(func() (err error) {
		features, err = DeviceFeatures(s.link.index)
		return err
	})
	if err != nil {
		return 0, 0
	}
	if at.Config.Clock != asm.HardwareClock {
		features.Metadata &^= tellsTime
	}
	if !at.Config.Hash {
		features.Metadata &^= tellsHash
	}
	return uint32(s.link.index), features.Metadata
}

// metadataFunctions are the kernel's; where it has none, or can't be asked, they are 0.
func metadataFunctions() asm.Metadata {
	ids := kernelFunctions("bpf_xdp_metadata_rx_vlan_tag", "bpf_xdp_metadata_rx_timestamp", "bpf_xdp_metadata_rx_hash")
	return asm.Metadata{VLANTag: ids[0], Timestamp: ids[1], Hash: ids[2]}
}

// asksFor is what the program of an attachment asks the driver.
func (o Options) asksFor() (m asm.Metadata) {
	if int(o.Slot) < len(o.Config.Metadata) {
		m = o.Config.Metadata[o.Slot]
	}
	if o.Config.NoFrags || o.Config.FirstBuffer { // which it does not ask, then
		m.VLANTag = 0
	}
	if o.Config.Clock != asm.HardwareClock {
		m.Timestamp = 0
	}
	if !o.Config.Hash {
		m.Hash = 0
	}
	return m
}

// HidesTags reports whether the interface keeps VLAN tags, the outermost of each packet,
// where the program does not see them: packets are then taken for untagged, or for such
// with one tag less.
func (a *Attachment) HidesTags() bool {
	return a.site != nil && (a.place == asm.XDP && a.asks.VLANTag == 0 || a.place == asm.Beside) && a.site.keepsTags(a.mode != Native)
}

// TellsHash reports whether the program is told packets' hashes, of a program that is to
// have them ([asm.Config.Hash]): at tc of those packets that have one by then.
func (a *Attachment) TellsHash() bool {
	return a.asks.Hash != 0 || a.place == asm.TCIngress || a.place == asm.TCEgress
}

// KeepsTags reports whether an interface, in a namespace as in [Options], keeps VLAN tags
// beside packets, the outermost of each: a program in the XDP slot sees them if the driver tells it
// (see [Metadata]), and at tc any.
func KeepsTags(iface, namespace string) (keeps bool, err error) {
	s, err := approach(iface, namespace)
	if err != nil {
		return false, err
	}
	defer s.release()
	return s.keepsTags(true), nil
}

// keepsTags is KeepsTags for the two ways of XDP: what interfaces without an own queue are
// handed by another one, from which the kernel has taken the tag, is for generic.
func (s *site) keepsTags(generic bool) bool {
	if s.link.loopback() {
		return false
	}
	switch s.link.made {
	case "bridge", "bond", "team", "macvlan", "macvtap", "ipvlan", "ipvtap", "hsr":
		if generic {
			return true
		}
	}
	strips := false
	s.ns.do(func() (err error) {
		strips, err = stripsTags(s.link.name)
		return err
	})
	return strips
}
