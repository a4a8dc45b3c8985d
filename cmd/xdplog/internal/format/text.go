package format

import (
	"time"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/detail"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/reader"
)

// text writes one packet a line, in the spirit of tcpdump:
//
//	08:57:41.123456 eth0 tcp 60.235.240.157:443 > 10.0.0.2:51324 [S.] ttl 57 len 60
//
// Times are local, or in another of the [TimeFormats]. What stands behind the
// interface is [reader.Event.AppendTo]. With all details it is
//
//	    1  08:57:41.123456 eth0 02:00:00:00:00:01 > 02:00:00:00:00:02, tcp … len 60 dscp 0 id 1 DF seq 2 …
//		0x0000:  4500 003c …
type text struct {
	closingLines
	interfaces names.Interfaces
	stamp      stamp
	detail     detail.Options
	number     uint64 // of events so far
}

func makeText(o Options) Format {
	location := o.Location
	if location == nil {
		location = time.Local
	}
	plain := newText(o.Interfaces, location)
	plain.detail = o.Detail
	return o.Style.apply(plain, o.Output)
}

func newText(interfaces []names.Interface, location *time.Location) *text {
	return &text{interfaces: interfaces, stamp: newStamp("time", location)}
}

func (f *text) AppendEvent(b []byte, e *reader.Event, p detail.Packet) []byte {
	b = f.stamp.append(f.appendNumber(b), e.Time)
	if name := f.interfaces.Of(e.Interface); name != "" {
		b = append(b, name...)
		b = append(b, ' ')
	}
	return f.appendDetail(appendPort(e.AppendTo(f.appendMACs(b, p)), f.interfaces, e), p)
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
