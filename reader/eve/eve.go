// Package eve writes events as lines of JSON, with the field names of Suricata's
// EVE, which log shippers know.
//
// A busy interface has millions of packets a second, and encoding/json takes about
// ten times as long as this: an [Encoder] appends to a buffer of its caller's, and
// keeps what it needs again. What always holds: one call appends one whole line,
// which is one object; a field that the packet does not have is left out; the
// output is UTF-8, whatever an interface is called.
//
// It imports reader, reader/flow, words and asm/wire.
package eve

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/internal/words"
	"github.com/xdplog/xdplog/reader"
)

// An Encoder appends events as lines. The zero value is ready, and calls
// interfaces by their index. It is for one goroutine at a time.
type Encoder struct {
	// Micro has times end in six digits, as Suricata's do, instead of nine.
	Micro bool

	interfaces []named
	clock      words.Clock
	protocols  [256]string // see protocol; "": not yet needed
}

// named is an interface with its name, in quotes or empty.
type named struct {
	index  int
	quoted string
}

// Name has the events of an interface, by [reader.Event.Interface], bear a name as
// "in_iface", or by [reader.Event.Port] as "in_port". The empty name leaves the field out. A second name of the same index
// replaces the first.
func (e *Encoder) Name(index int, name string) {
	quoted := ""
	if name != "" {
		quoted = string(words.AppendQuoted(nil, name))
	}
	for i := range e.interfaces {
		if e.interfaces[i].index == index {
			e.interfaces[i].quoted = quoted
			return
		}
	}
	e.interfaces = append(e.interfaces, named{index, quoted})
}

// ethernetHeader is the length of an Ethernet header in bytes.
const ethernetHeader = 14

// utc is the clock of all lines, without a second's fraction.
func utc() words.Clock { return words.Clock{Layout: "2006-01-02T15:04:05.", Location: time.UTC} }

// AppendEvent appends the line of an event to b:
//
//	{"timestamp":"2026-11-23T08:57:41.986144021Z","event_type":"packet","in_iface":"eth0",
//	"pkt_len":74,"segments":45,"direction":"in","verdict":"drop","vlan":[10,20],"ether_type":2048,"ip_v":4,"src_ip":"192.0.2.1","src_port":34990,
//	"dest_ip":"192.0.2.2","dest_port":80,"proto":"TCP","proto_number":6,"ttl":64,"tcp_flags":"02",
//	"fragment":true,"truncated":true,"hash":523124044,"hash_over":["ipv4","udp"],
//	"tunnel":{"src_ip":"198.51.100.1","src_port":50000,"dest_ip":"198.51.100.2","dest_port":4789,"proto":"UDP","proto_number":17,
//	"ttl":62,"depth":1,"type":"vxlan","vni":42,"vlan":[30]}}
//
// It allocates nothing where b has room, but for the first event of a protocol.
func (e *Encoder) AppendEvent(b []byte, event *reader.Event) []byte {
	b = e.begin(b, event.Time, "packet")
	b = e.appendInterface(b, `,"in_iface":`, event.Interface)
	if event.Port != 0 {
		b = e.appendInterface(b, `,"in_port":`, event.Port)
	}
	b = append(b, `,"pkt_len":`...)
	b = strconv.AppendUint(b, uint64(event.Length), 10)
	b = appendFate(b, event)
	b = appendVLAN(b, event.Tags())
	if event.EtherType != 0 || event.Length >= ethernetHeader { // else it has none
		b = append(b, `,"ether_type":`...)
		b = strconv.AppendUint(b, uint64(event.EtherType), 10)
	}
	if event.IPVersion != 0 {
		b = e.appendIP(b, event)
	}
	if event.HasTCPFlags {
		b = append(b, `,"tcp_flags":`...)
		b = appendHex(b, event.TCPFlags)
	}
	if event.Fragment {
		b = append(b, `,"fragment":true`...)
	}
	if event.Truncated {
		b = append(b, `,"truncated":true`...)
	}
	if event.Hash.Known() {
		b = appendHash(b, event.Hash)
	}
	if event.Tunnel.Kind != wire.NoTunnel {
		b = e.appendTunnel(b, &event.Tunnel)
	}
	return append(b, "}\n"...)
}

func appendHash(b []byte, h wire.Hash) []byte {
	b = append(b, `,"hash":`...)
	b = strconv.AppendUint(b, uint64(h.Value), 10)
	if h.Over == 0 {
		return b
	}
	b = append(b, `,"hash_over":["`...)
	b = h.Over.AppendWords(b, `","`)
	return append(b, `"]`...)
}

// appendHex appends two digits in quotes.
func appendHex(b []byte, n uint8) []byte {
	const hex = "0123456789abcdef"
	return append(b, '"', hex[n>>4], hex[n&0xf], '"')
}

// begin appends what a line begins with whose time is like to be in the second of the last one.
func (e *Encoder) begin(b []byte, t time.Time, eventType string) []byte {
	if e.clock.Location == nil {
		e.clock = utc()
	}
	return e.appendStart(b, &e.clock, t, eventType)
}

// appendStart is [Encoder.appendStart] of the zero encoder.
func appendStart(b []byte, c *words.Clock, t time.Time, eventType string) []byte {
	return new(Encoder).appendStart(b, c, t, eventType)
}

// appendStart appends what every object begins with.
func (e *Encoder) appendStart(b []byte, c *words.Clock, t time.Time, eventType string) []byte {
	b = append(b, `{"timestamp":"`...)
	b = c.AppendSecond(b, t)
	b = e.appendFraction(b, t)
	b = append(b, `Z","event_type":"`...)
	b = append(b, eventType...)
	return append(b, '"')
}

// appendFraction appends the digits of a time behind its second.
func (e *Encoder) appendFraction(b []byte, t time.Time) []byte {
	if e.Micro {
		return words.AppendDigits(b, t.Nanosecond()/1000, 6)
	}
	return words.AppendDigits(b, t.Nanosecond(), 9)
}

func (e *Encoder) appendInterface(b []byte, field string, index int) []byte {
	quoted, known := e.find(index)
	if !known {
		b = append(append(b, field...), '"')
		return append(strconv.AppendInt(b, int64(index), 10), '"')
	}
	if quoted == "" {
		return b
	}
	b = append(b, field...)
	return append(b, quoted...)
}

// find is the name of an interface. There are few: a scan beats a map. In a
// file there may be many, and they are numbered from 0.
func (e *Encoder) find(index int) (quoted string, known bool) {
	if uint(index) < uint(len(e.interfaces)) && e.interfaces[index].index == index {
		return e.interfaces[index].quoted, true
	}
	for i := range e.interfaces {
		if e.interfaces[i].index == index {
			return e.interfaces[i].quoted, true
		}
	}
	return "", false
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

func appendVLAN(b []byte, ids []uint16) []byte {
	if len(ids) == 0 {
		return b
	}
	b = append(b, `,"vlan":`...)
	for i, id := range ids {
		b = append(b, "[,"[min(i, 1)])
		b = strconv.AppendUint(b, uint64(id), 10)
	}
	return append(b, ']')
}

func (e *Encoder) appendIP(b []byte, event *reader.Event) []byte {
	b = append(b, `,"ip_v":`...)
	b = append(b, '0'+event.IPVersion)
	b = appendEndpoint(b, "src", event.Source, event.HasPorts)
	b = appendEndpoint(b, "dest", event.Destination, event.HasPorts)
	b = append(b, e.protocol(event.Protocol)...)
	b = append(b, `,"ttl":`...)
	return strconv.AppendUint(b, uint64(event.TTL), 10)
}

func appendEndpoint(b []byte, end string, at netip.AddrPort, hasPort bool) []byte {
	b = append(b, `,"`...)
	b = append(b, end...)
	b = append(b, `_ip":"`...)
	b = at.Addr().AppendTo(b)
	b = append(b, '"')
	if hasPort {
		b = append(b, `,"`...)
		b = append(b, end...)
		b = append(b, `_port":`...)
		b = strconv.AppendUint(b, uint64(at.Port()), 10)
	}
	return b
}

// protocol is the two fields of a protocol.
func (e *Encoder) protocol(number uint8) string {
	if e.protocols[number] == "" {
		b := append([]byte(nil), `,"proto":`...)
		b = words.AppendQuoted(b, words.Protocol(number))
		b = append(b, `,"proto_number":`...)
		b = strconv.AppendUint(b, uint64(number), 10)
		e.protocols[number] = string(b)
	}
	return e.protocols[number]
}
