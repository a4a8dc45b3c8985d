package run

import (
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/loader"
	"github.com/xdplog/xdplog/reader"
)

// stand has the programs in the kernel, and on all interfaces. Where one of them can't
// be at a place, and it may be any, it takes the next one there.
func (o *Options) stand(env Environment, said chan<- string) (*ebpf.Collection, *reader.Reader, []standing, error) {
	interfaces := make([]interfacePlaces, len(o.Interfaces))
	for i, name := range o.Interfaces {
		interfaces[i] = o.placesOf(name)
	}
	for {
		collection, events, attached, failed, err := o.standAt(interfaces, env, said)
		if err == nil {
			return collection, events, attached, nil
		}
		if plainly(interfaces, o.Program.Metadata, failed, err) {
			continue
		}
		if o.Place != AnyPlace || o.Mode != loader.Auto {
			return nil, nil, nil, err
		}
		moved := false
		for i := range interfaces {
			if i == failed || failed == ofAll {
				moved = interfaces[i].next(o.Direction, err) || moved
			}
		}
		if !moved {
			return nil, nil, nil, err
		}
	}
}

// ofAll stands for the number of an interface.
const ofAll = -2

// standAt is stand at those places alone. failed is the number of the interface whose
// place can't be had, or ofAll.
func (o *Options) standAt(interfaces []interfacePlaces, env Environment, said chan<- string) (_ *ebpf.Collection, _ *reader.Reader, _ []standing, failed int, err error) {
	places, err := programs(interfaces)
	if err != nil {
		return nil, nil, nil, -1, err
	}
	o.Program.Place, o.Program.Places, o.Program.RawIP = asm.XDP, places, rawIP(interfaces)
	o.Program.Metadata = o.metadata(interfaces)
	if slices.Contains(places, asm.Beside) && o.Program.Kernel == (asm.Kernel{}) {
		if o.Program.Kernel, err = loader.Kernel(); err != nil { // once: it takes long
			return nil, nil, nil, ofAll, err
		}
	}
	collection, events, err := o.load()
	if err != nil {
		return nil, nil, nil, ofAll, err
	}
	attached, failed, err := o.attach(collection, interfaces, said)
	if err != nil {
		events.Close()
		collection.Close()
		return nil, nil, nil, failed, err
	}
	return collection, events, attached, -1, nil
}
