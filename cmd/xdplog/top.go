package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/format"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/top"
	"github.com/xdplog/xdplog/reader/tally"
)

const topLong = `Shows who sends most: packets and bytes of whole frames, counted by source or by
another key. On a terminal it is a table that changes in place, and keys sort it (s),
take another key (b), pause (p), change the filter (/) and quit (q); else a table is
printed every interval. The last table, at the end, is that of the whole run, and with
--read of the whole file. What has no row of its own is in "other": rows and other
are always the total, exactly.

The filter is that of a run, "tcp or udp" unless there is one or --all. Packets that
the network stack has merged, at tc, count as one.`

const topExamples = `  xdplog top                      who sends, on the default route's interface
  xdplog top -i eth0 --by port --sort bytes
  xdplog top --by conversation --direction inout tcp
                                  connections, both directions in one row
  xdplog top --once --interval 10s -o json
                                  what came in ten seconds, as one object
  xdplog top -r file.pcap --all --by proto`

// minInterval is the shortest between two tables.
const minInterval = 100 * time.Millisecond

// maxRows is the most rows that a table may have.
const maxRows = 1 << 20

func topCommand(env run.Environment) *cobra.Command {
	opts := options{}
	o := top.Options{Interval: time.Second}
	cmd := &cobra.Command{
		Use:     "top [flags] [filter]",
		Short:   "show who sends most, in packets and bytes",
		Long:    topLong,
		Example: topExamples,
		Args:    cobra.ArbitraryArgs, // filter words

		ValidArgsFunction: completeFilter,
		RunE: func(cmd *cobra.Command, words []string) error {
			if err := opts.checkTop(cmd.Flags(), o.By); err != nil {
				return err
			}
			o.Filter = strings.Join(words, " ")
			config, err := opts.compileTop(o.Filter, o.By)
			if err != nil {
				return suggest(cmd, words, err)
			}
			o.Compile = func(filter string, by tally.By) (asm.Config, error) {
				other := opts
				other.all = opts.all && filter == ""
				return other.compileTop(filter, by)
			}
			o.JSON = opts.output.Name == "json"
			o.Color = opts.style.Colors(env.Stdout)
			o.Bys = slices.DeleteFunc(tally.Bys(), func(by tally.By) bool { return by == tally.Verdict && opts.place != run.Beside })
			o.Run = opts.run(config)
			return top.Run(context.Background(), o, env)
		},
	}
	flags := cmd.Flags()
	opts.addSource(cmd)
	flags.Var(value[tally.By]{&o.By, parseBy, "KEY"}, "by", "src (default), "+strings.Join(byNames()[1:], ", "))
	complete(cmd, "by", byNames)
	flags.Var(value[time.Duration]{&o.Interval, parseInterval, "D"}, "interval", "between tables: 500ms, 10s (default 1s)")
	flags.Var(value[int]{&o.Lines, parseLines, "N"}, "top", "rows of a table (default: what fits the terminal, else 10; json: all)")
	flags.Var(value[top.Sort]{&o.Sort, parseSort, "WHAT"}, "sort", "rate (default: packets in the last interval), packets, bytes")
	complete(cmd, "sort", func() []string { return wordsOf(top.ByRate, top.ByBytes) })
	addSwitch(flags, &o.Once, "once", "", "one table, after one interval, and leave")
	flags.Var(value[int]{&o.Rows, parseRows, "N"}, "rows", "keys with a row of their own; the rest is in other (default 65536)")
	formats := []string{"text", "json"}
	flags.VarP(value[format.Kind]{&opts.output, formatOf(formats), "FORMAT"}, "output", "o", "text (default), json: each table one object in a line")
	complete(cmd, "output", func() []string { return formats })
	flags.Var(value[time.Duration]{&opts.duration, parseDuration, "D"}, "duration", "stop after D: 10s, 5m, 1h30m")
	opts.addAll(flags)
	opts.addPlace(cmd)
	opts.addMode(cmd)
	opts.addSampling(flags)
	addNamespace(cmd, &opts.netns)
	opts.addColor(cmd)
	opts.addQuiet(flags)
	return cmd
}

// checkTop refuses flags that contradict each other.
func (o *options) checkTop(given *pflag.FlagSet, by tally.By) error {
	if err := o.check(given); err != nil {
		return err
	}
	switch {
	case by == tally.Verdict && len(o.files) == 0 && o.place != run.Beside:
		return usage("--by verdict is that of an XDP program beside which xdplog stands: it needs --place beside")
	case len(o.files) > 0 && given.Changed("interval"):
		return usage("--interval is about interfaces: it means nothing with --read, which has one table")
	case len(o.files) > 0 && given.Changed("once"):
		return usage("--once is about interfaces: it means nothing with --read, which has one table")
	case given.Changed("once") && given.Changed("duration"):
		return usage("--once ends after one --interval: it excludes --duration")
	}
	return nil
}

// compileTop is what a table by a key takes of the program.
func (o *options) compileTop(filter string, by tally.By) (asm.Config, error) {
	var words []string
	if filter != "" {
		words = []string{filter}
	}
	config, err := o.config(words)
	if by == tally.MAC && !config.Replay {
		config.SnapLen = wire.MinTagged // they are in the packet's bytes
	}
	return config, err
}

// formatOf parses one of some formats.
func formatOf(names []string) func(string) (format.Kind, error) {
	return func(s string) (format.Kind, error) {
		if _, err := oneOfWords(names)(s); err != nil {
			return format.Kind{}, err
		}
		return parseOutput(s)
	}
}

func byNames() (names []string) {
	for _, by := range tally.Bys() {
		names = append(names, by.String())
	}
	return names
}

func parseBy(s string) (tally.By, error) {
	by, err := tally.ParseBy(s)
	if err != nil {
		return by, oneOf(s, byNames())
	}
	return by, nil
}

func parseSort(s string) (top.Sort, error) { return parseWord(s, top.ByRate, top.ByBytes) }

func parseInterval(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < minInterval {
		return 0, errors.New("must be a time of 100ms or more, with its unit: 500ms, 10s, 5m")
	}
	return d, nil
}

func parseLines(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || n == 0 {
		return 0, errors.New("must be a number of rows, 1 or more")
	}
	return int(n), nil
}

func parseRows(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || n == 0 || n > maxRows {
		return 0, fmt.Errorf("must be a number of rows from 1 to %d", maxRows)
	}
	return int(n), nil
}
