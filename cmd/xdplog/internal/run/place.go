package run

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/loader"
)

// A Place is where what is received is looked at.
type Place uint8

const (
	AnyPlace Place = iota // the XDP slot, and tc where that can't be had
	InXDP                 // the XDP slot
	AtTC                  // tc ingress
)

func (p Place) String() string { return [...]string{"auto", "xdp", "tc"}[p] }

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
	in := asm.XDP
	if p == AtTC {
		in = asm.TCIngress
	}
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
	places []asm.Place
	why    error // not in the XDP slot; nil: they are where they are best
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

// A standing attachment knows why it is not in the XDP slot.
type standing struct {
	*loader.Attachment
	why error
}

func (s standing) Fallback() error {
	if s.why != nil && s.Place() == asm.TCIngress {
		return s.why
	}
	return s.Attachment.Fallback()
}

// attach puts the programs on all interfaces, or on none, those beneath others first. Where an XDP slot can't be
// had it returns the number of its interface, and else one below 0.
func (o *Options) attach(collection *ebpf.Collection, interfaces []interfacePlaces) (all []standing, failed int, err error) {
	names := make([]string, len(interfaces))
	for i, at := range interfaces {
		names[i] = at.name
	}
	byNumber := map[int]standing{}
	for _, i := range loader.LowerFirst(names, o.Netns) {
		at := interfaces[i]
		for j, place := range at.places {
			number := i*len(at.places) + j // there are as many of each
			a, err := loader.Attach(collection, loader.Options{
				Interface: at.name, Namespace: o.Netns, Mode: o.Mode, Method: o.Attach, Place: place, Slot: uint8(min(number, asm.MaxInterfaces-1)), Config: o.Program,
			})
			if err != nil {
				loader.CloseAll(all)
				if place != asm.XDP || !unavailable(err) {
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

// unavailable says whether an error is that of an XDP slot that others have, that
// the driver does not have, or that is beneath another's. One that a living xdplog has is not tried elsewhere.
func unavailable(err error) bool {
	return errors.As(err, new(*loader.OccupiedError)) || errors.As(err, new(*loader.RefusedError)) ||
		errors.As(err, new(*loader.UpperError))
}
