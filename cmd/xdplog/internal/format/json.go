package format

import (
	"strconv"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/detail"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/reader"
	"github.com/xdplog/xdplog/reader/eve"
)

// jsonLines writes one object a line: see package eve.
type jsonLines struct {
	eve.Encoder
	detail detail.Options
	number uint64 // of events so far
}

func makeJSON(o Options) Format {
	f := newJSON(o.Interfaces)
	f.detail = o.Detail
	f.Micro = o.Style.Precision == "micro"
	return f
}

func newJSON(interfaces []names.Interface) *jsonLines {
	f := new(jsonLines)
	for _, i := range interfaces {
		f.AddInterface(i)
	}
	return f
}

// AppendEvent implements [Format]. Details are further fields of the object.
func (f *jsonLines) AppendEvent(b []byte, e *reader.Event, p detail.Packet) []byte {
	b = f.Encoder.AppendEvent(b, e)
	if f.detail == (detail.Options{}) {
		return b
	}
	b = b[:len(b)-len("}\n")]
	if f.detail.Number {
		f.number++
		b = strconv.AppendUint(append(b, `,"number":`...), f.number, 10)
	}
	return append(f.detail.AppendFields(b, p), "}\n"...)
}

// AddInterface implements [Format].
func (f *jsonLines) AddInterface(i names.Interface) { f.Name(i.Index, i.Name) }
