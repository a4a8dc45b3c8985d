package live

import (
	"slices"
	"sync"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/loader"
	"github.com/xdplog/xdplog/reader"
)

// Options of a [Capture]. The zero value captures the TCP and UDP packets that
// the default route's interface receives.
//
// With Config.Places each interface has its own place. An interface may be named
// twice: "eth0" and "eth0" at [asm.XDP] and [asm.TCEgress] are both halves of its
// connections, and each event says its direction. Drivers are asked for VLAN tags that they
// keep beside packets, where they can be ([asm.Config.Metadata]). Tunnels whose packets have no Ethernet
// header have their places at tc, and Open makes the programs for them.
type Options struct {
	Interfaces []string       // names or alternative names; none: the default route's
	Namespace  string         // of all interfaces, as in [loader.Options]; "": the caller's own
	Mode       loader.Mode    // default: native, else generic
	Method     loader.Method  // by what it is held in the XDP slot; default: netlink
	Config     asm.Config     // the program; of Interfaces 0, and no Places: one for each interface
	Reader     reader.Options // how its events are read

	// Followed is called when one of Interfaces, whose place is [asm.Beside], has got another
	// XDP program, beside which ours stands from then on, or with nil when it has none any
	// more: then ours waits for the next. What the new one has decided before it is called was
	// not seen. It is called on goroutines of the capture's, and must not wait for Close.
	Followed func(iface string, p *loader.Program)
}

// Open loads the program, opens its reader, and attaches it to every interface,
// or to none.
//
// It needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, and CAP_SYS_ADMIN for another
// namespace. The errors are those of
// [loader.DefaultInterface], [loader.Load], [reader.New] and [loader.Attach].
func Open(opts Options) (*Capture, error) {
	interfaces := opts.Interfaces
	if len(interfaces) == 0 {
		name, err := loader.DefaultInterface(opts.Namespace)
		if err != nil {
			return nil, err
		}
		interfaces = []string{name}
	}
	if opts.Config.Interfaces == 0 && len(opts.Config.Places) == 0 {
		opts.Config.Interfaces = min(len(interfaces), asm.MaxInterfaces)
	}
	if opts.Config.RawIP == nil {
		opts.Config.RawIP = rawIP(opts.Config.Programs(), interfaces, opts.Namespace)
	}
	if opts.Config.Metadata == nil {
		if opts.Config.Metadata = metadata(opts, interfaces); opts.Config.Metadata != nil {
			if c, err := begin(opts, interfaces); err == nil {
				return c, nil
			}
			opts.Config.Metadata = nil // it may be that which was refused
		}
	}
	return begin(opts, interfaces)
}

// begin is Open of options that are complete.
func begin(opts Options, interfaces []string) (_ *Capture, err error) {
	c := &Capture{left: make(chan struct{})}
	c.detached = sync.OnceValue(c.detach)
	c.finish = sync.OnceValue(c.end)
	c.close = sync.OnceValue(c.shut)
	complete := false
	defer func() { // also when something panics
		if !complete {
			c.Close()
		}
	}()

	load := func() (err error) {
		c.program, err = loader.Load(opts.Config)
		return err
	}
	if len(opts.Config.Metadata) > 0 { // of devices, by their index in their namespace
		err = loader.Within(opts.Namespace, load)
	} else {
		err = load()
	}
	if err != nil {
		return nil, err
	}
	if c.events, err = reader.New(c.program, opts.Reader); err != nil {
		return nil, err
	}
	followed := func(iface string) func(*loader.Program) {
		if opts.Followed == nil {
			return nil
		}
		return func(p *loader.Program) { opts.Followed(iface, p) }
	}
	places := opts.Config.Programs()
	order := loader.LowerFirst(interfaces, opts.Namespace)
	for _, i := range order {
		slot := min(i, len(places)-1)
		a, err := loader.Attach(c.program, loader.Options{
			Interface: interfaces[i], Namespace: opts.Namespace, Mode: opts.Mode, Method: opts.Method, Slot: uint8(slot), Place: places[slot], Config: opts.Config,
			Followed: followed(interfaces[i]),
		})
		if err != nil {
			return nil, err
		}
		c.attachments = append(c.attachments, a)
		if a.ByPorts() && slot == i {
			c.events.SetInterface(uint8(slot), a.Index())
		}
		if clock, _ := a.HardwareClock(); clock != nil && slot == i {
			c.events.SetHardwareClock(uint8(slot), clock.Ahead)
		}
	}
	attached := slices.Clone(c.attachments)
	for at, i := range order {
		c.attachments[i] = attached[at]
	}
	c.losses = make([]error, len(c.attachments))
	for i, a := range c.attachments {
		c.watchers.Go(func() {
			select {
			case err, lost := <-a.Lost():
				if lost {
					c.losses[i] = err
					c.detached()
				}
			case <-c.left:
			}
		})
	}
	complete = true
	return c, nil
}

// metadata is what the drivers of interfaces with a program of their own are asked; nil: nothing.
func metadata(opts Options, interfaces []string) []asm.Metadata {
	places := opts.Config.Programs()
	if len(interfaces) > len(places) { // the last is that of several
		places = places[:len(places)-1]
	}
	var all []loader.Options
	for i, place := range places[:min(len(places), len(interfaces))] {
		all = append(all, loader.Options{Interface: interfaces[i], Namespace: opts.Namespace, Mode: opts.Mode, Method: opts.Method, Place: place, Config: opts.Config})
	}
	return loader.Metadata(all)
}

// rawIP says which of the programs are for an interface whose packets have no Ethernet
// header, at tc: elsewhere it is refused. nil: none.
func rawIP(places []asm.Place, interfaces []string, namespace string) []bool {
	raw := make([]bool, len(places))
	for slot, at := range places {
		if slot < len(interfaces) && (at == asm.TCIngress || at == asm.TCEgress) {
			raw[slot] = loader.RawIP(interfaces[slot], namespace)
		}
	}
	if !slices.Contains(raw, true) {
		return nil
	}
	return raw
}
