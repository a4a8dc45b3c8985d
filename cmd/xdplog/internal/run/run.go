// Package run is a run of xdplog, from attached to detached: [Open] puts the
// program on interfaces and [Capture.Run] prints what they receive, [File] does
// the same to the packets of a file.
//
// Whatever happens, the program must be off the interface in the end, and no
// event that was captured may be missing without a word. So one goroutine, the
// pump, reads, formats and writes, and may get stuck on a writer; the session
// waits beside it for a signal, a limit or a lost interface, takes the program
// off first, has the pump drain what was captured by then, and says how many
// events were not written if that takes too long.
//
// It imports capfile, detail, format, metrics, names, notify and term beside it, and the library.
package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/capfile"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/detail"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/format"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/ipfix"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
	"github.com/xdplog/xdplog/loader"
	"github.com/xdplog/xdplog/reader"
)

// Options say what a run is to do. The zero value prints what the default route's
// interface receives, as text, until a signal comes.
type Options struct {
	Program asm.Config // what to report

	// Where packets come from: interfaces, or files for [File].
	Interfaces     []string    // none: the default route's
	Netns          string      // network namespace of the interfaces; "": this one
	Mode           loader.Mode // of the XDP slot
	Attach         loader.Method
	Promiscuous    bool // take in frames to all addresses meanwhile
	Place          Place
	Direction      Direction
	FixedTransport bool           // that of Program or none; else the cheapest that can be had
	PacketBytes    int            // of each packet that are wanted, as far as the transport has them; 0: none
	Keep           Keep           // where Program keeps packets
	Files          []string       // to read; "-": standard input
	Engine         Engine         // what its packets are run through; the zero engine is the first of [Engines]
	Verdicts       []wire.Verdict // of files' packets that are wanted; none: all

	// Packets is given what matches, in place of lines, on one goroutine. They are
	// whole Ethernet frames as far as there are bytes, and valid until it returns.
	// nil: lines are printed.
	Packets func([]reader.Packet)

	// Where they go.
	Output   format.Kind // of lines on stdout; the zero kind: the default
	Style    format.Style
	Detail   detail.Options // of packets, in the lines
	Location *time.Location // of the times in them; nil: this machine's
	Write    string         // capture file to write; "-": stdout; "": none
	SnapLen  int            // bytes of each packet in it
	Pcap     bool           // it is a pcap file, not pcapng
	Ring     capfile.Ring
	Then     []string // command for each file that is whole, before its name
	Metrics  string   // address of the Prometheus endpoint; "": none
	Flows    *Flows   // conversations, in place of packets; nil: these
	Sources  int      // that the metrics tell apart by name; 0: none

	// How long, and what is said of it on stderr.
	Count    uint64        // events to print; 0: no limit
	Skip     uint64        // events to leave out before
	Counting bool          // at the end, print how many there were, and nothing else
	Duration time.Duration // 0: no limit
	Stats    time.Duration // between prints of the counters; 0: at the end alone
	Quiet    bool          // no start and end lines
}

// An Environment is what a run has to do with besides its options.
type Environment struct {
	Stdin   *os.File         // read by -r -
	Stdout  io.Writer        // events, and what was asked for
	Stderr  io.Writer        // everything else
	Signals <-chan os.Signal // each of them ends a run
	Asked   <-chan os.Signal // each of them has the counters printed meanwhile
	Release <-chan os.Signal // each of them has what is kept written

	// Notify tells a service manager what it is at: [notify.Ready] once everything is
	// attached, [notify.Stopping] when the end has begun; nil: there is none.
	Notify func(state string) error

	// Renounce gives up what a run needs no more, but what may still tries;
	// nil where the process has other things to do. See [Renounce].
	Renounce func(may func() error) error
}

// output is the kind of the events' lines.
func (o *Options) output() format.Kind {
	if o.Output.Name == "" {
		return format.Default()
	}
	return o.Output
}

// format returns that of the output, in its style on stdout.
func (o *Options) format(interfaces []names.Interface, stdout io.Writer) format.Format {
	return o.output().New(format.Options{Interfaces: interfaces, Style: o.Style, Detail: o.Detail, Output: stdout, Location: o.Location})
}

// silent reports whether packets are written to a file, or flows sent, and no lines to stdout,
// so that it does not matter who reads those.
func (o *Options) silent() bool {
	return (o.Write != "" || o.Flows != nil && o.Flows.Export != nil) && o.output().Silent
}

// filter is that of the run, for people: "" is none.
func (o *Options) filter() string {
	switch {
	case o.Program.All:
		return ""
	case o.Program.Filter == nil:
		return "tcp or udp"
	}
	return o.Program.Filter.String()
}

// record opens the file to write, or for "-" takes stdout. It is nil where none
// is wanted.
func (o *Options) record(env Environment, say func(string)) (*capfile.Writer, error) {
	if o.Pcap && !o.Quiet {
		fmt.Fprintln(env.Stderr, "a pcap file keeps packets, times and lengths: not interfaces, filter, directions, verdicts, comments and counters, as pcapng does")
	}
	about := capfile.WriterOptions{SnapLen: o.SnapLen, Pcap: o.Pcap, Filter: o.filter(), Ring: o.Ring, Say: say}
	about.All = o.Count == 0 && (o.Program.Keep || o.Skip > 0)
	about.Ring.Location = o.Location
	about.Then = capfile.Then{Command: o.Then, Output: env.Stderr}
	if file := term.File(env.Stderr); file != nil && o.output().Name != "json" {
		about.Then.Output = file // as the command's own, which may outlive this process
	}
	for _, name := range o.Files {
		if info, err := os.Stat(name); err == nil {
			about.Read = append(about.Read, info)
		}
	}
	switch file, ok := env.Stdout.(*os.File); {
	case o.Write == "":
		return nil, nil
	case o.Write != "-":
		return capfile.Create(o.Write, about, env.Signals)
	case !ok:
		return nil, errors.New("-w - needs a file or a pipe as standard output")
	default:
		return capfile.NewWriter(file, about), nil
	}
}

// folding is what makes conversations of events; nil: nothing is to. What is to be said
// meanwhile goes to said.
func (o *Options) folding(said chan<- string) (*folding, error) {
	if o.Flows == nil {
		return nil, nil
	}
	f := &folding{Flows: *o.Flows}
	if o.Flows.Export != nil {
		options := *o.Flows.Export
		options.Say = sayTo(said)
		var err error
		if f.export, err = ipfix.New(options); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// wanted is how many events are to be had; 0: all.
func (o *Options) wanted() uint64 {
	if o.Count == 0 || o.Flows != nil { // of which one takes any number
		return 0
	}
	return o.Count + o.Skip
}

// timeout returns a context that is done when the run has lasted long enough.
func timeout(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	if after == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, after)
}
