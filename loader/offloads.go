package loader

import (
	"unsafe"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm/wire"
)

// featureSet is an interface's offloads, a bit each in words of 32, as ethtool(8)
// lists them.
type featureSet struct {
	words     int
	requested [featureWords]uint32 // wanted by whoever set them
	active    [featureWords]uint32 // on
}

// featureWords is more than any kernel has.
const featureWords = 4

// ethtoolFeatures is struct ethtool_gfeatures (linux/ethtool.h).
type ethtoolFeatures struct {
	command, size uint32
	blocks        [featureWords]struct{ available, requested, active, never uint32 }
}

// ethtoolSetFeatures is struct ethtool_sfeatures.
type ethtoolSetFeatures struct {
	command, size uint32
	blocks        [featureWords]struct{ valid, requested uint32 }
}

const (
	ethtoolGetFeatures   = 0x3a // ETHTOOL_GFEATURES
	ethtoolSetFeaturesTo = 0x3b // ETHTOOL_SFEATURES
)

// features asks for the interface's.
func (s *site) features() (f featureSet, err error) {
	err = s.ns.do(func() error {
		answer := &ethtoolFeatures{command: ethtoolGetFeatures, size: featureWords}
		if err := ethtool(s.link.name, unsafe.Pointer(answer)); err != nil {
			return err
		}
		f.words = int(min(answer.size, featureWords))
		for i, b := range answer.blocks[:f.words] {
			f.requested[i], f.active[i] = b.requested, b.active
		}
		return nil
	})
	return f, err
}

// offloads are those that the kernel switched off when the program came: some
// drivers can't have both (LRO, GRO in hardware), and nobody switches them on again.
type offloads struct {
	off       [featureWords]uint32
	requested [featureWords]uint32 // what was wanted of them since
}

// switchedOff is what is off now, and was on before.
func switchedOff(before, now featureSet) (o offloads) {
	for i := range o.off {
		o.off[i] = before.active[i] &^ now.active[i]
	}
	o.requested = now.requested
	return o
}

func (o *offloads) none() bool { return o.off == [featureWords]uint32{} }

// bits are the first 64 of those that are off.
func (o *offloads) bits() uint64 { return uint64(o.off[1])<<32 | uint64(o.off[0]) }

// putBack switches on again what was switched off for a program that is off now,
// and which nobody has set since.
func (s *site) putBack(o offloads) {
	if o.none() {
		return
	}
	now, err := s.features()
	if err != nil {
		return
	}
	request := &ethtoolSetFeatures{command: ethtoolSetFeaturesTo, size: uint32(now.words)}
	any := false
	for i := range now.words {
		ours := o.off[i] &^ now.active[i] &^ (now.requested[i] ^ o.requested[i])
		request.blocks[i].valid, request.blocks[i].requested = ours, ours
		any = any || ours != 0
	}
	if any {
		s.ns.do(func() error { return ethtool(s.link.name, unsafe.Pointer(request)) })
	}
}

// offloadsKey is that of wire.ReaderMap under which stands what was switched off on
// an interface, for who comes after us when we are killed.
func (s *site) offloadsKey() uint32 { return wire.ReaderOffloads | uint32(s.link.index) }

// remember leaves a note of what was switched off in a map that lives as long as the
// program (BPF_PROG_BIND_MAP, Linux 5.10). Where it can't, only a kill leaves it off.
func (s *site) remember(program *ebpf.Program, words *ebpf.Map, o offloads) {
	if words == nil || o.none() || words.Put(s.offloadsKey(), o.bits()) != nil {
		return
	}
	program.BindMap(words)
}

// inherit is what a killed xdplog's program says that was switched off for it. It
// takes CAP_SYS_ADMIN, as everything about programs of others.
func (s *site) inherit(there *attached) (o offloads) {
	if there.prog == nil {
		return o
	}
	now, err := s.features()
	if err != nil {
		return o
	}
	info, err := there.prog.Info()
	if err != nil {
		return o
	}
	ids, _ := info.MapIDs()
	for _, id := range ids {
		words, err := ebpf.NewMapFromID(id)
		if err != nil {
			continue
		}
		defer words.Close()
		if about, err := words.Info(); err != nil || about.Name != wire.ReaderMap {
			continue
		}
		var bits uint64
		if err := words.Lookup(s.offloadsKey(), &bits); err != nil {
			return o
		}
		o.off[0], o.off[1] = uint32(bits), uint32(bits>>32)
		o.requested = now.requested
	}
	return o
}

// and is both.
func (o offloads) and(other offloads) offloads {
	for i := range o.off {
		o.off[i] |= other.off[i]
	}
	return o
}
