package format

import (
	"io"
	"os"
	"strconv"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/detail"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
	"github.com/xdplog/xdplog/internal/words"
	"github.com/xdplog/xdplog/reader"
)

// A Style says how text looks.
type Style struct {
	Color string // one of [ColorModes]; "": the first
	Times string // one of [TimeFormats]; "": the first

	// Precision is that of times, one of [Precisions]; "": micro of text, else nano.
	Precision string
}

// ColorModes are the values of --color, the default first.
func ColorModes() []string { return []string{"auto", "always", "never"} }

// TimeFormats are the values of --time-format, the default first: tcpdump's
// default, -t, -tt, -ttt, -tttt and -ttttt.
func TimeFormats() []string { return []string{"time", "none", "epoch", "delta", "date", "elapsed"} }

// Precisions are the values of --time-precision, as tcpdump's.
func Precisions() []string { return []string{"micro", "nano"} }

// apply returns text in the style, for where it goes.
func (s Style) apply(plain *text, to io.Writer) Format {
	plain.stamp = newStamp(s.Times, plain.stamp.clock.Location)
	plain.stamp.nano = s.Precision == "nano"
	align := term.IsTerminal(to)
	color := s.Colors(to)
	if !align && !color {
		return plain
	}
	given := plain.interfaces
	plain.interfaces = nil
	for _, i := range given {
		plain.AddInterface(i) // a name must not command the terminal
	}
	return &terminalText{text: plain, align: align, color: color, widths: firstWidths}
}

// Colors reports whether there are any in what is written to a writer.
func (s Style) Colors(to io.Writer) bool {
	return s.Color == "always" || s.Color != "never" && term.IsTerminal(to) && wantsColor(os.Getenv)
}

// wantsColor is what no-color.org and terminfo's users agree on.
func wantsColor(env func(string) string) bool {
	return env("NO_COLOR") == "" && env("TERM") != "dumb"
}

// terminalText is text for the eye: the same words in the same order, in
// colors, and with spaces that make columns of them.
type terminalText struct {
	*text
	color, align bool
	widths       [5]int // of the columns, as wide as they have been so far
}

// Columns that are padded, and how wide a word makes them at most: longer ones
// stick out.
const (
	nameColumn = iota
	protocolColumn
	sourceColumn
	destinationColumn
	flagsColumn
)

var maxWidths = [...]int{15, 9, 28, 28, 7}

// firstWidths have room for any IPv4 address and port.
var firstWidths = [...]int{sourceColumn: 21, destinationColumn: 21, flagsColumn: 0}

// A paint is a "select graphic rendition" sequence of ECMA-48.
type paint string

const (
	plainPaint paint = "\x1b[0m"
	boldPaint  paint = "\x1b[1m"
	dimPaint   paint = "\x1b[2m"
	redPaint   paint = "\x1b[31m"
	greenPaint paint = "\x1b[32m"
	amberPaint paint = "\x1b[33m"
	violet     paint = "\x1b[35m"
	cyanPaint  paint = "\x1b[36m"
)

func (f *terminalText) AppendEvent(b []byte, e *reader.Event, p detail.Packet) []byte {
	b = f.begin(f.appendNumber(b), dimPaint)
	b = f.end(f.stamp.append(b, e.Time))
	if name := f.interfaces.Of(e.Interface); name != "" {
		start := len(b)
		b = append(b, name...)
		b = append(f.pad(b, start, nameColumn), ' ')
	}
	b = f.appendMACs(b, p)
	if e.Direction != wire.NoDirection {
		b = append(b, e.Direction.String()...)
		if f.align && e.Direction == wire.In {
			b = append(b, ' ') // as wide as "out"
		}
		b = append(b, ' ')
	}
	if e.IPVersion == 0 {
		b = f.begin(b, violet)
		b = f.end(words.AppendEtherType(b, e.EtherType))
	} else {
		b = f.appendIP(b, e)
	}
	b = append(b, " len "...)
	b = strconv.AppendUint(b, uint64(e.Length), 10)
	plain := len(b)
	b = f.begin(b, amberPaint)
	painted := len(b)
	if b = appendPort(e.AppendRemarks(b), f.interfaces, e); len(b) == painted {
		return f.appendDetail(b[:plain], p)
	}
	return f.appendDetail(f.end(b), p)
}

func (f *terminalText) appendIP(b []byte, e *reader.Event) []byte {
	b = f.begin(b, protocolPaint(e.Protocol))
	start := len(b)
	b = words.AppendProtocol(b, e.Protocol)
	b = f.end(f.pad(b, start, protocolColumn))
	b = append(b, ' ')

	b = f.begin(b, boldPaint)
	start = len(b)
	b = words.AppendEndpoint(b, e.Source, e.HasPorts)
	b = f.end(f.pad(b, start, sourceColumn))
	b = append(b, " > "...)
	start = len(b)
	b = words.AppendEndpoint(b, e.Destination, e.HasPorts)
	b = f.pad(b, start, destinationColumn)

	const reset = 1 << 2 // RST
	if e.HasTCPFlags && e.TCPFlags&reset != 0 {
		b = f.begin(b, redPaint)
	}
	start = len(b)
	if e.HasTCPFlags {
		b = words.AppendTCPFlags(append(b, ' '), e.TCPFlags)
	}
	b = f.pad(b, start, flagsColumn)
	if e.HasTCPFlags && e.TCPFlags&reset != 0 {
		b = f.end(b)
	}
	b = append(b, " ttl "...)
	return strconv.AppendUint(b, uint64(e.TTL), 10)
}

func protocolPaint(number uint8) paint {
	switch number {
	case 6:
		return cyanPaint
	case 17:
		return greenPaint
	case 1, 58:
		return amberPaint
	}
	return violet
}

func (f *terminalText) begin(b []byte, p paint) []byte {
	if f.color {
		b = append(b, p...)
	}
	return b
}

func (f *terminalText) end(b []byte) []byte { return f.begin(b, plainPaint) }

// pad adds spaces to the word that begins at start, so that the column lines
// up with the lines before. Words here are ASCII, but for an interface's name.
func (f *terminalText) pad(b []byte, start, column int) []byte {
	if !f.align {
		return b
	}
	width := len(b) - start
	f.widths[column] = max(f.widths[column], min(width, maxWidths[column]))
	const spaces = "                            "
	return append(b, spaces[:max(0, f.widths[column]-width)]...)
}
