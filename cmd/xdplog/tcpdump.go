package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// granted are options of tcpdump's that ask for what is so already: they are
// taken, so that fingers that know them need learn nothing.
var granted = [...]struct{ letter, name string }{
	{"n", "numeric"},                       // addresses and ports are numbers
	{"f", "foreign-numeric"},               // those of foreigners, too
	{"N", "no-domain-names"},               // so there is nothing to shorten
	{"l", "line-buffered"},                 // lines are written as soon as there are no more
	{"U", "packet-buffered"},               // and so are packets
	{"p", "no-promiscuous-mode"},           // it is nobody's default
	{"K", "dont-verify-checksums"},         // they are not looked at
	{"S", "absolute-tcp-sequence-numbers"}, // nothing is remembered of a connection
	{"O", "no-optimize"},                   // the program is the same
	{"", "immediate-mode"},                 // what has been seen waits a tenth of a second at most
}

// addGranted adds flags that do nothing. The help shows the first, for all.
func addGranted(flags *pflag.FlagSet) {
	usage := "taken, as -l -U -p -S -K -N -f -O are: that is so anyway"
	for i, option := range granted {
		addSwitch(flags, new(bool), option.name, option.letter, usage)
		flags.Lookup(option.name).Hidden = i > 0
	}
}

// instead is what to write in place of an option of tcpdump's that there is not.
var instead = [...]struct{ letter, name, write string }{
	{"b", "", "no routing protocol is decoded"},
	{"B", "buffer-size", "take --buffer SIZE, in bytes a CPU: --buffer 4MiB"},
	{"E", "", "nothing is decrypted: write the packets with -w, for tshark"},
	{"g", "", "-v has one line a packet anyway"},
	{"H", "", "802.11 is not decoded"},
	{"I", "monitor-mode", "802.11 is not decoded"},
	{"j", "time-stamp-type", "take --time precise, coarse, none or hardware"},
	{"J", "list-time-stamp-types", "they are --time precise, coarse, none and hardware"},
	{"L", "list-data-link-types", "live it is Ethernet, or raw IP where packets have no Ethernet header, and -r knows a file's"},
	{"m", "", "SNMP is not decoded: write the packets with -w, for tshark"},
	{"M", "", "no signature is looked at"},
	{"T", "", "what is behind the ports is not decoded: write the packets with -w, for tshark"},
	{"u", "", "NFS is not decoded"},
	{"V", "", "take -r FILE"},
	{"y", "linktype", "live it is Ethernet, or raw IP where packets have no Ethernet header, and -r knows a file's"},
	{"Z", "relinquish-privileges", "once attached it gives up its rights by itself; with setcap it needs no root"},
	{"", "interface", "take -i, --iface"},
	{"", "snapshot-length", "take -s, --snaplen"},
	{"", "print", "take -o text beside -w FILE"},
	{"", "lengths", "the lengths are in every line"},

	// Of other tools than tcpdump:
	{"", "filter", asWords}, {"", "port", asWords}, {"", "host", asWords}, {"", "net", asWords}, {"", "proto", asWords}, {"", "protocol", asWords},
	{"", "dport", asWords}, {"", "sport", asWords}, {"", "src", asWords}, {"", "dst", asWords}, {"", "source", asWords}, {"", "destination", asWords},
	{"", "json", "take -o json"}, {"", "pcap-file", "take -w FILE"}, {"", "all-interfaces", "take -i all"}, {"", "any", "take -i all"},
	{"", "dev", "take -i, --iface"}, {"", "device", "take -i, --iface"}, {"", "timeout", "take --duration"}, {"", "skb-mode", "take --mode generic"}, {"", "native", "take --mode native"},
	{"", "generic", "take --mode generic"}, {"", "egress", "take --direction out"}, {"", "ingress", "it is so; --place tc is tc ingress"},
	{"", "tunnel", "take --inner"}, {"", "decap", "take --inner"}, {"", "decapsulate", "take --inner"},
}

const asWords = "a filter is words without dashes, as in xdplog tcp dst port 443 and not host 192.0.2.1"

// explainFlag adds to the error of a flag that there is not what helps: for one of
// tcpdump's what to write instead.
func explainFlag(cmd *cobra.Command, err error) error {
	var bare *pflag.ValueRequiredError
	if errors.As(err, &bare) {
		return fmt.Errorf("%w: %s", err, bare.GetFlag().Usage)
	}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	for _, option := range instead {
		if name := unknown.GetSpecifiedName(); !cmd.HasParent() && (name == option.letter || name == option.name) {
			return fmt.Errorf("%w: %s", err, option.write)
		}
	}
	if cmd.HasParent() && hasFlag(cmd.Root(), unknown.GetSpecifiedName()) {
		return fmt.Errorf("%w: it is for runs of xdplog alone (%s --help lists what there is)", err, cmd.CommandPath())
	}
	if similar := similarFlags(cmd, unknown.GetSpecifiedName()); len(similar) > 0 {
		return fmt.Errorf("%w, did you mean --%s?", err, strings.Join(similar, ", --"))
	}
	return fmt.Errorf("%w (%s --help lists what there is)", err, cmd.CommandPath())
}

// hasFlag says whether a command has a flag of this name, or letter.
func hasFlag(cmd *cobra.Command, name string) bool {
	if len(name) == 1 {
		return cmd.Flags().ShorthandLookup(name) != nil
	}
	return cmd.Flags().Lookup(name) != nil
}

// similarFlags are those that begin so, or are nearly called so: as cobra finds commands.
func similarFlags(cmd *cobra.Command, name string) []string {
	if len(name) < 3 {
		return nil
	}
	names := &cobra.Command{SuggestionsMinimumDistance: 2}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
		}
	})
	return names.SuggestionsFor(name)
}

// A repeated is the value of a flag without one, which says more the more often it
// is given: as -tttt.
type repeated struct {
	most int
	set  func(times int)

	times int
}

func (r *repeated) Set(s string) error {
	if s != "true" {
		return errors.New("takes no value")
	}
	if r.times == r.most {
		return fmt.Errorf("must be given at most %d times", r.most)
	}
	r.times++
	r.set(r.times)
	return nil
}

func (r *repeated) Type() string   { return "bool" } // which the help leaves out
func (r *repeated) String() string { return "" }

// addRepeated adds a flag of which up to so many say something.
func addRepeated(flags *pflag.FlagSet, most int, set func(times int), name, short, usage string) {
	flags.VarPF(&repeated{most: most, set: set}, name, short, usage).NoOptDefVal = "true"
}

// addTimes adds tcpdump's -t to -ttttt: the formats of times but the first.
func addTimes(flags *pflag.FlagSet, format *string, formats []string) {
	set := func(times int) { *format = formats[times] }
	addRepeated(flags, len(formats)-1, set, "t", "t", "a --time-format")
	flags.Lookup("t").Hidden = true // said there
}
