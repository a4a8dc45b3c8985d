package eve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader"
)

// line is what encoding/json makes of a line: a pointer for each field that
// may be missing.
type line struct {
	Timestamp   time.Time   `json:"timestamp"`
	EventType   string      `json:"event_type"`
	Interface   string      `json:"in_iface"`
	InPort      *string     `json:"in_port"`
	Length      int         `json:"pkt_len"`
	VLAN        []uint16    `json:"vlan"`
	EtherType   uint16      `json:"ether_type"`
	IPVersion   *uint8      `json:"ip_v"`
	Source      *netip.Addr `json:"src_ip"`
	SourcePort  *uint16     `json:"src_port"`
	Destination *netip.Addr `json:"dest_ip"`
	DestPort    *uint16     `json:"dest_port"`
	Protocol    *string     `json:"proto"`
	Number      *uint8      `json:"proto_number"`
	TTL         *uint8      `json:"ttl"`
	Segments    *uint8      `json:"segments"`
	Direction   *string     `json:"direction"`
	Verdict     *string     `json:"verdict"`
	TCPFlags    *string     `json:"tcp_flags"`
	Fragment    *bool       `json:"fragment"`
	Truncated   *bool       `json:"truncated"`
}

// expected is the line of an event, written the slow way.
func expected(e *reader.Event) line {
	l := line{
		Timestamp: e.Time.UTC(), EventType: "packet", Interface: "eth0",
		Length: e.Length, EtherType: e.EtherType,
	}
	if e.VLANs > 0 {
		l.VLAN = e.VLAN[:e.VLANs]
	}
	if e.IPVersion != 0 {
		source, destination, name := e.Source.Addr(), e.Destination.Addr(), reader.ProtocolName(e.Protocol)
		l.IPVersion, l.Source, l.Destination = &e.IPVersion, &source, &destination
		l.Protocol, l.Number, l.TTL = &name, &e.Protocol, &e.TTL
	}
	if e.Port != 0 {
		port := "eth1"
		l.InPort = &port
	}
	if e.Segments != 0 {
		l.Segments = &e.Segments
	}
	if direction := e.Direction.String(); direction != "" {
		l.Direction = &direction
	}
	if verdict := e.Verdict.String(); verdict != "" {
		l.Verdict = &verdict
	}
	if e.HasPorts {
		source, destination := e.Source.Port(), e.Destination.Port()
		l.SourcePort, l.DestPort = &source, &destination
	}
	if e.HasTCPFlags {
		flags := fmt.Sprintf("%02x", e.TCPFlags)
		l.TCPFlags = &flags
	}
	if e.Fragment {
		l.Fragment = &e.Fragment
	}
	if e.Truncated {
		l.Truncated = &e.Truncated
	}
	return l
}

func randomEvent(r *rand.Rand) reader.Event {
	address := func(version int) netip.Addr {
		var b [16]byte
		for i := range b {
			b[i] = byte(r.Uint32()) * byte(r.IntN(2)) // half of them zero
		}
		if version == 4 {
			return netip.AddrFrom4([4]byte(b[:]))
		}
		return netip.AddrFrom16(b)
	}
	e := reader.Event{
		Time:      time.Unix(r.Int64N(1<<33), r.Int64N(1e9)),
		Interface: 2,
		Port:      3 * r.IntN(2),
		Length:    r.IntN(65536),
		EtherType: uint16(r.Uint32()),
		VLAN:      [2]uint16{uint16(r.IntN(4096)), uint16(r.IntN(4096))},
		VLANs:     uint8(r.IntN(3)),
		Segments:  uint8(r.Uint32()) * uint8(r.IntN(2)),
		Direction: wire.Direction(r.IntN(3)),
		Verdict:   wire.Verdict(r.IntN(6)),
	}
	version := []int{0, 4, 6}[r.IntN(3)]
	if version == 0 {
		return e
	}
	var ports [2]uint16
	e.IPVersion, e.Protocol, e.TTL = uint8(version), uint8(r.Uint32()), uint8(r.Uint32())
	switch r.IntN(4) {
	case 0:
		e.HasTCPFlags, e.TCPFlags = true, uint8(r.Uint32())
		fallthrough
	case 1:
		e.HasPorts, ports = true, [2]uint16{uint16(r.Uint32()), uint16(r.Uint32())}
	case 2:
		e.Fragment, e.Truncated = r.IntN(2) == 0, r.IntN(2) == 0
	}
	e.Source = netip.AddrPortFrom(address(version), ports[0])
	e.Destination = netip.AddrPortFrom(address(version), ports[1])
	return e
}

func TestIsWhatEncodingJSONReads(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var f Encoder
	f.Name(2, "eth0")
	f.Name(3, "eth1")
	for range 20000 {
		e := randomEvent(r)
		b := f.AppendEvent(nil, &e)
		decoder := json.NewDecoder(bytes.NewReader(b))
		decoder.DisallowUnknownFields()
		var got line
		if err := decoder.Decode(&got); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		// Comparing as JSON follows the pointers.
		gotJSON, _ := json.Marshal(got)
		wantJSON, _ := json.Marshal(expected(&e))
		if !bytes.Equal(gotJSON, wantJSON) {
			t.Fatalf("line %s\ngot  %s\nwant %s", b, gotJSON, wantJSON)
		}
	}
}

// TestName: a name is quoted, the empty one leaves the field out, and an interface
// without any is called by its index.
func TestName(t *testing.T) {
	var f Encoder
	f.Name(3, "eth3")
	f.Name(3, `a"\`)
	f.Name(0, "")
	for index, want := range map[int]string{3: `,"in_iface":"a\"\\"`, 0: ``, 1: `,"in_iface":"1"`} {
		line := f.AppendEvent(nil, &reader.Event{Time: time.Unix(1, 2), Interface: index})
		want := `{"timestamp":"1970-01-01T00:00:01.000000002Z","event_type":"packet"` + want + `,"pkt_len":0}` + "\n"
		if string(line) != want {
			t.Errorf("got  %swant %s", line, want)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	var f Encoder
	f.Name(2, "eth0")
	f.Name(3, "eth1")
	events := make([]reader.Event, 100)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range events {
		events[i] = randomEvent(r)
	}
	line := make([]byte, 0, 1024)
	all := func() {
		for i := range events {
			line = f.AppendEvent(line[:0], &events[i])
		}
	}
	if n := testing.AllocsPerRun(10, all); n != 0 { // AllocsPerRun warms up once
		t.Errorf("%v allocations", n)
	}
}
