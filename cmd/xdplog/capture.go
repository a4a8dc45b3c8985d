package main

import (
	"context"
	"fmt"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
)

// capture prints what interfaces receive.
func capture(opts *options, config asm.Config, env run.Environment) error {
	c, err := run.Open(opts.run(config), env)
	if err != nil {
		return err
	}
	defer c.Close()
	if opts.transport.fixed && !opts.transport.carries(opts.packetBytes()) && !opts.quiet {
		flags := "-w takes"
		if opts.write == "" {
			flags = "-e, -v, -x, -X and -A take"
		}
		fmt.Fprintf(env.Stderr, "%s another transport than %s, which carries no packet bytes\n", flags, opts.transport)
	}
	c.Renounce()
	c.Greet()
	return c.Run(context.Background())
}
