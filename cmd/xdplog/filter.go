package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
	"github.com/xdplog/xdplog/loader"
)

// config returns what the program is to report: the one place where the
// command line becomes that.
func (o *options) config(words []string) (asm.Config, error) {
	config := asm.Config{
		All:       o.all,
		Inner:     o.inner,
		Hash:      o.hash,
		Transport: o.transport.Transport, // perf where a run takes the cheapest
		Buffer:    o.buffer,
		Sample:    asm.Sampling{N: o.sample},
		Clock:     o.clock,
		Replay:    len(o.files) > 0,
	}
	if o.sampleRandom > 0 {
		config.Sample = asm.Sampling{N: o.sampleRandom, Random: true}
	}
	if bytes := o.packetBytes(); bytes > 0 && !config.Replay {
		if !o.transport.carries(bytes) {
			config.Transport = asm.Perf
		}
		config.SnapLen = min(bytes, config.Transport.MaxSnapLen())
	}
	if !config.Replay {
		places := run.Places(o.place, o.direction)
		if config.Place = places[0]; len(places) > 1 {
			config.Place, config.Places = asm.XDP, places
		}
		if places[0] == asm.Beside {
			var err error
			if config.Kernel, err = loader.Kernel(); err != nil {
				return config, fmt.Errorf("stand beside an XDP program: %w", err)
			}
			config.Verdicts = o.verdicts
		}
	}
	if config.Replay {
		config.Transport = asm.Perf // whose program says nothing of this machine, for who only looks at it
		if o.engine.InKernel {
			config.Transport = asm.Ringbuf // one stream, in the order of the file
		}
	}
	if err := o.keeping(&config); err != nil {
		return config, err
	}
	cpus, err := loader.CPUs(config.Transport)
	if err != nil {
		return config, err
	}
	config.CPUs = cpus
	if err := config.Check(); err != nil {
		return config, usage("%v", err)
	}
	if len(words) == 0 {
		return config, nil
	}
	text := strings.Join(words, " ")
	if o.all {
		return config, usage("--all is every frame, so there is nothing to filter: %s", text)
	}
	parsed, err := o.parse(text)
	if err != nil {
		return config, usageError{err}
	}
	config.Filter = parsed
	// A filter may make sense to the parser and none as a program: it matches
	// nothing, or is too large.
	if _, err := asm.Program(config); err != nil {
		return config, usage("%s", strings.TrimPrefix(err.Error(), "assemble program: "))
	}
	return config, nil
}

// parse parses a filter, as it is meant with these options.
func (o *options) parse(text string) (*filter.Filter, error) {
	return filter.Options{Libpcap: o.libpcap, Inner: o.inner}.Parse(text)
}

// beside are words that libpcap has in filters, and the flags that say it here.
var beside = map[string]string{
	"inbound": "--direction in", "outbound": "--direction out", "ifindex": "-i NAME",
	"iif": "-i NAME", "iifname": "-i NAME", "iface": "-i NAME", "interface": "-i NAME", "dev": "-i NAME", "device": "-i NAME",
	"oif": "-i NAME --direction out", "oifname": "-i NAME --direction out",
	"contains": toSearch, "matches": toSearch, "payload": toSearch, "string": toSearch, "data": toSearch, "frame": toSearch,
	"ct": "--flows has connections", "conntrack": "--flows has connections", "established": "--flows has connections",
}

const toSearch = "-A prints them, and what -w writes tshark searches"

// suggest adds to an error about the first word of a filter that it is nearly
// the name of a command, or that of a file.
func suggest(root *cobra.Command, words []string, err error) error {
	mistake := (*filter.Error)(nil)
	if !errors.As(err, &mistake) || len(words) == 0 {
		return err
	}
	for _, word := range words {
		if isCapture(word) {
			return fmt.Errorf("%w; to read a capture file: -r %s", err, word)
		}
	}
	if word, _, _ := strings.Cut(mistake.Message, ":"); beside[word] != "" {
		return fmt.Errorf("%w: %s", err, beside[word])
	}
	if mistake.Offset == len(mistake.Text) && strings.HasSuffix(mistake.Text, "]") {
		return fmt.Errorf("%w; a shell takes & | < > ( ) for itself, unless the filter is in quotes", err)
	}
	if mistake.Offset == 0 && slices.Contains(entries("/sys/class/net"), words[0]) {
		return fmt.Errorf("%w; for an interface: -i %s", err, words[0])
	}
	if mistake.Offset > 0 || strings.Contains(mistake.Message, "write ") || strings.Contains(mistake.Message, fmt.Sprintf("%q?", strings.ToLower(words[0]))) {
		return err
	}
	root.SuggestionsMinimumDistance = 1
	if len(words[0]) > 3 { // two letters that changed places
		root.SuggestionsMinimumDistance = 2
	}
	commands := root.SuggestionsFor(words[0])
	if len(commands) == 0 {
		return err
	}
	for i, name := range commands {
		commands[i] = "xdplog " + name
	}
	return fmt.Errorf("%w; for a command: %s", err, strings.Join(commands, ", "))
}

// caret shows the place of a mistake in a filter, or is empty.
func caret(err error) string {
	mistake := (*filter.Error)(nil)
	if !errors.As(err, &mistake) || mistake.Text == "" {
		return ""
	}
	return mistake.Caret() + "\n"
}

// filterNumbers keeps words such as -1, which are numbers in a filter, from
// being read as flags: it puts the words of a filter behind a "--". Flags may
// stand among the words, as they may with tcpdump.
func filterNumbers(root *cobra.Command, args []string) []string {
	var flags, words []string
	found := false
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			words = append(words, args[i+1:]...)
			i = len(args)
		case len(arg) > 1 && arg[0] == '-' && '0' <= arg[1] && arg[1] <= '9':
			words, found = append(words, arg), true
		case len(arg) > 1 && arg[0] == '-':
			flags = append(flags, arg)
			if takesNext(root.Flags(), arg) && i+1 < len(args) {
				i++
				flags = append(flags, args[i])
			}
		default:
			words = append(words, arg)
		}
	}
	if !found {
		return args
	}
	if command, _, err := root.Find(args); err != nil || command != root {
		return args
	}
	return append(append(flags, "--"), words...)
}

// takesNext reports whether the value of a flag is the argument behind it.
func takesNext(flags *pflag.FlagSet, arg string) bool {
	takes := func(flag *pflag.Flag) bool { return flag != nil && flag.NoOptDefVal == "" }
	if name, long := strings.CutPrefix(arg, "--"); long {
		return takes(flags.Lookup(name)) // none has a "=" in its name
	}
	for i := 1; i < len(arg); i++ {
		if takes(flags.ShorthandLookup(arg[i : i+1])) {
			return i == len(arg)-1
		}
	}
	return false
}
