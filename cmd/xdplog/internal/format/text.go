package format

import (
	"time"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/reader"
)

// text writes one packet a line, in the spirit of tcpdump:
//
//	08:57:41.123456 eth0 tcp 60.235.240.157:443 > 10.0.0.2:51324 [S.] ttl 57 len 60
//
// Times are local, or in another of the [TimeFormats]. What stands behind the
// interface is [reader.Event.AppendTo].
type text struct {
	closingLines
	interfaces names.Interfaces
	stamp      stamp
}

func makeText(o Options) Format {
	location := o.Location
	if location == nil {
		location = time.Local
	}
	return o.Style.apply(newText(o.Interfaces, location), o.Output)
}

func newText(interfaces []names.Interface, location *time.Location) *text {
	return &text{interfaces: interfaces, stamp: newStamp("time", location)}
}

func (f *text) AppendEvent(b []byte, e *reader.Event) []byte {
	b = f.stamp.append(b, e.Time)
	if name := f.interfaces.Of(e.Interface); name != "" {
		b = append(b, name...)
		b = append(b, ' ')
	}
	return append(appendPort(e.AppendTo(b), f.interfaces, e), '\n')
}

// appendPort appends which port of the interface received a packet, where that is known.
func appendPort(b []byte, interfaces names.Interfaces, e *reader.Event) []byte {
	if e.Port == 0 {
		return b
	}
	return append(append(b, " via "...), interfaces.Of(e.Port)...)
}

// AddInterface implements [Format]. The name is a file's, which may have put
// anything there: it stays one word.
func (f *text) AddInterface(i names.Interface) {
	i.Name = names.OneWord(i.Name)
	f.interfaces = append(f.interfaces, i)
}
