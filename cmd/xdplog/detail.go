package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/detail"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/format"
)

// addDetail adds the flags of what the lines say beside the events, by tcpdump's
// letters.
func (o *options) addDetail(flags *pflag.FlagSet) {
	addSwitch(flags, &o.detail.Ether, "ether", "e", "MAC addresses, also of what is not IP")
	addRepeated(flags, 3, func(int) { o.detail.Verbose = true }, "verbose", "v", "DSCP, ids, TCP sequence, window, options; ICMP types; ARP addresses")
	o.addDump(flags, detail.Hex, "hex", "x", "the packets' bytes in hexadecimal; -xx with the link-layer header")
	o.addDump(flags, detail.HexASCII, "hex-ascii", "X", "the same, and as text; -XX")
	o.addDump(flags, detail.ASCII, "ascii", "A", "the packets' bytes as text; -AA")
	addSwitch(flags, &o.detail.Number, "number", "#", "number the events")
}

// addDump adds a flag of one way to dump bytes. The one that says most wins.
func (o *options) addDump(flags *pflag.FlagSet, dump detail.Dump, name, short, usage string) {
	addRepeated(flags, 2, func(times int) {
		o.detail.Dump = max(o.detail.Dump, dump)
		o.detail.Link = o.detail.Link || times > 1
	}, name, short, usage)
}

// detailFlags are those that add to lines.
var detailFlags = [...]string{"ether", "verbose", "hex", "hex-ascii", "ascii", "number", "hash"}

// checkDetail refuses flags of lines where there are none, or where these have no room
// for it.
func (o *options) checkDetail(given *pflag.FlagSet) error {
	output := o.lines()
	for _, name := range detailFlags {
		switch {
		case !given.Changed(name):
		case output.Silent && o.write != "":
			return usage("--%s is about lines, and beside -w there are none: add -o text", name)
		case output.Silent:
			return usage("--%s is about lines: -o %s writes none", name, output.Name)
		case output.Plain && name != "ether":
			return usage("--%s is for -o text and json: the lines of -o %s have one form", name, output.Name)
		}
	}
	if o.style.Precision != "" && (output.Plain || output.Silent) {
		return usage("--time-precision is for -o text and json")
	}
	o.detail.Most = o.snapLen
	return nil
}

// addPrecision adds the flag of how many digits a second has, and hidden ones by
// tcpdump's names.
func (o *options) addPrecision(cmd *cobra.Command) {
	flags := cmd.Flags()
	precision := value[string]{&o.style.Precision, oneOfWords(format.Precisions()), "P"}
	flags.Var(precision, "time-precision", "micro (default of text), nano (default of json)")
	complete(cmd, "time-precision", format.Precisions)
	flags.Var(precision, "time-stamp-precision", "--time-precision")
	flags.Lookup("time-stamp-precision").Hidden = true
	for _, name := range format.Precisions() {
		addRepeated(flags, 1, func(int) { o.style.Precision = name }, name, "", "--time-precision "+name)
		flags.Lookup(name).Hidden = true
	}
}
