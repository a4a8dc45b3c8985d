// Package format writes events and counters as lines: it is all that there is
// to -o.
//
// A busy interface has millions of packets a second, and encoding/json would take
// about ten times as long for each as its line may. So a format appends to a
// buffer of its caller's, and keeps what it needs again: quoted names, the
// protocols' words, the last second's text. It always writes whole lines, one an
// event, and allocates nothing for it; names that come from a file can't break a
// line or command a terminal.
//
// It imports detail, names and term beside it, words, and the library's reader, reader/eve,
// reader/flow and asm/wire.
package format

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/detail"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/reader"
	"github.com/xdplog/xdplog/reader/eve"
	"github.com/xdplog/xdplog/reader/flow"
)

// kinds are all formats, the default first. One more is a file with what makes
// it, and a line here: flags, completion, help and errors follow.
var kinds = [...]Kind{
	{Name: "text", About: "default", Styled: true, make: makeText},
	{Name: "json", Machine: true, make: makeJSON},
	{Name: "log", Plain: true, make: makeLog},
	{Name: "none", About: "counters alone", Silent: true, make: makeNone},
}

// A Kind is a value of -o.
type Kind struct {
	Name    string // "" in the zero value, which is none of them
	About   string // in two words, for the help; may be empty
	Styled  bool   // a [Style] says how it looks
	Machine bool   // is read by programs, also its counters
	Silent  bool   // writes no events
	Plain   bool   // has no room for details of packets, but who sent the frame

	make func(Options) Format
}

// A Format writes events and counters as lines, appending them to b.
type Format interface {
	// AppendEvent appends the line of one event, and the lines of its packet's
	// bytes where they are wanted. It allocates nothing once b has grown, and is for
	// one goroutine at a time.
	AppendEvent(b []byte, e *reader.Event, p detail.Packet) []byte

	// AppendFlow appends the line of one flow. As AppendEvent.
	AppendFlow(b []byte, f *flow.Flow) []byte

	// AddInterface makes known an interface that was found on the way, without
	// a name perhaps. It is called as AppendEvent is.
	AddInterface(i names.Interface)

	// AppendCounters appends the counters as they stood at a time. It may be
	// called while another goroutine appends events.
	AppendCounters(b []byte, c wire.Counters, at time.Time) []byte

	// AppendFlowCounters appends also the sums over flows, and more of these. As
	// AppendCounters.
	AppendFlowCounters(b []byte, c wire.Counters, flows flow.Stats, at time.Time, more ...eve.Stat) []byte

	// AppendStats appends a line of the counters so far and of how many there
	// were per second, in the seconds since they were before. As AppendCounters.
	AppendStats(b []byte, c, before wire.Counters, seconds float64, at time.Time) []byte
}

// Options are what a format is made with. None is needed.
type Options struct {
	Interfaces []names.Interface // that are known from the start
	Style      Style
	Detail     detail.Options // what is said of packets beside their events
	Output     io.Writer      // where the lines will go, for [Style]; nil: to no terminal
	Location   *time.Location // of local times; nil: this machine's
}

// New returns a format of the kind, which is one that [Find], [Default] or
// [None] gave.
func (k Kind) New(o Options) Format { return k.make(o) }

// Default is the kind where nobody asks for one.
func Default() Kind { return kinds[0] }

// None is the kind that writes no events.
func None() Kind {
	for _, k := range kinds {
		if k.Silent {
			return k
		}
	}
	panic("no kind is silent")
}

// Find returns the kind of a name. Its error says which there are.
func Find(name string) (Kind, error) {
	for _, k := range kinds {
		if k.Name == name {
			return k, nil
		}
	}
	return Kind{}, fmt.Errorf("must be one of %s", strings.Join(Names(), ", "))
}

// Names are those of all kinds, the default first.
func Names() []string {
	var all []string
	for _, k := range kinds {
		all = append(all, k.Name)
	}
	return all
}

// Usage lists all kinds in a line for the help.
func Usage() string {
	var all []string
	for _, k := range kinds {
		if k.About != "" {
			k.Name += " (" + k.About + ")"
		}
		all = append(all, k.Name)
	}
	return strings.Join(all, ", ")
}
