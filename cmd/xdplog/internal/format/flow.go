package format

import (
	"strconv"
	"strings"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/detail"
	"github.com/xdplog/xdplog/internal/words"
	"github.com/xdplog/xdplog/reader"
	"github.com/xdplog/xdplog/reader/eve"
	"github.com/xdplog/xdplog/reader/flow"
)

// AppendFlow appends one line, with the time of the first packet:
//
//	08:57:41.123456 eth0 tcp 192.0.2.1:34990 > 192.0.2.2:80 6 packets 480 bytes [FSP.], 5 packets 400 bytes [FS.] back, 1.203s, closed
//
// Behind that stand why it ended, if not for the time without packets, and what is unusual.
func (f *text) AppendFlow(b []byte, of *flow.Flow) []byte {
	b = f.stamp.append(b, of.Start)
	if name := f.interfaces.Of(of.Interface); name != "" {
		b = append(b, name...)
		b = append(b, ' ')
	}
	if of.Direction != wire.NoDirection {
		b = append(b, of.Direction.String()...)
		b = append(b, ' ')
	}
	if of.IPVersion == 0 {
		b = words.AppendEtherType(b, of.EtherType)
	} else {
		b = words.AppendProtocol(b, of.Protocol)
		b = append(b, ' ')
		b = words.AppendEndpoint(b, of.Client, of.HasPorts)
		b = append(b, " > "...)
		b = words.AppendEndpoint(b, of.Server, of.HasPorts)
	}
	b = append(b, ' ')
	b = appendSide(b, of, &of.ToServer)
	if of.ToClient.Packets > 0 {
		b = append(b, ", "...)
		b = appendSide(b, of, &of.ToClient)
		b = append(b, " back"...)
	}
	b = append(b, ", "...)
	b = strconv.AppendFloat(b, of.End.Sub(of.Start).Seconds(), 'f', 3, 64)
	b = append(b, "s, "...)
	b = append(b, of.State.String()...)
	if of.Reason != flow.Idle {
		b = append(b, " ("...)
		b = append(b, of.Reason.String()...)
		b = append(b, ')')
	}
	remarks := reader.Event{VLAN: of.VLAN, VLANs: of.VLANs, Verdict: of.Verdict}
	b = remarks.AppendRemarks(b)
	if of.Tunnel != wire.NoTunnel {
		b = append(append(b, " inside "...), of.Tunnel.String()...)
	}
	if of.Tunnel == wire.VXLAN || of.Tunnel == wire.Geneve {
		b = strconv.AppendUint(append(b, ' '), uint64(of.VNI), 10)
	}
	return append(b, '\n')
}

func appendSide(b []byte, f *flow.Flow, s *flow.Side) []byte {
	b = appendCount(b, s.Packets, "packet")
	b = append(b, ' ')
	b = appendCount(b, s.Bytes, "byte")
	if f.IPVersion != 0 && f.Protocol == 6 && f.HasPorts && s.Packets > 0 {
		b = append(b, ' ')
		b = words.AppendTCPFlags(b, s.TCPFlags)
	}
	return b
}

// AppendFlow appends the line of the flow's client.
func (f *logLines) AppendFlow(b []byte, of *flow.Flow) []byte {
	return f.AppendEvent(b, &reader.Event{
		Time: of.Start, Source: of.Client, HasPorts: of.HasPorts, IPVersion: of.IPVersion, EtherType: of.EtherType,
	}, detail.Packet{})
}

func (none) AppendFlow(b []byte, _ *flow.Flow) []byte { return b }

// AppendFlowCounters appends the closing lines and one of flows:
//
//	3 flows of 17 packets
func (l closingLines) AppendFlowCounters(b []byte, c wire.Counters, flows flow.Stats, at time.Time, more ...eve.Stat) []byte {
	b = l.AppendCounters(b, c, at)
	b = appendCount(b, flows.Begun, "flow")
	b = append(b, " of "...)
	b = appendCount(b, flows.Packets, "packet")
	if flows.Open() > 0 {
		b = append(b, ", "...)
		b = strconv.AppendUint(b, flows.Open(), 10)
		b = append(b, " of them open"...)
	}
	if flows.Early > 0 {
		b = append(b, ", "...)
		b = strconv.AppendUint(b, flows.Early, 10)
		b = append(b, " ended early for want of room"...)
	}
	for _, n := range more {
		b = append(b, ", "...)
		b = strconv.AppendUint(b, n.Value, 10)
		b = append(b, ' ')
		b = append(b, strings.ReplaceAll(n.Name, "_", " ")...)
	}
	return append(b, '\n')
}

// appendCount appends so many of something.
func appendCount(b []byte, n uint64, what string) []byte {
	b = strconv.AppendUint(b, n, 10)
	b = append(b, ' ')
	b = append(b, what...)
	if n != 1 {
		b = append(b, 's')
	}
	return b
}
