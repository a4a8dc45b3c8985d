package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/xdplog/xdplog/asm/filter"
)

// addCount adds tcpdump's --count, which takes no value. What is behind it is the
// filter's.
func addCount(flags *pflag.FlagSet, on *bool) {
	parse := func(s string) (bool, error) {
		if s != "true" {
			return false, fmt.Errorf("takes no value: -c %s ends after so many", s)
		}
		return true, nil
	}
	flags.VarPF(value[bool]{on, parse, "bool"}, "count", "", "print how many packets match, and nothing else").NoOptDefVal = "true"
}

// checkStandard refuses what --count, or two flags, would want of standard input or output.
func (o *options) checkStandard() error {
	switch {
	case o.counting && o.output.Name != "":
		return usage("--count prints a number alone: -o %s means nothing with it", o.output.Name)
	case o.counting && o.write == "-":
		return usage("-w - and --count would both write to standard output: name a file")
	case o.filterFile == "-" && slices.Contains(o.files, "-"):
		return usage("-F - and -r - would both read standard input: name a file")
	}
	return nil
}

// explainCount adds to an error about a filter behind --count 5 that the number is
// perhaps to be that of -c, whose long name --count has been.
func explainCount(err error, args []string) error {
	if !errors.As(err, new(*filter.Error)) {
		return err
	}
	for i, arg := range args[:max(len(args)-1, 0)] {
		if n, wrong := strconv.ParseUint(args[i+1], 10, 64); arg == "--count" && wrong == nil {
			return fmt.Errorf("%w; --count takes no value: -c %d ends after so many", err, n)
		}
	}
	return err
}
