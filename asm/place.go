package asm

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/internal/match"
	"github.com/xdplog/xdplog/asm/wire"
)

// place is all in which places differ where a program can stand: how a packet's
// bytes are had, and its length, and what the program returns.
type place interface {
	match.Place

	// spec is the program without its instructions, maps and name.
	spec() *ebpf.ProgramSpec

	// context is the BTF of what the program is given a pointer to.
	context() *btf.Struct

	// maps are what the place's code refers to by name.
	maps() map[string]*ebpf.MapSpec

	// skip jumps where a packet is none of ours, which is then not seen.
	skip(b *builder, otherwise label)

	// begin leaves in header and end what of the packet can be read directly,
	// from the context, which is in ctx.
	begin(b *builder)

	// within jumps if a register points behind the packet's last byte. Else the
	// verifier accepts loads of what is before it. It takes r0.
	within(b *builder, reg bpf.Register, otherwise label)

	// settle makes the verifier forget by which of many ways header got where it
	// is, so that it looks at what follows once and not once a way. Header is
	// most bytes behind Start, at most. It takes r1.
	settle(b *builder, most int32)

	// iface leaves in a register the index of the interface that the packet
	// belongs to.
	iface(b *builder, dst bpf.Register)

	// time leaves in r0 when the packet was seen, in ns, by a clock.
	time(b *builder, clock Clock)

	// fate leaves in the record what the place knows of the packet beside its bytes.
	fate(b *builder)

	// ahead adds to a number of bytes in a register those before the packet with which
	// the helper begins that copies packet bytes. It takes r0.
	ahead(b *builder, size bpf.Register)

	// rxHash leaves in the record, which has none, the packet's hash, where it is known.
	rxHash(b *builder)

	// sampled changes the arguments of the helper that copies packet bytes, which it
	// returns: bpf_perf_event_output, as a rule. It takes r0.
	sampled(b *builder) bpf.BuiltinFunc

	// copyable reduces a number of bytes in a register to what can be copied of a packet.
	copyable(b *builder, size bpf.Register)

	// packet copies the packet's first bytes, as many as a register says, to where
	// another one points: 1 or more. It leaves 0 in r0, or else they are not there. The two
	// are such that calls leave alone.
	packet(b *builder, to, size bpf.Register)

	// queue leaves in a register the number of the receive queue that the packet came by,
	// from 1 on, or 0; or it does nothing, and returns false: that is not known.
	queue(b *builder, dst bpf.Register) (known bool)

	// pass is what the program returns: the packet goes on as if nobody had looked.
	pass() int32
}

// Place is where a program stands in the way of packets.
type Place uint8

const (
	XDP       Place = iota // the interface's XDP slot: what it receives, before the network stack
	TCIngress              // tc: what it receives, as the stack has it, merged perhaps
	TCEgress               // tc: what is sent, as the stack has it, not yet cut perhaps
	Beside                 // another XDP program's end (Linux 5.7): what that has seen, and decided

	nowhere // see [Config.Replay]

	Socket // a packet socket's filter: of [FilterProgram] alone
)

// places are all there are. Another one is its own file, and a line here.
var places = [...]struct {
	name string
	of   func(Config) place
}{
	XDP:       {"xdp", newXDPSlot},
	TCIngress: {"tc ingress", newTCIngress},
	TCEgress:  {"tc egress", newTCEgress},
	Beside:    {"beside", newBeside},
	nowhere:   {"nowhere", newRecorded},
	Socket:    {"socket", newSocketFilter},
}

// String is the place's name: xdp, tc ingress, tc egress, beside, socket.
func (p Place) String() string {
	if int(p) < len(places) {
		return places[p].name
	}
	return fmt.Sprintf("place %d", uint8(p))
}

// Programs is where each program of the collection stands, by number.
func (cfg Config) Programs() []Place {
	if len(cfg.Places) > 0 {
		return slices.Clone(cfg.Places)
	}
	return slices.Repeat([]Place{cfg.Place}, max(1, cfg.Interfaces))
}

// IsRawIP reports whether a program, by its number, is for packets that begin with their
// IP header.
func (cfg Config) IsRawIP(slot int) bool { return slot < len(cfg.RawIP) && cfg.RawIP[slot] }

// said is what records say of their direction: nothing where all packets go the
// same way.
func (cfg Config) said(way wire.Direction) wire.Direction {
	out := slices.Contains(cfg.Places, TCEgress)
	in := slices.ContainsFunc(cfg.Places, func(at Place) bool { return at != TCEgress })
	if in && out {
		return way
	}
	return wire.NoDirection
}

// checkPlaces returns what is wrong with where programs are to stand.
func (cfg Config) checkPlaces() error {
	switch {
	case cfg.Interfaces < 0 || cfg.Interfaces > MaxInterfaces:
		return fmt.Errorf("programs for %d interfaces: at most %d", cfg.Interfaces, MaxInterfaces)
	case len(cfg.Places) > MaxInterfaces:
		return fmt.Errorf("%d programs: at most %d", len(cfg.Places), MaxInterfaces)
	case len(cfg.Places) > 0 && (cfg.Place != XDP || cfg.Interfaces != 0 && cfg.Interfaces != len(cfg.Places)):
		return errors.New("where programs stand is said by Places: Place and Interfaces say it too")
	}
	for _, v := range cfg.Verdicts {
		if v < wire.Aborted || v > wire.Redirect {
			return fmt.Errorf("unknown verdict %d", v)
		}
	}
	if programs := len(cfg.Programs()); len(cfg.RawIP) > programs {
		return fmt.Errorf("RawIP speaks of %d programs, and there are %d", len(cfg.RawIP), programs)
	}
	if programs := len(cfg.Programs()); len(cfg.Metadata) > programs {
		return fmt.Errorf("Metadata speaks of %d programs, and there are %d", len(cfg.Metadata), programs)
	}
	for slot, at := range cfg.Programs() {
		switch {
		case slot < len(cfg.Metadata) && cfg.Metadata[slot] != Metadata{} && (at != XDP || cfg.Replay):
			return fmt.Errorf("no driver is asked for metadata at %v, but in the XDP slot", at)
		case slot < len(cfg.Metadata) && cfg.Metadata[slot] != Metadata{} && cfg.Metadata[slot].Index == 0:
			return errors.New("a driver is asked for metadata of a device: Metadata.Index")
		case cfg.IsRawIP(slot) && at != TCIngress && at != TCEgress:
			return fmt.Errorf("packets without an Ethernet header are not looked at in %v, but at tc", at)
		case at >= nowhere:
			return fmt.Errorf("unknown %v", at)
		case at == Beside && cfg.Kernel == (Kernel{}):
			return errors.New("a program beside another needs to know where the kernel has its fields: Kernel")
		case at != Beside && len(cfg.Verdicts) > 0:
			return fmt.Errorf("there are no verdicts at %v", at)
		case cfg.Replay && (at != XDP || len(cfg.Places) > 1):
			return fmt.Errorf("recorded packets pass no %v", at)
		}
	}
	return nil
}

// stands returns where each program of a config stands.
func (cfg Config) stands() (all []place) {
	for slot, at := range cfg.Programs() {
		if cfg.Replay {
			at = nowhere
		}
		stand := places[at].of(cfg)
		switch s := stand.(type) {
		case trafficControl:
			if cfg.IsRawIP(slot) {
				stand = headerless{s}
			}
		case xdpSlot:
			if slot < len(cfg.Metadata) {
				stand = s.asks(cfg.Metadata[slot])
			}
		}
		all = append(all, stand)
	}
	return all
}

// maxHeaders bounds what precedes the transport header: Ethernet, two tags, IPv6
// and eight extension headers of up to 2 KiB. All but Ethernet's 14 are multiples
// of 4.
const maxHeaders = layout.EtherLen + 2*layout.TagLen + layout.IPv6Len + 8*256*8

// maxBefore is the same of the IPv6 header.
const maxBefore = layout.EtherLen + 2*layout.TagLen

// aligned bounds header, an offset, by a mask. The verifier must not forget that
// words are aligned there: some machines load no others.
// Behind an Ethernet header in a tunnel they are not.
func (b *builder) aligned(mask int32) {
	if b.inside {
		b.Emit(bpf.And.Imm(header, mask|2))
		return
	}
	b.Emit(
		bpf.And.Imm(header, mask),
		bpf.Or.Imm(header, layout.EtherLen%4),
	)
}

// addFate leaves in r1 the record's tags, with some bits of wire.Record.TagsFate more.
func (b *builder) addFate(bits uint8) {
	layout.Rec.Tags.Load(b.Builder, bpf.R1)
	b.Emit(bpf.Or.Imm(bpf.R1, int32(bits)))
}

func (b *builder) settle(most int32) { b.place.settle(b, most) }

func (b *builder) within(reg bpf.Register, otherwise label) { b.place.within(b, reg, otherwise) }
