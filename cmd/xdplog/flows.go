package main

import (
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/ipfix"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
	"github.com/xdplog/xdplog/reader/flow"
)

// flowOptions are the flags about conversations.
type flowOptions struct {
	flows bool // one event each, in place of packets
	first bool // the first packet of each
	flow.Options
	export ipfix.Options // to a collector; no target: to none
}

// tracks reports whether conversations are told apart.
func (o *flowOptions) tracks() bool { return o.flows || o.first || o.exports() }

func (o *flowOptions) exports() bool { return o.export.Target != ipfix.Target{} }

func (o *flowOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	addSwitch(flags, &o.flows, "flows", "", "one line for each conversation at its end, instead of packets")
	addSwitch(flags, &o.first, "first", "", "of each conversation the first packet alone")
	flags.Var(value[time.Duration]{&o.Idle, parseDuration, "D"}, "flow-idle", "a conversation ends after D without a packet (default 1m)")
	flags.Var(value[time.Duration]{&o.Active, parseDuration, "D"}, "flow-active", "and after D in all: what follows is another one (default 30m)")
	flags.Var(value[int]{&o.Max, parseFlowMax, "N"}, "flow-max", "of N open at a time; one more ends the longest idle (default 65536)")
	flags.Var(value[ipfix.Target]{&o.export.Target, ipfix.ParseTarget, "ADDR"}, "ipfix", "flows to an IPFIX collector: HOST, udp://HOST:PORT, tcp://HOST:PORT")
	flags.Var(value[uint32]{&o.export.Domain, parseDomain, "N"}, "ipfix-domain", "observation domain that flows are said to be of (default 1)")
	flags.Var(value[time.Duration]{&o.export.Templates, parseDuration, "D"}, "ipfix-templates", "over UDP, templates again every D (default 1m)")
}

// flowFlags are those about conversations.
var flowFlags = [...]string{"flows", "first", "flow-idle", "flow-active", "flow-max", "ipfix", "ipfix-domain", "ipfix-templates"}

// check refuses what means nothing without conversations, or beside them.
func (o *flowOptions) check(all *options, given *pflag.FlagSet) error {
	which := "--flows"
	switch {
	case o.first:
		which = "--first"
	case !o.flows:
		which = "--ipfix"
	}
	for _, name := range detailFlags {
		if o.tracks() && !o.first && given.Changed(name) {
			return usage("--%s is about packets: it means nothing with %s", name, which)
		}
	}
	switch {
	case o.flows && o.first:
		return usage("--flows and --first exclude each other: conversations at their end, or their first packets")
	case !o.exports() && (given.Changed("ipfix-domain") || given.Changed("ipfix-templates")):
		return usage("--ipfix-domain and --ipfix-templates are about a collector: they mean nothing without --ipfix")
	case o.first && o.exports():
		return usage("--ipfix sends conversations: it means nothing with --first")
	case o.exports() && o.export.Target.Network != "udp" && given.Changed("ipfix-templates"):
		return usage("--ipfix-templates is about UDP: a TCP connection begins with the templates")
	case !o.tracks():
		for _, name := range flowFlags[2:] {
			if given.Changed(name) {
				return usage("--%s is about conversations: it means nothing without --flows, --first or --ipfix", name)
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
	if !o.tracks() {
		return nil
	}
	flows := &run.Flows{Options: o.Options, First: o.first}
	if o.first {
		flows.Active = -1
	}
	if o.exports() {
		flows.Export = &o.export
	}
	return flows
}

func parseDomain(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 0 {
		return 0, errors.New("must be a whole number from 1 to 4294967295")
	}
	return uint32(n), nil
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
