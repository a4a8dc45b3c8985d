package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
	"github.com/xdplog/xdplog/loader"
)

func detachCommand(env run.Environment) *cobra.Command {
	var name, netns string
	cmd := &cobra.Command{
		Use:   "detach -i NAME [--netns NS]",
		Short: "take off what a killed xdplog left on an interface",
		Long: `Takes off the program that an xdplog left on an interface when it was killed by
SIGKILL. It leaves programs of others alone, and that of an xdplog that is alive.
Starting xdplog on the interface does the same by itself.`,
		Args: noWords,
		RunE: func(*cobra.Command, []string) error {
			if name == "" {
				return usage("detach needs -i NAME: the interface to take the program off")
			}
			removed, err := loader.Detach(name, netns)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(env.Stdout, "took program %d (%s XDP) off %s\n", removed.ID, removed.Mode, name)
			return err
		},
	}
	addInterface(cmd, single(&name), "interface")
	addNamespace(cmd, &netns)
	return cmd
}
