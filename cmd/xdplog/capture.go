package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/capfile"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/metrics"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/loader"
	"github.com/xdplog/xdplog/reader"
)

// capture prints what interfaces receive until ctx is done, a signal comes or
// opts say that it is enough.
func capture(ctx context.Context, opts options, config asm.Config, env environment) error {
	c, err := open(opts, config, env)
	if err != nil {
		return err
	}
	defer c.close()
	ctx, cancel := opts.timeout(ctx)
	defer cancel()
	if opts.write != "" && opts.transport != asm.Perf && !opts.quiet {
		fmt.Fprintf(env.stderr, "-w takes transport perf, not %s, which carries no packet bytes\n", opts.transport)
	}
	c.session.renounce()
	c.session.greet()
	err = c.session.run(ctx)
	if c.session.record != nil {
		err = oneOf(err, c.session.record.Close())
	}
	return err
}

// A capturing is what a run has in the kernel, and the session over it.
type capturing struct {
	session session
	closers []io.Closer // in the order in which they were opened
}

// open loads the program and attaches it to every interface, or to none.
func open(opts options, config asm.Config, env environment) (_ *capturing, err error) {
	if len(opts.interfaces) == 0 {
		name, err := loader.DefaultInterface(opts.netns)
		if err != nil {
			return nil, err
		}
		opts.interfaces = []string{name}
	}

	c := new(capturing)
	complete := false
	defer func() { // also when something panics
		if !complete {
			c.close()
		}
	}()
	record, err := opts.recording(env)
	if err != nil {
		return nil, err
	}
	if record != nil {
		c.closers = append(c.closers, record)
	}
	var endpoint *metrics.Endpoint
	if opts.metrics != "" {
		if endpoint, err = metrics.Listen(opts.metrics); err != nil {
			return nil, err
		}
		c.closers = append(c.closers, endpoint)
	}
	collection, events, err := load(config, opts.buffer)
	if errors.Is(err, reader.ErrSparseCPUs) && opts.mayChooseTransport() {
		if !opts.quiet {
			fmt.Fprintln(env.stderr, "transport ringbuf instead of perf, which wants the CPUs that are online numbered from 0 without a gap")
		}
		config.Transport = asm.Ringbuf
		collection, events, err = load(config, opts.buffer)
	}
	if err != nil {
		return nil, err
	}
	c.closers = append(c.closers, closeCollection{collection}, events)

	var attachments []attachment
	var interfaces []names.Interface
	var recorded []capfile.Interface
	for _, name := range opts.interfaces {
		a, err := loader.Attach(collection, loader.Options{
			Interface: name, Mode: opts.mode, Namespace: opts.netns,
		})
		if err != nil {
			return nil, err
		}
		c.closers = append(c.closers, a)
		attachments = append(attachments, a)
		attached := names.Interface{Index: a.Index(), Name: a.Interface()}
		interfaces = append(interfaces, attached)
		recorded = append(recorded, capfile.Interface{Interface: attached, Speed: a.Speed()})
	}
	if record != nil {
		if err := record.Begin(recorded); err != nil {
			return nil, err
		}
	}
	c.session = session{
		source:      events,
		attachments: attachments,
		kind:        opts.lines(),
		format:      opts.format(interfaces, env.stdout),
		limit:       opts.count,
		stats:       opts.stats,
		quiet:       opts.quiet,
		record:      record,
		unseen:      opts.silent(),
		environment: env,
	}
	if endpoint != nil {
		counted := metrics.NewMeter(events, collection.Programs[asm.ProgramName], interfaces)
		c.session.source, c.session.metrics = counted, endpoint.URL()
		endpoint.Serve(counted)
		c.closers = append(c.closers, endpoint) // twice: it ends before what it reads
	}
	complete = true
	return c, nil
}

// load puts the program into the kernel, and opens the reader of its events.
func load(config asm.Config, buffer int) (*ebpf.Collection, *reader.Reader, error) {
	collection, err := loader.Load(config)
	if err != nil {
		return nil, nil, err
	}
	events, err := reader.New(collection, reader.Options{Buffer: buffer})
	if err != nil {
		collection.Close()
		return nil, nil, err
	}
	return collection, events, nil
}

// close takes everything out of the kernel that is still there. Errors of
// detaching have been told by then, and nothing else is worth one.
func (c *capturing) close() {
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
