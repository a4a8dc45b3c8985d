package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
	"github.com/xdplog/xdplog/loader"
)

func detachCommand(env run.Environment) *cobra.Command {
	var name, netns string
	cmd := &cobra.Command{
		Use:   "detach -i NAME [--netns NS]",
		Short: "take off what a killed xdplog left on an interface",
		Long: `Takes off the programs that an xdplog left on an interface when it was killed by
SIGKILL, in XDP and at tc. It leaves programs of others alone, and that of an xdplog that is alive.
Starting xdplog on the interface does the same by itself.`,
		Args: noWords,
		RunE: func(*cobra.Command, []string) error {
			if name == "" {
				return usage("detach needs -i NAME: the interface to take the program off")
			}
			removed, err := loader.Detach(name, netns)
			for _, program := range removed {
				at := program.Place.String()
				if program.Place == asm.XDP {
					at = program.Mode.String() + " XDP"
				}
				if _, failed := fmt.Fprintf(env.Stdout, "took program %d (%s) off %s\n", program.ID, at, name); failed != nil {
					return failed
				}
			}
			if errors.Is(err, loader.ErrNoInterface) && (name == "any" || name == run.AllInterfaces || isList(name)) {
				return fmt.Errorf("%w: name the one whose program is to go", err)
			}
			return err
		},
	}
	addInterface(cmd, single(&name), "interface")
	addNamespace(cmd, &netns)
	return cmd
}
