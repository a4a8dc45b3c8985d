package eve

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/internal/words"
	"github.com/xdplog/xdplog/reader/tally"
)

// A Top is a table of who sends most.
type Top struct {
	By    tally.By
	Rows  []tally.Row // in their order
	Other tally.Sum   // of what has no row here

	Duration time.Duration // in which it was counted
	Final    bool          // of the whole run, not of an interval in it
}

// Total is the rows and other.
func (t *Top) Total() tally.Sum {
	sum := t.Other
	for i := range t.Rows {
		sum.Add(t.Rows[i].Total())
	}
	return sum
}

// AppendTop appends the line of a table as it stood at a time:
//
//	{"timestamp":"2026-11-23T08:57:42.000112233Z","event_type":"top","by":"src","seconds":1.000,"final":true,
//	"rows":[{"src_ip":"192.0.2.1","packets":10,"bytes":640,"start":"…","end":"…","tcp_flags":"1b"}],
//	"other":{"packets":0,"bytes":0},"total":{"packets":10,"bytes":640}}
//
// A row has the fields of its key by the names of [Encoder.AppendEvent]; a network is
// src_net, a MAC address ether.src_mac. Of what its packets don't have, there is none.
// A conversation's source is whoever sent its first packet, the client in EVE's words.
func AppendTop(b []byte, t *Top, at time.Time) []byte {
	clock := utc()
	b = appendStart(b, &clock, at, "top")
	b = append(b, `,"by":"`...)
	b = append(b, t.By.String()...)
	b = append(b, `","seconds":`...)
	b = strconv.AppendFloat(b, t.Duration.Seconds(), 'f', 3, 64)
	if t.Final {
		b = append(b, `,"final":true`...)
	}
	b = append(b, `,"rows":[`...)
	for i := range t.Rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendRow(b, &t.Rows[i], t.By, &clock)
	}
	b = append(b, `],"other":{`...)
	b = appendSum(b, t.Other)
	b = append(b, `},"total":{`...)
	b = appendSum(b, t.Total())
	return append(b, "}}\n"...)
}

func appendSum(b []byte, sum tally.Sum) []byte {
	b = append(b, `"packets":`...)
	b = strconv.AppendUint(b, sum.Packets, 10)
	b = append(b, `,"bytes":`...)
	return strconv.AppendUint(b, sum.Bytes, 10)
}

func appendRow(b []byte, r *tally.Row, by tally.By, clock *words.Clock) []byte {
	start := len(b)
	if b = appendKey(b, r, by); len(b) > start {
		b[start] = '{' // in place of the comma before the first field
		b = append(b, ',')
	} else {
		b = append(b, '{')
	}
	b = appendSum(b, r.Total())
	flags := r.TCPFlags | r.BackTCPFlags
	if by == tally.Conversation {
		server, client := r.Sum, r.Back
		if r.Reversed {
			server, client = client, server
		}
		for _, side := range []struct {
			name string
			sum  tally.Sum
		}{{"toserver", server}, {"toclient", client}} {
			b = append(append(append(b, `,"pkts_`...), side.name...), `":`...)
			b = strconv.AppendUint(b, side.sum.Packets, 10)
			b = append(append(append(b, `,"bytes_`...), side.name...), `":`...)
			b = strconv.AppendUint(b, side.sum.Bytes, 10)
		}
	}
	b = appendTime(b, `,"start":"`, r.First, clock)
	b = appendTime(b, `,"end":"`, r.Last, clock)
	if flags != 0 {
		const hex = "0123456789abcdef"
		b = append(b, `,"tcp_flags":"`...)
		b = append(b, hex[flags>>4], hex[flags&0xf], '"')
	}
	return append(b, '}')
}

func appendTime(b []byte, name string, t time.Time, clock *words.Clock) []byte {
	if t.IsZero() {
		return b
	}
	b = append(b, name...)
	b = clock.AppendSecond(b, t)
	b = words.AppendDigits(b, t.Nanosecond(), 9)
	return append(b, `Z"`...)
}

// appendKey appends the fields of a key, each with a comma before it.
func appendKey(b []byte, r *tally.Row, by tally.By) []byte {
	source, destination := netip.AddrPortFrom(r.Source, r.SourcePort), netip.AddrPortFrom(r.Destination, r.DestinationPort)
	if r.Reversed {
		source, destination = destination, source
	}
	b = appendVLAN(b, r.VLAN[:min(int(r.VLANs), len(r.VLAN))])
	if r.EtherType != 0 {
		b = append(b, `,"ether_type":`...)
		b = strconv.AppendUint(b, uint64(r.EtherType), 10)
	}
	if source.Addr().IsValid() {
		if by == tally.Prefix {
			b = append(b, `,"src_net":"`...)
			b = r.Prefix().AppendTo(b)
			b = append(b, '"')
		} else {
			b = appendEnd(b, "src", source, r.HasPorts)
		}
	}
	if destination.Addr().IsValid() {
		b = appendEnd(b, "dest", destination, r.HasPorts)
	} else if r.HasPorts {
		b = append(b, `,"dest_port":`...)
		b = strconv.AppendUint(b, uint64(r.DestinationPort), 10)
	}
	if r.IsIP {
		b = append(b, `,"proto":`...)
		b = words.AppendQuoted(b, words.Protocol(r.Protocol))
	}
	if r.MAC != [6]byte{} {
		b = append(b, `,"ether":{"src_mac":"`...)
		b = append(tally.AppendMAC(b, r.MAC), `"}`...)
	}
	if r.Verdict != wire.NoVerdict {
		b = append(b, `,"verdict":"`...)
		b = append(b, r.Verdict.String()...)
		b = append(b, '"')
	}
	return b
}

// appendEnd appends an address and its port.
func appendEnd(b []byte, name string, at netip.AddrPort, hasPort bool) []byte {
	b = append(append(append(b, `,"`...), name...), `_ip":"`...)
	b = append(at.Addr().AppendTo(b), '"')
	if hasPort {
		b = append(append(append(b, `,"`...), name...), `_port":`...)
		b = strconv.AppendUint(b, uint64(at.Port()), 10)
	}
	return b
}
