package format

import (
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/reader/eve"
)

// jsonLines writes one object a line: see package eve.
type jsonLines struct{ eve.Encoder }

func makeJSON(o Options) Format { return newJSON(o.Interfaces) }

func newJSON(interfaces []names.Interface) *jsonLines {
	f := new(jsonLines)
	for _, i := range interfaces {
		f.AddInterface(i)
	}
	return f
}

// AddInterface implements [Format].
func (f *jsonLines) AddInterface(i names.Interface) { f.Name(i.Index, i.Name) }

func (*jsonLines) AppendCounters(b []byte, c wire.Counters, at time.Time) []byte {
	return eve.AppendCounters(b, c, at)
}

func (*jsonLines) AppendStats(b []byte, c, before wire.Counters, seconds float64, at time.Time) []byte {
	return eve.AppendStats(b, c, before, seconds, at)
}
