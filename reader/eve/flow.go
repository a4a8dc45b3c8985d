package eve

import (
	"strconv"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader/flow"
)

// AppendFlow appends the line of a flow to b, from its client to its server:
//
//	{"timestamp":"2026-11-23T08:58:41.986144021Z","event_type":"flow","in_iface":"eth0","vlan":[10],
//	"ether_type":2048,"ip_v":4,"src_ip":"192.0.2.1","src_port":34990,"dest_ip":"192.0.2.2","dest_port":80,
//	"proto":"TCP","proto_number":6,"verdict":"pass",
//	"flow":{"pkts_toserver":6,"pkts_toclient":5,"bytes_toserver":480,"bytes_toclient":400,
//	"start":"2026-11-23T08:57:41.986144021Z","end":"2026-11-23T08:57:43.000000007Z","age":2,
//	"state":"closed","reason":"timeout","alerted":false},
//	"tcp":{"tcp_flags":"1b","tcp_flags_ts":"1b","tcp_flags_tc":"1b","syn":true,"fin":true,"psh":true,"ack":true},
//	"tunnel":{"depth":1,"type":"vxlan","vni":42}}
//
// Where the program beside ours decided differently of its packets, "verdicts" says of
// how many it decided what. A flow that ended early for want of room has "emergency". It
// allocates nothing where AppendEvent would not.
func (e *Encoder) AppendFlow(b []byte, f *flow.Flow) []byte {
	b = e.begin(b, f.Ended, "flow")
	b = e.appendInterface(b, `,"in_iface":`, f.Interface)
	if f.Direction != wire.NoDirection {
		b = append(b, `,"direction":"`...)
		b = append(b, f.Direction.String()...)
		b = append(b, '"')
	}
	b = appendVLAN(b, f.Tags())
	if f.EtherType != 0 {
		b = append(b, `,"ether_type":`...)
		b = strconv.AppendUint(b, uint64(f.EtherType), 10)
	}
	if f.IPVersion != 0 {
		b = append(b, `,"ip_v":`...)
		b = append(b, '0'+f.IPVersion)
		b = appendEndpoint(b, "src", f.Client, f.HasPorts)
		b = appendEndpoint(b, "dest", f.Server, f.HasPorts)
		b = append(b, e.protocol(f.Protocol)...)
	}
	b = appendVerdicts(b, f)
	b = e.appendFlowObject(b, f)
	if f.IPVersion != 0 && f.Protocol == 6 {
		b = appendTCPObject(b, f)
	}
	if f.Tunnel != wire.NoTunnel {
		b = append(b, `,"tunnel":{"depth":1`...)
		b = append(appendTunnelType(b, f.Tunnel, f.VNI, f.Tunnel == wire.VXLAN || f.Tunnel == wire.Geneve), '}')
	}
	return append(b, "}\n"...)
}

// appendVerdicts appends the last verdict, and how many there were of each if they differ.
func appendVerdicts(b []byte, f *flow.Flow) []byte {
	if f.Verdict == wire.NoVerdict {
		return b
	}
	b = append(b, `,"verdict":"`...)
	b = append(b, f.Verdict.String()...)
	b = append(b, '"')
	if f.Verdicts[f.Verdict] == f.ToServer.Packets+f.ToClient.Packets {
		return b
	}
	b = append(b, `,"verdicts":`...)
	n := 0
	for verdict, packets := range f.Verdicts {
		if packets > 0 {
			b = appendName(b, n, wire.Verdict(verdict).String())
			b = strconv.AppendUint(b, packets, 10)
			n++
		}
	}
	return append(b, '}')
}

func (e *Encoder) appendFlowObject(b []byte, f *flow.Flow) []byte {
	b = append(b, `,"flow":`...)
	for i, n := range [...]Stat{
		{"pkts_toserver", f.ToServer.Packets}, {"pkts_toclient", f.ToClient.Packets},
		{"bytes_toserver", f.ToServer.Bytes}, {"bytes_toclient", f.ToClient.Bytes},
	} {
		b = appendName(b, i, n.Name)
		b = strconv.AppendUint(b, n.Value, 10)
	}
	b = e.appendTime(b, "start", f.Start)
	b = e.appendTime(b, "end", f.End)
	b = append(b, `,"age":`...) // of whole seconds, as they stand on the clock
	b = strconv.AppendInt(b, f.End.Unix()-f.Start.Unix(), 10)
	if f.Reason == flow.Full {
		b = append(b, `,"emergency":true`...)
	}
	b = append(b, `,"state":"`...)
	b = append(b, f.State.String()...)
	b = append(b, `","reason":"`...)
	b = append(b, f.Reason.String()...)
	return append(b, `","alerted":false}`...)
}

func (e *Encoder) appendTime(b []byte, name string, t time.Time) []byte {
	b = appendName(b, 1, name)
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, "2006-01-02T15:04:05.")
	b = e.appendFraction(b, t)
	return append(b, `Z"`...)
}

func appendTCPObject(b []byte, f *flow.Flow) []byte {
	all := f.ToServer.TCPFlags | f.ToClient.TCPFlags
	b = append(b, `,"tcp":{"tcp_flags":`...)
	b = appendHex(b, all)
	b = append(b, `,"tcp_flags_ts":`...)
	b = appendHex(b, f.ToServer.TCPFlags)
	b = append(b, `,"tcp_flags_tc":`...)
	b = appendHex(b, f.ToClient.TCPFlags)
	for _, flag := range [...]struct {
		bit  uint8
		name string
	}{{0x02, "syn"}, {0x01, "fin"}, {0x04, "rst"}, {0x08, "psh"}, {0x10, "ack"}, {0x20, "urg"}, {0x40, "ecn"}, {0x80, "cwr"}} {
		if all&flag.bit != 0 {
			b = appendName(b, 1, flag.name)
			b = append(b, "true"...)
		}
	}
	return append(b, '}')
}

// AppendFlowCounters appends the line of [Encoder.AppendCounters] with the sums over flows beside them:
//
//	"flows":{"total":3,"active":0,"packets":17,"early":0}
//
// and more of what is known of them.
func (e *Encoder) AppendFlowCounters(b []byte, c wire.Counters, flows flow.Stats, at time.Time, more ...Stat) []byte {
	b = e.AppendCounters(b, c, at)
	b = append(b[:len(b)-len("}\n")], `,"flows":`...)
	for i, n := range [...]Stat{
		{"total", flows.Begun}, {"active", flows.Open()}, {"packets", flows.Packets}, {"early", flows.Early},
	} {
		b = appendName(b, i, n.Name)
		b = strconv.AppendUint(b, n.Value, 10)
	}
	for _, n := range more {
		b = appendName(b, 1, n.Name)
		b = strconv.AppendUint(b, n.Value, 10)
	}
	return append(b, "}}\n"...)
}
