package main

import (
	"slices"

	"github.com/spf13/pflag"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
)

// liveFlags mean nothing where packets come from a file.
var liveFlags = [...]string{"iface", "mode", "attach", "place", "direction", "transport", "buffer", "time", "hash", "netns", "promiscuous", "metrics", "metrics-sources", "keep", "until"}

// runFlags mean nothing where the program is only printed.
var runFlags = [...]string{"limit", "skip", "count", "duration", "stats", "metrics", "metrics-sources", "output", "color", "time-format", "t", "time-precision", "number", "mode", "attach", "netns"}

// listFlags are those that -D has besides.
var listFlags = [...]string{"list-interfaces", "output", "netns"}

// checkStyle refuses what means nothing to the output.
func (o *options) checkStyle(given *pflag.FlagSet) error {
	output := o.lines()
	switch {
	case output.Styled:
	case given.Changed("time-format"), given.Changed("t"):
		return usage("--time-format is for -o text: -o %s has a form of its own", output.Name)
	case o.style.Color == "always":
		return usage("--color always is for -o text: -o %s has no colors", output.Name)
	}
	return nil
}

// check refuses flags that contradict each other.
func (o *options) check(given *pflag.FlagSet) error {
	if err := o.checkStyle(given); err != nil {
		return err
	}
	if err := o.checkStandard(); err != nil {
		return err
	}
	if err := o.checkDetail(given); err != nil {
		return err
	}
	if err := o.flow.check(o, given); err != nil {
		return err
	}
	if err := o.checkPlace(given); err != nil {
		return err
	}
	if o.promiscuous && given.Changed("no-promiscuous-mode") {
		return usage("--promiscuous and -p exclude each other")
	}
	if o.sample > 0 && o.sampleRandom > 0 {
		return usage("--sample and --sample-random exclude each other")
	}
	if o.sources > 0 && o.metrics == "" {
		return usage("--metrics-sources is about the metrics: it means nothing without --metrics ADDR")
	}
	if err := o.checkKeep(given); err != nil {
		return err
	}
	if err := o.checkWrite(given); err != nil {
		return err
	}
	if o.list {
		return o.checkList(given)
	}
	if o.dump {
		for _, name := range append(runFlags[:], flowFlags[:]...) {
			if given.Changed(name) {
				return usage("--%s is about a run: --dump only prints the program", name)
			}
		}
	}
	if len(o.files) == 0 {
		if given.Changed("engine") {
			return usage("--engine is about a file's packets: it means nothing without --read")
		}
		return nil
	}
	for _, name := range liveFlags {
		if given.Changed(name) {
			return usage("--%s is about interfaces: it means nothing with --read", name)
		}
	}
	return nil
}

// checkPlace refuses what means nothing where the program is to stand.
func (o *options) checkPlace(given *pflag.FlagSet) error {
	if len(o.verdicts) > 0 && len(o.files) == 0 {
		switch {
		case o.direction != run.In:
			return usage("--verdict is about packets received: it means nothing with --direction %s", o.direction)
		case o.place == run.InXDP || o.place == run.AtTC:
			return usage("--verdict is that of an XDP program beside which xdplog stands: it means nothing with --place %s", o.place)
		case given.Changed("mode"):
			return usage("--verdict is that of an XDP program beside which xdplog stands: --mode is about the XDP slot")
		}
		o.place = run.Beside
	}
	switch {
	case o.place == run.Beside && o.direction == run.Out:
		return usage("--place beside sees what is received alone: --direction out is seen at tc")
	case o.place == run.Beside && given.Changed("mode"):
		return usage("--mode is about the XDP slot: it means nothing beside the program in it")
	case o.place == run.InXDP && o.direction == run.Out:
		return usage("--place xdp sees what is received alone: --direction out is seen at tc")
	case (o.place == run.AtTC || o.direction == run.Out) && given.Changed("mode"):
		return usage("--mode is about XDP: it means nothing at tc")
	case (o.place == run.AtTC || o.place == run.Beside || o.direction == run.Out) && given.Changed("attach"):
		return usage("--attach is about the XDP slot: it means nothing elsewhere")
	case o.place == run.AnyPlace && given.Changed("mode"):
		o.place = run.InXDP
	}
	return nil
}

// checkList refuses what means nothing where interfaces are only listed.
func (o *options) checkList(given *pflag.FlagSet) error {
	var wrong string
	given.Visit(func(f *pflag.Flag) {
		if !slices.Contains(listFlags[:], f.Name) {
			wrong = f.Name
		}
	})
	if wrong != "" {
		return usage("--%s is about a run: -D only lists the interfaces", wrong)
	}
	if o.output.Name != "" && o.output.Name != "text" && o.output.Name != "json" {
		return usage("-D takes -o text or json")
	}
	return nil
}
