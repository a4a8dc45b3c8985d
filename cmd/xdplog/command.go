package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/check"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
)

const rootLong = `xdplog prints one line per packet that an interface receives, with its source and
destination, until Ctrl-C. The filter is that of tcpdump, see pcap-filter(7), and
"tcp or udp" unless there is one. One meaning differs: it speaks of the decoded
packet, so that "tcp port 443" also finds it behind VLAN tags and IPv6 extension
headers, and "tcp[13]" is a byte of TCP over IPv4 and IPv6; "vlan 10" shifts nothing.

It sees the packets in XDP, before the kernel's network stack and its firewall
do, and lets every one of them pass unchanged. XDP sees received packets only: those
that this machine sends are seen at tc, with "--direction out", or "inout" for both.
Where the XDP slot is another program's, tc is where received packets are seen, too.

It needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (with --netns also
CAP_SYS_ADMIN). "xdplog demo" shows it without any traffic.`

const rootExamples = `  xdplog                        what the default route's interface receives
  xdplog -D                     which interfaces there are, and what is on them
  xdplog -i eth0 -i wlan0       two interfaces
  xdplog -i eth0 -c 10          the first ten packets
  xdplog -i eth0 tcp port 443 and not net 10.0.0.0/8
  xdplog -i eth0 'tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn'
                                connection attempts
  xdplog -i eth0 --direction inout tcp port 443
                                both halves of connections
  xdplog -i eth0 --direction inout --flows
                                one line for each conversation, at its end
  xdplog -d 'udp port 53'       the program that this filter makes
  xdplog -r file.pcap arp       ARP packets in a capture file
  xdplog -i eth0 -w out.pcapng  the packets themselves, in a file
  xdplog -i eth0 -w - | tcpdump -n -r -
                                live; or | wireshark -k -i -
  xdplog -i eth0 --all          every frame: also ARP, ICMP, LLDP
  xdplog -i eth0 -o json | jq .src_ip
  xdplog -i eth0 -o none --duration 10s
                                count for ten seconds
  xdplog --netns web -i eth0    in the network namespace "web"`

// subcommands make what there is beside a run. One more is a file with its
// function, and a line here: help, completion and the manual page follow.
var subcommands = [...]func(run.Environment) *cobra.Command{
	checkCommand,
	completionCommand,
	demoCommand,
	detachCommand,
	manCommand,
	topCommand,
	versionCommand,
}

// newCommand returns the command line's root. Its state is its own.
func newCommand(env run.Environment) *cobra.Command {
	var opts options
	var showVersion bool
	root := &cobra.Command{
		Use:     "xdplog [flags] [filter]",
		Short:   "report the source of every packet that an interface receives",
		Long:    rootLong,
		Example: rootExamples,
		Args:    cobra.ArbitraryArgs, // filter words

		ValidArgsFunction: completeFilter,
		RunE: func(cmd *cobra.Command, words []string) error {
			if showVersion {
				return printVersion(env.Stdout)
			}
			if err := opts.check(cmd.Flags()); err != nil {
				return err
			}
			if opts.list {
				if len(words) > 0 {
					return usage("a filter is about a run: -D only lists the interfaces")
				}
				return check.List(check.Options{Netns: opts.netns, JSON: opts.output.Name == "json"}, env.Stdout)
			}
			words, err := opts.words(words, env)
			if err != nil {
				return err
			}
			config, err := opts.config(words)
			if err != nil {
				return suggest(cmd, words, err)
			}
			if opts.dump {
				return dump(config, env.Stdout)
			}
			if err := opts.checkFiles(env); err != nil {
				return err
			}
			opts.setZone(env)
			if len(opts.files) > 0 {
				return run.File(context.Background(), opts.run(config), env)
			}
			return capture(&opts, config, env)
		},
		SilenceErrors:     true, // run says it
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { fmt.Fprint(env.Stdout, help(cmd)) })
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{explainFlag(cmd, err)}
	})
	opts.addFlags(root)
	root.Flags().BoolVar(&showVersion, "version", false, "print the version and leave")
	for _, subcommand := range subcommands {
		root.AddCommand(subcommand(env))
	}
	root.SetHelpCommand(helpCommand(root))
	for _, cmd := range append(root.Commands(), root) {
		cmd.Flags().SortFlags = false
		cmd.Flags().BoolP("help", "h", false, "print this and leave")
		cmd.DisableFlagsInUseLine = true
	}
	return root
}

// helpCommand is cobra's, but for a command that there isn't. It is not listed:
// --help does the same.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:    "help [command]",
		Short:  "print the help of a command",
		Hidden: true,
		RunE: func(_ *cobra.Command, words []string) error {
			cmd, rest, err := root.Find(words)
			if err != nil || len(rest) > 0 {
				return usage("help: no command %q (%s --help lists them)", strings.Join(words, " "), root.Name())
			}
			return cmd.Help()
		},
	}
}

// help is the text of --help.
func help(cmd *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "usage: %s\n", cmd.UseLine())
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			fmt.Fprintf(&b, "       %-38s  %s\n", sub.UseLine(), sub.Short)
		}
	}
	about := cmd.Long
	if about == "" {
		about = cmd.Short
	}
	fmt.Fprintf(&b, "\n%s\n\n%s", about, cmd.LocalFlags().FlagUsages())
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\n%s\n", cmd.Example)
	}
	return b.String()
}

// noWords refuses arguments that are not flags.
func noWords(cmd *cobra.Command, words []string) error {
	if len(words) > 0 {
		return usage("%s takes no argument %q", cmd.CommandPath(), words[0])
	}
	return nil
}
