package run

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/capfile"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/metrics"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
	"github.com/xdplog/xdplog/loader"
	"github.com/xdplog/xdplog/reader"
)

// A Capture is what a run has in the kernel, and the session over it.
type Capture struct {
	session  session
	duration time.Duration // 0: no end
	closers  []io.Closer   // in the order in which they were opened
	table    *reader.Table // nil: nothing is counted by a key
}

// Open loads the program and attaches it to every interface, or to none. What
// then comes waits for [Capture.Run].
func Open(o Options, env Environment) (_ *Capture, err error) {
	if o.Interfaces, err = Interfaces(o.Interfaces, o.Netns); err != nil {
		return nil, err
	}

	c := &Capture{duration: o.Duration}
	complete := false
	defer func() { // also when something panics
		if !complete {
			c.Close()
		}
	}()
	if err := o.keeping(); err != nil {
		return nil, err
	}
	said := make(chan string, 16)
	say := sayTo(said)
	packets, err := o.record(env, say)
	if err != nil {
		return nil, err
	}
	if packets != nil {
		c.closers = append(c.closers, packets)
	}
	var endpoint *metrics.Endpoint
	if o.Metrics != "" {
		if endpoint, err = metrics.Listen(o.Metrics); err != nil {
			return nil, err
		}
		c.closers = append(c.closers, endpoint)
	}
	if o.Promiscuous {
		for _, name := range o.Interfaces {
			held, err := loader.Promiscuous(name, o.Netns)
			if err != nil {
				return nil, err
			}
			c.closers = append(c.closers, held)
		}
	}
	flows, err := o.folding(said)
	if err != nil {
		return nil, err
	}
	if flows != nil && flows.export != nil {
		c.closers = append(c.closers, flows.export)
	}
	collection, events, attached, err := o.stand(env, said)
	if err != nil {
		return nil, err
	}
	c.closers = append(c.closers, closeCollection{collection}, events)
	var attachments []attachment
	var interfaces []names.Interface
	var recorded []capfile.Interface
	var headerless []int // indexes
	each := len(Places(o.Place, o.Direction))
	ports := &portNames{eventSource: events}
	for number, a := range attached {
		if a.ByPorts() && number < asm.MaxInterfaces-1 { // which may be that of several
			events.SetInterface(uint8(number), a.Index())
			ports.bonds = append(ports.bonds, a.Attachment)
		}
		if clock, _ := a.HardwareClock(); clock != nil && number < asm.MaxInterfaces-1 {
			events.SetHardwareClock(uint8(number), clock.Ahead)
		}
		c.closers = append(c.closers, a)
		attachments = append(attachments, a)
		if number%each == 0 {
			named := names.Interface{Index: a.Index(), Name: a.Interface()}
			interfaces = append(interfaces, named)
			raw := o.Program.IsRawIP(number)
			recorded = append(recorded, capfile.Interface{Interface: named, Speed: a.Speed(), Queues: a.Queues(), RawIP: raw})
			if raw {
				headerless = append(headerless, named.Index)
			}
		}
	}
	if o.Program.Count != nil {
		if c.table, err = reader.NewTable(collection); err != nil {
			return nil, err
		}
		c.closers = append(c.closers, c.table)
	}
	if packets != nil {
		if err := packets.Begin(recorded, countEach(events, len(recorded), each)); err != nil {
			return nil, err
		}
	}
	ports.format = o.format(interfaces, env.Stdout)
	if flows != nil {
		flows.deadline = events.SetDeadline
		if flows.export != nil {
			flows.export.Headerless(headerless)
		}
	}
	c.session = session{
		source:      ports,
		mayRead:     events.CheckRights,
		attachments: attachments,
		transport:   o.transport(),
		counted:     o.counts(),
		said:        said,
		say:         say,
		terminal:    term.Controlling(),
		kind:        o.output(),
		format:      ports.format,
		limit:       o.Count,
		skip:        o.Skip,
		counting:    o.Counting,
		stats:       o.Stats,
		quiet:       o.Quiet,
		record:      packets,
		take:        o.Packets,
		unseen:      o.silent(),
		flows:       flows,
		headerless:  headerless,
		oneSided:    o.Direction != InOut,
		Environment: env,
	}
	c.session.hashes = o.Program.Hash
	if o.Program.Clock == asm.HardwareClock {
		c.session.hardwareTimes = events.HardwareTimes
	}
	if o.Program.Keep {
		c.session.release = events.Release
	}
	if endpoint != nil {
		counted := metrics.NewMeter(ports, metrics.Options{
			Program:    collection.Programs[asm.ProgramName],
			Interfaces: interfaces,
			Streams:    streams(attached, each, events),
			Info:       o.info(attached),
			Buffer:     events.BufferSize(),
			Sources:    o.Sources,
			Unwritten:  c.session.missed.Load,
			Flows:      flows.metrics(),

			HardwareTimes: c.session.hardwareTimes,
		})
		c.session.source, c.session.metrics = counted, endpoint.URL()
		endpoint.Serve(counted)
		c.closers = append(c.closers, endpoint) // twice: it ends before what it reads
	}
	complete = true
	return c, nil
}

// countEach is what is counted of each of some interfaces, which have so many programs
// each. Of more than have counters of their own the last ones share theirs.
func countEach(events *reader.Reader, interfaces, each int) capfile.Count {
	return func(number int) (*wire.Counters, error) {
		first, end := number*each, (number+1)*each
		if interfaces*each > asm.MaxInterfaces && end >= asm.MaxInterfaces {
			return nil, nil
		}
		var sum wire.Counters
		for slot := first; slot < end; slot++ {
			c, err := events.CountersOf(uint8(slot))
			if err != nil {
				return nil, err
			}
			sum.Add(c)
		}
		return &sum, nil
	}
}

// AllInterfaces is a name for all that are up, where none is called so.
const AllInterfaces = "all"

// Interfaces are those that were named; by none that of the default route.
func Interfaces(named []string, netns string) ([]string, error) {
	switch {
	case len(named) == 0:
		name, err := loader.DefaultInterface(netns)
		return []string{name}, err
	case !slices.Equal(named, []string{AllInterfaces}):
		return named, nil
	}
	up, err := loader.UpInterfaces(netns)
	switch {
	case err != nil || slices.Contains(up, AllInterfaces):
		return named, err
	case len(up) == 0:
		return nil, errors.New("no interface is up whose packets can be read")
	}
	return up, nil
}

// Greet says what the program was attached to.
func (c *Capture) Greet() { c.session.greet() }

// Interfaces are the names of what it is attached to, as they were then.
func (c *Capture) Interfaces() []string {
	var all []string
	for _, a := range c.session.attachments {
		if name := names.OneWord(a.Interface()); !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// Renounce gives up the rights that have been needed until now, if the
// environment says how.
func (c *Capture) Renounce() { c.session.renounce() }

// Run prints what interfaces receive until ctx is done, a signal comes or the
// options say that it is enough. The program is off then.
func (c *Capture) Run(ctx context.Context) error {
	ctx, cancel := timeout(ctx, c.duration)
	defer cancel()
	return OneOf(c.session.run(ctx), c.session.complete())
}

// Close takes everything out of the kernel that is still there. Errors of
// detaching have been told by then, and nothing else is worth one.
func (c *Capture) Close() {
	for i := len(c.closers) - 1; i >= 0; i-- {
		c.closers[i].Close()
	}
	c.closers = nil
}

type closeCollection struct{ *ebpf.Collection }

func (c closeCollection) Close() error {
	c.Collection.Close()
	return nil
}
