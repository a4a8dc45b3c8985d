package format

import (
	"strconv"
	"time"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/detail"
	"github.com/xdplog/xdplog/internal/words"
	"github.com/xdplog/xdplog/reader"
)

// logLines writes the line of the tutorial that this grew from:
//
//	[2023-01-25T08:57:41Z INFO  xdplog] SRC IP: 60.235.240.157, SRC_PORT: 443
//
// A packet without ports has "SRC IP" alone, a frame that is not IP its
// EtherType in its place. With -e "SRC MAC" comes first.
type logLines struct {
	closingLines
	nameless
	clock words.Clock
	ether bool
}

func makeLog(o Options) Format { return newLog(o.Detail.Ether) }

func newLog(ether bool) *logLines {
	return &logLines{ether: ether, clock: words.Clock{Layout: "[2006-01-02T15:04:05Z INFO  xdplog] ", Location: time.UTC}}
}

func (f *logLines) AppendEvent(b []byte, e *reader.Event, p detail.Packet) []byte {
	b = f.clock.AppendSecond(b, e.Time)
	if f.ether {
		if source, _ := p.MACs(); source != nil {
			b = detail.AppendMAC(append(b, "SRC MAC: "...), source)
			b = append(b, ", "...)
		}
	}
	if e.IPVersion == 0 {
		b = append(b, "ETHER TYPE: "...)
		b = words.AppendEtherType(b, e.EtherType)
		return append(b, '\n')
	}
	b = append(b, "SRC IP: "...)
	b = e.Source.Addr().AppendTo(b)
	if e.HasPorts {
		b = append(b, ", SRC_PORT: "...)
		b = strconv.AppendUint(b, uint64(e.Source.Port()), 10)
	}
	return append(b, '\n')
}
