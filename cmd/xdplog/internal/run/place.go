package run

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/loader"
)

// A Place is where what is received is looked at.
type Place uint8

const (
	AnyPlace Place = iota // the XDP slot, else beside the program in it, else tc
	InXDP                 // the XDP slot
	Beside                // the XDP program that the interface has
	AtTC                  // tc ingress
)

func (p Place) String() string { return [...]string{"auto", "xdp", "beside", "tc"}[p] }

// A Direction is which packets of an interface are looked at.
type Direction uint8

const (
	In    Direction = iota // received
	Out                    // sent
	InOut                  // both
)

func (d Direction) String() string { return [...]string{"in", "out", "inout"}[d] }

// Places are where the programs of an interface are to stand, at best. What is sent
// is seen at tc alone.
func Places(p Place, d Direction) []asm.Place {
	in := map[Place]asm.Place{AnyPlace: asm.XDP, InXDP: asm.XDP, Beside: asm.Beside, AtTC: asm.TCIngress}[p]
	switch d {
	case Out:
		return []asm.Place{asm.TCEgress}
	case InOut:
		return []asm.Place{in, asm.TCEgress}
	}
	return []asm.Place{in}
}

// interfacePlaces are where programs are to stand, and why not elsewhere.
type interfacePlaces struct {
	name   string
	raw    bool // packets begin with their IP header
	places []asm.Place
	why    error // not where they would be better; nil: they are where they are best
	plain  bool  // the driver is asked for nothing, as that was refused
}

// placesOf are the first ones of an interface. Those of a tunnel, whose packets have no
// Ethernet header, are at tc.
func (o *Options) placesOf(name string) interfacePlaces {
	i := interfacePlaces{name: name, raw: loader.RawIP(name, o.Netns), places: Places(o.Place, o.Direction)}
	if i.raw && o.Place == AnyPlace && o.Mode == loader.Auto && i.places[0] == asm.XDP {
		i.places, i.why = Places(AtTC, o.Direction), errHeaderless
	}
	return i
}

var errHeaderless = errors.New("its packets have no Ethernet header")

// rawIP says it of each program.
func rawIP(interfaces []interfacePlaces) (all []bool) {
	for _, i := range interfaces {
		for _, at := range i.places {
			all = append(all, i.raw && (at == asm.TCIngress || at == asm.TCEgress)) // elsewhere they are refused
		}
	}
	if !slices.Contains(all, true) {
		return nil
	}
	return all[:min(len(all), asm.MaxInterfaces)]
}

// next has the programs of an interface stand at the next of the places where what is
// received may be looked at, because of what is wrong with the one before. It reports
// whether there is one.
func (i *interfacePlaces) next(d Direction, err error) bool {
	var to Place
	var upper *loader.UpperError
	var returns *loader.ReturnsError
	switch at := i.places[0]; {
	case at == asm.XDP && taken(err):
		to = Beside
	case at == asm.XDP && errors.As(err, &upper):
		to, err = AtTC, upper
	case at == asm.XDP && errors.As(err, &returns):
		to, err = AtTC, returns
	case at == asm.XDP && errors.As(err, new(*loader.RefusedError)),
		at == asm.Beside && aloof(err):
		to = AtTC
	default:
		return false
	}
	i.places, i.why = Places(to, d), OneOf(i.why, err)
	return true
}

// taken says whether an error is that of an XDP slot that another has: an xdplog, too.
func taken(err error) bool {
	return errors.As(err, new(*loader.OccupiedError)) || errors.As(err, new(*loader.WatchedError))
}

// aloof says whether an error is that of a program beside which none of ours can stand,
// or that of a kernel where none can.
func aloof(err error) bool {
	return errors.Is(err, loader.ErrNoTracing) || errors.Is(err, loader.ErrNoBTF) || errors.Is(err, loader.ErrNoProgram)
}

// programs are the places of all interfaces' programs, by number. Of too many, those
// beyond share the last one's program and counters.
func programs(interfaces []interfacePlaces) ([]asm.Place, error) {
	var all []asm.Place
	for _, i := range interfaces {
		all = append(all, i.places...)
	}
	if len(all) > asm.MaxInterfaces {
		if len(interfaces[0].places) > 1 {
			return nil, fmt.Errorf("%d interfaces in both directions: at most %d", len(interfaces), asm.MaxInterfaces/2)
		}
		all = all[:asm.MaxInterfaces]
	}
	return all, nil
}

// A standing attachment knows why it is not at a better place.
type standing struct {
	*loader.Attachment
	why error
}

func (s standing) Fallback() error {
	if s.why != nil && s.Place() != asm.TCEgress {
		return s.why
	}
	return s.Attachment.Fallback()
}

// attach puts the programs on all interfaces, or on none, those beneath others first. Where what
// one receives can't be looked at there, it returns the number of the interface, and else one below 0.
func (o *Options) attach(collection *ebpf.Collection, interfaces []interfacePlaces, said chan<- string) (all []standing, failed int, err error) {
	list := make([]string, len(interfaces))
	for i, at := range interfaces {
		list[i] = at.name
	}
	byNumber := map[int]standing{}
	for _, i := range loader.LowerFirst(list, o.Netns) {
		at := interfaces[i]
		for j, place := range at.places {
			number := i*len(at.places) + j // there are as many of each
			a, err := loader.Attach(collection, loader.Options{
				Interface: at.name, Namespace: o.Netns, Mode: o.Mode, Method: o.Attach, Place: place, Slot: uint8(min(number, asm.MaxInterfaces-1)),
				Config: o.Program, Followed: func(p *loader.Program) { follow(said, at.name, p) },
			})
			if err != nil {
				loader.CloseAll(all)
				if place == asm.TCEgress {
					i = -1
				}
				return nil, i, err
			}
			byNumber[number] = standing{a, at.why}
			all = append(all, byNumber[number])
		}
	}
	for number := range all {
		all[number] = byNumber[number]
	}
	return all, -1, nil
}

// metadata is what each of the programs asks drivers. Those that interfaces beyond the
// number of programs share ask nothing.
func (o *Options) metadata(interfaces []interfacePlaces) []asm.Metadata {
	var all []loader.Options
	for _, at := range interfaces {
		for _, place := range at.places {
			to := loader.Options{Interface: at.name, Namespace: o.Netns, Mode: o.Mode, Method: o.Attach, Place: place, Config: o.Program}
			if at.plain {
				to.Mode = loader.Generic // of which nobody can ask
			}
			all = append(all, to)
		}
	}
	if len(all) > asm.MaxInterfaces {
		all = all[:asm.MaxInterfaces-1]
	}
	return loader.Metadata(all)
}

// plainly has interfaces do without what drivers may be asked, because of an error: the one
// of a number, or all. It reports whether there is one that did not.
func plainly(interfaces []interfacePlaces, asked []asm.Metadata, failed int, err error) (changed bool) {
	if failed != ofAll && !errors.As(err, new(*loader.RefusedError)) {
		return false
	}
	if !slices.ContainsFunc(asked, func(m asm.Metadata) bool { return m != asm.Metadata{} }) {
		return false
	}
	for i := range interfaces {
		if at := &interfaces[i]; (i == failed || failed == ofAll) && !at.plain {
			at.plain, changed = true, true
		}
	}
	return changed
}

// follow says beside what we stand now.
func follow(said chan<- string, on string, p *loader.Program) {
	line := fmt.Sprintf("%s has no XDP program any more: what it receives is seen again when it has one", names.OneWord(on))
	if p != nil {
		line = fmt.Sprintf("%s has another XDP program, beside which xdplog goes on: %s", names.OneWord(on), p)
	}
	sayTo(said)(line)
}
