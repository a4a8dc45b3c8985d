package main

import (
	"github.com/spf13/cobra"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/demo"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
)

const demoLong = `Shows xdplog at work, without any traffic of this machine's: makes two network
namespaces joined by a veth pair, sends UDP and TCP over IPv4 and IPv6 from one
to the other, and prints what XDP sees of it. It ends by itself and leaves
nothing behind. It needs root.`

func demoCommand(env run.Environment) *cobra.Command {
	var opts options
	cmd := &cobra.Command{
		Use:   "demo [-o FORMAT]",
		Short: "show it at work, on traffic of its own",
		Long:  demoLong,
		Args:  noWords,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := opts.checkStyle(cmd.Flags()); err != nil {
				return err
			}
			opts.setZone(env)
			return demo.Run(opts.run(asm.Config{}), env)
		},
	}
	opts.addOutput(cmd)
	opts.addMode(cmd)
	opts.addStyle(cmd)
	opts.addQuiet(cmd.Flags())
	return cmd
}
