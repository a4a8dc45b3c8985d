package format

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/reader"
)

// text writes one packet a line, in the spirit of tcpdump:
//
//	08:57:41.123456 eth0 tcp 60.235.240.157:443 > 10.0.0.2:51324 [S.] ttl 57 len 60
//
// Times are local, or in another of the [TimeFormats]. "in" or "out" stands behind the interface where that is
// said. What is unusual about a packet stands at the end of its line: "vlan 10,20", "frag" (a later fragment),
// "cut" (the frame ends before what its headers announce), "segments 45" (so many packets on the wire), and what a
// program beside ours decided of it: "drop".
type text struct {
	closingLines
	interfaces names.Interfaces
	stamp      stamp
	protocols  [256]string
}

func makeText(o Options) Format {
	location := o.Location
	if location == nil {
		location = time.Local
	}
	return o.Style.apply(newText(o.Interfaces, location), o.Output)
}

func newText(interfaces []names.Interface, location *time.Location) *text {
	f := &text{
		interfaces: interfaces,
		stamp:      newStamp("time", location),
	}
	for i := range f.protocols {
		// Words are parted by spaces; two keywords have one inside.
		f.protocols[i] = strings.ReplaceAll(strings.ToLower(names.Protocol(uint8(i))), " ", "-")
	}
	return f
}

func (f *text) AppendEvent(b []byte, e *reader.Event) []byte {
	b = f.stamp.append(b, e.Time)
	if name := f.interfaces.Of(e.Interface); name != "" {
		b = append(b, name...)
		b = append(b, ' ')
	}
	b = appendDirection(b, e.Direction)
	if e.IPVersion == 0 {
		b = names.AppendEtherType(b, e.EtherType)
	} else {
		b = f.appendIP(b, e)
	}
	b = append(b, " len "...)
	b = strconv.AppendUint(b, uint64(e.Length), 10)
	return append(appendRemarks(b, e), '\n')
}

// AddInterface implements [Format]. The name is a file's, which may have put
// anything there: it stays one word.
func (f *text) AddInterface(i names.Interface) {
	i.Name = names.OneWord(i.Name)
	f.interfaces = append(f.interfaces, i)
}

func (f *text) appendIP(b []byte, e *reader.Event) []byte {
	b = append(b, f.protocols[e.Protocol]...)
	b = append(b, ' ')
	b = appendEndpoint(b, e.Source, e.HasPorts)
	b = append(b, " > "...)
	b = appendEndpoint(b, e.Destination, e.HasPorts)
	if e.HasTCPFlags {
		b = appendTCPFlags(b, e.TCPFlags)
	}
	b = append(b, " ttl "...)
	return strconv.AppendUint(b, uint64(e.TTL), 10)
}

func appendEndpoint(b []byte, at netip.AddrPort, hasPort bool) []byte {
	if hasPort {
		return at.AppendTo(b)
	}
	return at.Addr().AppendTo(b)
}

// appendTCPFlags appends the flags by tcpdump's letters, in its order.
func appendTCPFlags(b []byte, flags uint8) []byte {
	const letters = "FSRP.UEW" // from the lowest bit up; "." is ACK
	if flags == 0 {
		return append(b, " [none]"...)
	}
	b = append(b, " ["...)
	for i := range len(letters) {
		if flags&(1<<i) != 0 {
			b = append(b, letters[i])
		}
	}
	return append(b, ']')
}

func appendDirection(b []byte, d wire.Direction) []byte {
	if d == wire.NoDirection {
		return b
	}
	return append(append(b, d.String()...), ' ')
}

// remarkable says whether there is something to remark.
func remarkable(e *reader.Event) bool {
	return e.VLANs > 0 || e.Fragment || e.Truncated || e.Segments != 0 || e.Verdict != wire.NoVerdict
}

func appendRemarks(b []byte, e *reader.Event) []byte {
	for i := range e.VLANs {
		if i == 0 {
			b = append(b, " vlan "...)
		} else {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(e.VLAN[i]), 10)
	}
	if e.Fragment {
		b = append(b, " frag"...)
	}
	if e.Truncated {
		b = append(b, " cut"...)
	}
	if e.Segments != 0 {
		b = append(b, " segments "...)
		b = strconv.AppendUint(b, uint64(e.Segments), 10)
	}
	if e.Verdict != wire.NoVerdict {
		b = append(b, ' ')
		b = append(b, e.Verdict.String()...)
	}
	return b
}
