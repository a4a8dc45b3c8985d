package main

import (
	"fmt"
	"time"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/detail"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/format"
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
	hash         bool // of each packet
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
		Verdicts:       o.verdicts,
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
