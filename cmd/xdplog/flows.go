package main

import (
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
	"github.com/xdplog/xdplog/reader/flow"
)

// flowOptions are the flags about conversations.
type flowOptions struct {
	flows bool // one event each, in place of packets
	first bool // the first packet of each
	flow.Options
}

func (o *flowOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	addSwitch(flags, &o.flows, "flows", "", "one line for each conversation at its end, instead of packets")
	addSwitch(flags, &o.first, "first", "", "of each conversation the first packet alone")
	flags.Var(value[time.Duration]{&o.Idle, parseDuration, "D"}, "flow-idle", "a conversation ends after D without a packet (default 1m)")
	flags.Var(value[time.Duration]{&o.Active, parseDuration, "D"}, "flow-active", "and after D in all: what follows is another one (default 30m)")
	flags.Var(value[int]{&o.Max, parseFlowMax, "N"}, "flow-max", "of N open at a time; one more ends the longest idle (default 65536)")
}

// flowFlags are those about conversations.
var flowFlags = [...]string{"flows", "first", "flow-idle", "flow-active", "flow-max"}

// check refuses what means nothing without conversations, or beside them.
func (o *flowOptions) check(all *options, given *pflag.FlagSet) error {
	which := "--flows"
	if o.first {
		which = "--first"
	}
	for _, name := range detailFlags {
		if o.flows && given.Changed(name) {
			return usage("--%s is about packets: it means nothing with --flows", name)
		}
	}
	switch {
	case o.flows && o.first:
		return usage("--flows and --first exclude each other: conversations at their end, or their first packets")
	case !o.flows && !o.first:
		for _, name := range flowFlags[2:] {
			if given.Changed(name) {
				return usage("--%s is about conversations: it means nothing without --flows or --first", name)
			}
		}
	case o.first && given.Changed("flow-active"):
		return usage("--flow-active is about --flows: with --first a conversation lasts until it is idle")
	case all.write != "":
		return usage("-w writes packets: it means nothing with %s", which)
	case all.skip > 0:
		return usage("--skip leaves out packets: it means nothing with %s", which)
	case all.counting:
		return usage("--count counts packets: it means nothing with %s", which)
	}
	return nil
}

// run is what these options say to package run.
func (o *flowOptions) run() *run.Flows {
	if !o.flows && !o.first {
		return nil
	}
	flows := &run.Flows{Options: o.Options, First: o.first}
	if o.first {
		flows.Active = -1
	}
	return flows
}

// maxFlows is where a table would take some 5 GB.
const maxFlows = 1 << 24

func parseFlowMax(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 0 || n > maxFlows {
		return 0, errors.New("must be a whole number from 1 to " + strconv.Itoa(maxFlows))
	}
	return int(n), nil
}
