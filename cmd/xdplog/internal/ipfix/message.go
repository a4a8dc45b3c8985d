package ipfix

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader/flow"
)

// maxMessage is what fits any path of IPv6: 1280 bytes without the headers of IPv6 and UDP.
const maxMessage = 1280 - 40 - 8

const (
	headerLength = 16
	version      = 10
)

// A message is one that is being made, or waits to be sent. Its header is not complete
// before that.
type message struct {
	b    []byte
	set  int  // where the last set begins
	kind kind // of the last set
	sums sums
}

// sums are what is in messages.
type sums struct{ flows, packets, octets uint64 }

func (s *sums) add(t sums) {
	s.flows += t.flows
	s.packets += t.packets
	s.octets += t.octets
}

func (s *sums) sub(t sums) {
	s.flows -= t.flows
	s.packets -= t.packets
	s.octets -= t.octets
}

func (m *message) reset() {
	m.b, m.set, m.sums = append(m.b[:0], make([]byte, headerLength)...), 0, sums{}
}

func (m *message) empty() bool { return m.sums.flows == 0 }

// A shape is what records are made by.
type shape struct {
	lengths    [kinds]int // of records
	headerless []int      // indexes of interfaces whose packets have no Ethernet header
}

func newShape() *shape {
	s := new(shape)
	for k := range kinds {
		s.lengths[k] = k.length()
	}
	return s
}

// add adds a flow, if there is room.
func (m *message) add(f *flow.Flow, as *shape) bool {
	k := kindOf(f)
	size := as.lengths[k]
	if m.set == 0 || m.kind != k {
		size += 4
	}
	if len(m.b)+size > maxMessage {
		return false
	}
	if m.set == 0 || m.kind != k {
		m.b, m.set = beginSet(m.b, k.id())
		m.kind = k
	}
	m.b = as.appendRecord(m.b, k, f)
	endSet(m.b, m.set)
	m.sums.add(sums{1, f.ToServer.Packets + f.ToClient.Packets, as.networkOctets(f, f.ToServer) + as.networkOctets(f, f.ToClient)})
	return true
}

// complete fills in the header.
func complete(b []byte, now time.Time, sequence, domain uint32) {
	binary.BigEndian.PutUint16(b, version)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint32(b[4:], uint32(now.Unix()))
	binary.BigEndian.PutUint32(b[8:], sequence)
	binary.BigEndian.PutUint32(b[12:], domain)
}

func kindOf(f *flow.Flow) kind {
	k := other
	switch f.IPVersion {
	case 4:
		k = ipv4
	case 6:
		k = ipv6
	default:
		return k
	}
	if f.ToServer.Packets > 0 && f.ToClient.Packets > 0 {
		k++
	}
	return k
}

// Values of biflowDirection (RFC 5103, 6.3).
const (
	initiator        = 1
	reverseInitiator = 2
)

// appendRecord appends a flow by the template of its kind. A flow of answers alone is one
// from the server to the client.
func (as *shape) appendRecord(b []byte, k kind, f *flow.Flow) []byte {
	source, destination := f.Client, f.Server
	there, back, began := f.ToServer, f.ToClient, byte(initiator)
	if there.Packets == 0 {
		source, destination, there, back, began = destination, source, back, there, reverseInitiator
	}
	if k == other {
		b = binary.BigEndian.AppendUint16(b, f.EtherType)
	} else {
		b = append(b, source.Addr().AsSlice()...)
		b = append(b, destination.Addr().AsSlice()...)
		b = binary.BigEndian.AppendUint16(b, source.Port())
		b = binary.BigEndian.AppendUint16(b, destination.Port())
		b = append(b, f.Protocol, f.IPVersion)
	}
	if k == ipv4Both || k == ipv6Both {
		b = as.appendSide(b, f, back)
	}
	b = as.appendSide(b, f, there)
	b = binary.BigEndian.AppendUint64(b, uint64(f.Start.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(f.End.UnixMilli()))
	in, out, direction := uint32(f.Interface), uint32(0), byte(0)
	if f.Direction == wire.Out {
		in, out, direction = out, in, 1
	}
	b = binary.BigEndian.AppendUint32(b, in)
	b = binary.BigEndian.AppendUint32(b, out)
	b = append(b, direction)
	b = binary.BigEndian.AppendUint16(b, f.VLAN[0])
	return append(b, status(f.Verdict), endReason(f), began)
}

func (as *shape) appendSide(b []byte, f *flow.Flow, s flow.Side) []byte {
	b = binary.BigEndian.AppendUint64(b, s.Packets)
	b = binary.BigEndian.AppendUint64(b, as.networkOctets(f, s))
	b = binary.BigEndian.AppendUint64(b, s.Bytes)
	return append(b, s.TCPFlags)
}

// networkOctets are the bytes from the IP header on. The padding of short frames, which
// nobody tells us of, is among them.
func (as *shape) networkOctets(f *flow.Flow, s flow.Side) uint64 {
	if slices.Contains(as.headerless, f.Interface) {
		return s.Bytes
	}
	header := s.Packets * uint64(14+4*int(f.VLANs))
	return s.Bytes - min(header, s.Bytes)
}

// status is the forwardingStatus of a verdict: that of forwarded, or dropped, packets of
// which no more is known.
func status(v wire.Verdict) byte {
	switch v {
	case wire.NoVerdict:
		return 0
	case wire.Drop, wire.Aborted:
		return 2 << 6
	}
	return 1 << 6
}

// endReason is the flowEndReason of a flow.
func endReason(f *flow.Flow) byte {
	const (
		idleTimeout     = 1
		activeTimeout   = 2
		endOfFlow       = 3
		forcedEnd       = 4
		lackOfResources = 5
	)
	switch f.Reason {
	case flow.Active:
		return activeTimeout
	case flow.Full:
		return lackOfResources
	case flow.Shutdown:
		return forcedEnd
	case flow.Reused:
		return endOfFlow
	}
	if f.State == flow.Closed {
		return endOfFlow
	}
	return idleTimeout
}

// appendStats appends the set of an exporter's sums (RFC 7011, 4.2 and 4.3), whose fields
// are those of its options template.
func appendStats(b []byte, process uint32, messages, bytes uint64, sent, notSent sums) []byte {
	b, start := beginSet(b, statsTemplate)
	b = binary.BigEndian.AppendUint32(b, process)
	for _, n := range [...]uint64{messages, sent.flows, bytes, notSent.flows, notSent.packets, notSent.octets} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	endSet(b, start)
	return b
}
