package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/detail"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/format"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/metrics"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
	"github.com/xdplog/xdplog/loader"
)

// options are the flags of a run.
type options struct {
	interfaces   []string    // none: the default route's
	files        []string    // to read instead of interfaces; -: standard input
	engine       run.Engine  // what its packets are run through; the zero engine: the first
	write        string      // pcapng file to write; -: stdout; "": none
	pcap         bool        // it is one of pcap
	ring         ringOptions // spread over many
	snapLen      int         // bytes of each packet in it; 0: capfile.MaxSnapLen
	output       format.Kind // the zero kind: the default, or none beside a file
	count        uint64      // events; 0: no limit
	skip         uint64      // events to leave out before
	counting     bool        // say how many packets match, and nothing else
	filterFile   string      // with the filter; -: standard input; "": none
	duration     time.Duration
	all          bool
	libpcap      bool // tcp[…] is about IPv4 alone
	inner        bool // look into tunnels
	mode         loader.Mode
	place        run.Place
	direction    run.Direction
	attach       loader.Method
	verdicts     []wire.Verdict // of the program beside ours; none: all
	transport    transport
	kept         keepOptions
	buffer       int    // bytes per CPU; 0: the default of asm and reader
	sample       uint32 // one packet in so many; 0: all
	sampleRandom uint32 // the same, by chance
	clock        asm.Clock
	netns        string
	promiscuous  bool
	stats        time.Duration // 0: at the end alone
	metrics      string        // address of the Prometheus endpoint; "": none
	flow         flowOptions
	sources      int // that the metrics tell apart; 0: none
	style        format.Style
	detail       detail.Options // of packets, in the lines
	location     *time.Location // of times in text; nil: this machine's
	dump         bool           // print the program, run nothing
	list         bool           // print the interfaces, run nothing
	quiet        bool
}

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

// lines is the format of the events' lines: beside a file none, where none is
// asked for.
func (o *options) lines() format.Kind {
	switch {
	case o.output.Name != "":
		return o.output
	case o.write != "", o.counting, o.flow.exports() && !o.flow.flows:
		return format.None()
	}
	return format.Default()
}

// liveFlags mean nothing where packets come from a file.
var liveFlags = [...]string{"iface", "mode", "attach", "place", "direction", "verdict", "transport", "buffer", "time", "netns", "promiscuous", "metrics", "metrics-sources", "keep", "until"}

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
	if len(o.verdicts) > 0 {
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

// setZone has times be in the zone of $TZ, or says why they are not.
func (o *options) setZone(env run.Environment) {
	written := o.lines().Styled && (o.style.Times == "" || o.style.Times == "time" || o.style.Times == "date")
	if !written && o.ring.Every == 0 {
		return
	}
	var err error
	if o.location, err = format.Zone(); err != nil && !o.quiet {
		fmt.Fprintln(env.Stderr, err)
	}
}

// packetBytes is how many bytes of each packet are wanted; 0: none.
func (o *options) packetBytes() int {
	bytes := o.detail.Bytes()
	if o.write != "" {
		bytes = max(bytes, o.snapLen)
	}
	return bytes
}

// run is what these options say to package run, of a program.
func (o *options) run(program asm.Config) run.Options {
	return run.Options{
		Program:        program,
		Interfaces:     o.interfaces,
		Netns:          o.netns,
		Promiscuous:    o.promiscuous,
		Mode:           o.mode,
		Place:          o.place,
		Direction:      o.direction,
		Attach:         o.attach,
		FixedTransport: o.transport.fixed && o.transport.carries(o.packetBytes()),
		PacketBytes:    o.packetBytes(),
		Keep:           o.kept.keep,
		Files:          o.files,
		Engine:         o.engine,
		Output:         o.lines(),
		Style:          o.style,
		Detail:         o.detail,
		Location:       o.location,
		Write:          o.write,
		Pcap:           o.pcap,
		Ring:           o.ring.Ring,
		Then:           o.ring.then,
		SnapLen:        o.snapLen,
		Metrics:        o.metrics,
		Flows:          o.flow.run(),
		Sources:        o.sources,
		Count:          o.count,
		Skip:           o.skip,
		Counting:       o.counting,
		Duration:       o.duration,
		Stats:          o.stats,
		Quiet:          o.quiet,
	}
}
