package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/check"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
)

const checkLong = `Says whether this machine can run xdplog, and if not, why and what to do: one line
for each fact. It changes nothing, and attaches only to an interface of its own,
in a network namespace of its own. What it may not ask, it calls unknown: as root
it knows most.

The exit status is 0 if xdplog would work on the interfaces, as far as is known,
and 1 if a fact that is marked as required says no.`

func checkCommand(env run.Environment) *cobra.Command {
	var opts check.Options
	var output string
	cmd := &cobra.Command{
		Use:   "check [-i NAME] [-o FORMAT]",
		Short: "say whether it works here, and why not",
		Long:  checkLong,
		Args:  noWords,
		RunE: func(*cobra.Command, []string) error {
			opts.JSON = output == "json"
			if slices.Equal(opts.Interfaces, []string{run.AllInterfaces}) {
				var err error
				if opts.Interfaces, err = run.Interfaces(opts.Interfaces, opts.Netns); err != nil {
					return err
				}
			}
			return check.Run(opts, env.Stdout)
		},
	}
	addInterface(cmd, list(&opts.Interfaces), "interface, repeatable, or all (default: the default route's)")
	addNamespace(cmd, &opts.Netns)
	formats := []string{"text", "json"}
	cmd.Flags().VarP(value[string]{&output, oneOfWords(formats), "FORMAT"}, "output", "o", "text (default), json")
	complete(cmd, "output", func() []string { return formats })
	return cmd
}
