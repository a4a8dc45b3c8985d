package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/format"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/metrics"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
	"github.com/xdplog/xdplog/loader"
)

func (o *options) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	o.addSource(cmd)
	flags.Var(value[run.Engine]{&o.engine, parseEngine, "E"}, "engine", "with -r: go (default: needs no rights), kernel (the program itself)")
	complete(cmd, "engine", engineNames)
	flags.VarP(once(&o.write, parseWrite, "FILE"), "write", "w", "write packets to a pcapng file, - for stdout; text only with -o")
	addSwitch(flags, &o.pcap, "pcap", "", "of -w: the classic format, with nanoseconds, not pcapng")
	o.ring.addFlags(cmd)
	flags.VarP(value[int]{&o.snapLen, parseSnapLen, "BYTES"}, "snaplen", "s", "bytes of a packet for -w, -x, -X, -A (default 262144: all of it)")
	o.addOutput(cmd)
	o.addDetail(flags)
	o.kept.addFlags(flags)
	flags.VarP(value[uint64]{&o.count, parseCount, "N"}, "limit", "c", "stop after N events")
	flags.Var(value[uint64]{&o.skip, parseCount, "N"}, "skip", "leave out the first N events")
	addCount(flags, &o.counting)
	flags.VarP(once(&o.filterFile, parseFilterFile, "FILE"), "filter-file", "F", "take the filter from a file, - for stdin; # begins a comment")
	o.flow.addFlags(cmd)
	flags.Var(value[time.Duration]{&o.duration, parseDuration, "D"}, "duration", "stop after D: 10s, 5m, 1h30m")
	o.addAll(flags)
	o.addPlace(cmd)
	o.addMode(cmd)
	flags.Var(value[loader.Method]{&o.attach, parseMethod, "HOW"}, "attach", "netlink (default), link: ends with xdplog, also when that is killed")
	complete(cmd, "attach", func() []string { return wordsOf(loader.ByNetlink, loader.ByLink) })
	flags.Var(value[transport]{&o.transport, parseTransport, "T"}, "transport", "how events leave the kernel: auto (default), perf, ringbuf, mmap")
	complete(cmd, "transport", transportNames)
	flags.Var(value[int]{&o.buffer, parseSize, "SIZE"}, "buffer", "bytes per CPU: 512KiB, 4MiB (default 2MiB)")
	o.addSampling(flags)
	flags.Var(value[asm.Clock]{&o.clock, parseClock, "CLOCK"}, "time", "precise (default), coarse, none (when read), hardware (the card's)")
	complete(cmd, "time", func() []string { return wordsOf(asm.PreciseClock, asm.HardwareClock) })
	addSwitch(flags, &o.hash, "hash", "", "the hash by which a card chose a packet's queue (RSS), and over what")
	addNamespace(cmd, &o.netns)
	addSwitch(flags, &o.promiscuous, "promiscuous", "", "meanwhile take in frames to all addresses; needs CAP_NET_RAW")
	flags.Var(value[time.Duration]{&o.stats, parseDuration, "D"}, "stats", "print the counters and what they are per second every D, on stderr")
	flags.Var(value[string]{&o.metrics, metrics.ParseAddress, "ADDR"}, "metrics", "Prometheus endpoint: loopback's port, or address:port; default: none")
	flags.Var(value[int]{&o.sources, parseSources, "N"}, "metrics-sources", "the N largest sources by name in the metrics (default: none)")
	o.addStyle(cmd)
	addSwitch(flags, &o.dump, "dump", "d", "print the program (of transport perf, unless one is given), and leave")
	addSwitch(flags, &o.list, "list-interfaces", "D", "print the interfaces, what is on them, where xdplog could be, and leave")
	o.addQuiet(flags)
	addGranted(flags)
}

func (o *options) addSource(cmd *cobra.Command) {
	addInterface(cmd, list(&o.interfaces), "interface, repeatable, or all (default: the default route's)")
	cmd.Flags().VarP(fileList(&o.files), "read", "r", "read packets from a pcap or pcapng file, - for stdin; repeatable")
}

func (o *options) addAll(flags *pflag.FlagSet) {
	addSwitch(flags, &o.all, "all", "", `every frame, no filter (default filter: "tcp or udp")`)
	addSwitch(flags, &o.libpcap, "libpcap", "", "in the filter, tcp[…], udp[…] look into IPv4 alone, as tcpdump's do")
	addSwitch(flags, &o.inner, "inner", "", "the packets inside VXLAN, Geneve, GRE, IP in IP and GTP-U tunnels")
}

func (o *options) addSampling(flags *pflag.FlagSet) {
	flags.Var(value[uint32]{&o.sample, parseSample, "N"}, "sample", "report one packet in N, the first of every N")
	flags.Var(value[uint32]{&o.sampleRandom, parseSample, "N"}, "sample-random", "report one packet in N, each by chance")
}

func (o *options) addStyle(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Var(value[string]{&o.style.Times, oneOfWords(format.TimeFormats()), "FORMAT"}, "time-format",
		"time (default), none, epoch, delta, date, elapsed: -t to -ttttt")
	complete(cmd, "time-format", format.TimeFormats)
	addTimes(flags, &o.style.Times, format.TimeFormats())
	o.addPrecision(cmd)
	o.addColor(cmd)
}

func (o *options) addColor(cmd *cobra.Command) {
	cmd.Flags().Var(value[string]{&o.style.Color, oneOfWords(format.ColorModes()), "WHEN"}, "color",
		"of text: auto (default: on a terminal, without NO_COLOR), always, never")
	complete(cmd, "color", format.ColorModes)
}

func (o *options) addOutput(cmd *cobra.Command) {
	cmd.Flags().VarP(value[format.Kind]{&o.output, parseOutput, "FORMAT"}, "output", "o", format.Usage())
	complete(cmd, "output", format.Names)
}

func (o *options) addPlace(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.VarP(value[run.Direction]{&o.direction, parseDirection, "D"}, "direction", "Q", "in (default): packets received; out: those sent, at tc; inout: both")
	complete(cmd, "direction", func() []string { return wordsOf(run.In, run.InOut) })
	flags.Var(value[run.Place]{&o.place, parsePlace, "PLACE"}, "place", "of packets received: auto (default: the first of) xdp, beside, tc")
	complete(cmd, "place", func() []string { return wordsOf(run.AnyPlace, run.AtTC) })
	flags.Var(value[[]wire.Verdict]{&o.verdicts, parseVerdicts, "LIST"}, "verdict", "only what another XDP program decided so: drop,aborted,pass,tx,redirect")
	completeList(cmd, "verdict", wordsOf(wire.Aborted, wire.Redirect))
}

func (o *options) addMode(cmd *cobra.Command) {
	cmd.Flags().Var(value[loader.Mode]{&o.mode, parseMode, "MODE"}, "mode",
		"auto (default: native, else generic), native, generic")
	complete(cmd, "mode", func() []string { return wordsOf(loader.Auto, loader.Generic) })
}

func (o *options) addQuiet(flags *pflag.FlagSet) {
	addSwitch(flags, &o.quiet, "quiet", "q", "no start and end lines")
}
