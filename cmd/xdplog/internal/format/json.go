package format

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/reader"
)

// jsonLines writes one object a line, with the field names of Suricata's EVE.
// A field that the packet does not have is left out.
//
// It is written by appending: encoding/json takes about ten times as long.
type jsonLines struct {
	interfaces names.Interfaces // names quoted
	clock      clock
	protocols  [256]string // the two fields of a protocol
}

func makeJSON(o Options) Format { return newJSON(o.Interfaces) }

func newJSON(interfaces []names.Interface) *jsonLines {
	f := &jsonLines{clock: jsonClock()}
	for _, i := range interfaces {
		f.AddInterface(i)
	}
	for i := range f.protocols {
		b := append([]byte(nil), `,"proto":`...)
		b = AppendQuoted(b, names.Protocol(uint8(i)))
		b = append(b, `,"proto_number":`...)
		f.protocols[i] = string(strconv.AppendUint(b, uint64(i), 10))
	}
	return f
}

// ethernetHeader is the length of an Ethernet header in bytes.
const ethernetHeader = 14

func jsonClock() clock {
	return clock{layout: "2006-01-02T15:04:05.", location: time.UTC}
}

func (f *jsonLines) AppendEvent(b []byte, e *reader.Event) []byte {
	b = appendStart(b, &f.clock, e.Time, "packet")
	b = f.appendInterface(b, e.Interface)
	b = append(b, `,"pkt_len":`...)
	b = strconv.AppendUint(b, uint64(e.Length), 10)
	b = appendFate(b, e)
	b = appendVLAN(b, e)
	if e.EtherType != 0 || e.Length >= ethernetHeader { // else it has none
		b = append(b, `,"ether_type":`...)
		b = strconv.AppendUint(b, uint64(e.EtherType), 10)
	}
	if e.IPVersion != 0 {
		b = f.appendIP(b, e)
	}
	if e.HasTCPFlags {
		const hex = "0123456789abcdef"
		b = append(b, `,"tcp_flags":"`...)
		b = append(b, hex[e.TCPFlags>>4], hex[e.TCPFlags&0xf], '"')
	}
	if e.Fragment {
		b = append(b, `,"fragment":true`...)
	}
	if e.Truncated {
		b = append(b, `,"truncated":true`...)
	}
	return append(b, "}\n"...)
}

// appendStart appends what every object begins with.
func appendStart(b []byte, c *clock, t time.Time, eventType string) []byte {
	b = append(b, `{"timestamp":"`...)
	b = c.appendSecond(b, t)
	b = appendDigits(b, t.Nanosecond(), 9)
	b = append(b, `Z","event_type":"`...)
	b = append(b, eventType...)
	return append(b, '"')
}

// AddInterface implements [Format].
func (f *jsonLines) AddInterface(i names.Interface) {
	if i.Name != "" {
		i.Name = string(AppendQuoted(nil, i.Name))
	}
	f.interfaces = append(f.interfaces, i)
}

func (f *jsonLines) appendInterface(b []byte, index int) []byte {
	name := f.interfaces.Of(index)
	if name == "" {
		return b
	}
	b = append(b, `,"in_iface":`...)
	if name[0] == '"' {
		return append(b, name...)
	}
	return AppendQuoted(b, name) // an index that is none of ours
}

// appendFate appends what is said of a packet beside itself. The names need no
// quoting.
func appendFate(b []byte, e *reader.Event) []byte {
	if e.Segments != 0 {
		b = append(b, `,"segments":`...)
		b = strconv.AppendUint(b, uint64(e.Segments), 10)
	}
	if e.Direction != wire.NoDirection {
		b = append(b, `,"direction":"`...)
		b = append(b, e.Direction.String()...)
		b = append(b, '"')
	}
	if e.Verdict != wire.NoVerdict {
		b = append(b, `,"verdict":"`...)
		b = append(b, e.Verdict.String()...)
		b = append(b, '"')
	}
	return b
}

func appendVLAN(b []byte, e *reader.Event) []byte {
	if e.VLANs == 0 {
		return b
	}
	b = append(b, `,"vlan":[`...)
	b = strconv.AppendUint(b, uint64(e.VLAN[0]), 10)
	if e.VLANs > 1 {
		b = append(b, ',')
		b = strconv.AppendUint(b, uint64(e.VLAN[1]), 10)
	}
	return append(b, ']')
}

func (f *jsonLines) appendIP(b []byte, e *reader.Event) []byte {
	b = append(b, `,"ip_v":`...)
	b = append(b, '0'+e.IPVersion)
	b = append(b, `,"src_ip":"`...)
	b = e.Source.Addr().AppendTo(b)
	b = append(b, '"')
	if e.HasPorts {
		b = append(b, `,"src_port":`...)
		b = strconv.AppendUint(b, uint64(e.Source.Port()), 10)
	}
	b = append(b, `,"dest_ip":"`...)
	b = e.Destination.Addr().AppendTo(b)
	b = append(b, '"')
	if e.HasPorts {
		b = append(b, `,"dest_port":`...)
		b = strconv.AppendUint(b, uint64(e.Destination.Port()), 10)
	}
	b = append(b, f.protocols[e.Protocol]...)
	b = append(b, `,"ttl":`...)
	return strconv.AppendUint(b, uint64(e.TTL), 10)
}

func (*jsonLines) AppendCounters(b []byte, c wire.Counters, at time.Time) []byte {
	own := jsonClock() // the other is in use by events
	b = appendStart(b, &own, at, "stats")
	b = append(b, `,"stats":{"seen":`...)
	b = strconv.AppendUint(b, c.Seen, 10)
	b = append(b, `,"matched":`...)
	b = strconv.AppendUint(b, c.Matched(), 10)
	b = append(b, `,"sampled_out":`...)
	b = strconv.AppendUint(b, c.SampledOut, 10)
	b = append(b, `,"captured":`...)
	b = strconv.AppendUint(b, c.Captured, 10)
	b = append(b, `,"lost":`...)
	b = strconv.AppendUint(b, c.Lost, 10)
	return append(b, "}}\n"...)
}

// AppendQuoted appends s as a JSON string (RFC 8259, 7). Bytes that are no
// UTF-8 become U+FFFD: an interface may be called nearly anything.
func AppendQuoted(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s { // U+FFFD where s is no UTF-8
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = append(b, `\u00`...)
			b = append(b, hex[r>>4], hex[r&0xf])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// AppendStats appends the object of AppendCounters, and one more in it:
//
//	"rates":{"seen":100.0,"matched":80.0,"sampled_out":0.0,"captured":79.0,"lost":1.0}
func (f *jsonLines) AppendStats(b []byte, c, before wire.Counters, seconds float64, at time.Time) []byte {
	b = f.AppendCounters(b, c, at)
	b = append(b[:len(b)-len("}\n")], `,"rates":`...)
	was := counterNames(before)
	for i, counter := range counterNames(c) {
		b = append(b, "{,"[min(i, 1)])
		b = AppendQuoted(b, counter.name)
		b = append(b, ':')
		b = appendRate(b, counter.value, was[i].value, seconds, 1)
	}
	return append(b, "}}\n"...)
}
