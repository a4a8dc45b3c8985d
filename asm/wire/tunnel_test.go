package wire

import (
	"errors"
	"strings"
	"testing"
	"testing/quick"
	"unsafe"
)

// TestInnerLayout: the second half of a record is what the first is, but for what belongs
// to the whole packet: the program copies it in two pieces.
func TestInnerLayout(t *testing.T) {
	if WideRecordSize != 128 || WideRecordSize != int(unsafe.Sizeof(WideRecord{})) || unsafe.Offsetof(WideRecord{}.Outer) != 64 {
		t.Errorf("a record of %d bytes, with the outer packet at %d", WideRecordSize, unsafe.Offsetof(WideRecord{}.Outer))
	}
	var r Record
	var o Outer
	for name, offsets := range map[string][2]uintptr{ // from the source, or the source port, on
		"destination":      {offDestination - offSource, unsafe.Offsetof(o.Destination)},
		"source port":      {0, unsafe.Offsetof(o.SourcePort) - 32},
		"destination port": {offDestinationPort - offSourcePort, unsafe.Offsetof(o.DestinationPort) - 32},
		"outer VLAN":       {offOuterVLAN - offSourcePort, unsafe.Offsetof(o.OuterVLAN) - 32},
		"inner VLAN":       {offInnerVLAN - offSourcePort, unsafe.Offsetof(o.InnerVLAN) - 32},
		"EtherType":        {offEtherType - offSourcePort, unsafe.Offsetof(o.EtherType) - 32},
		"flags":            {offFlags - offSourcePort, unsafe.Offsetof(o.Flags) - 32},
		"protocol":         {offProtocol - offSourcePort, unsafe.Offsetof(o.Protocol) - 32},
		"TCP flags":        {offTCPFlags - offSourcePort, unsafe.Offsetof(o.HasID) - 32}, // of which it has none
		"TTL":              {offTTL - offSourcePort, unsafe.Offsetof(o.TTL) - 32},
		"tags":             {unsafe.Offsetof(r.TagsFate) - offSourcePort, unsafe.Offsetof(o.Tags) - 32},
	} {
		if offsets[0] != offsets[1] {
			t.Errorf("%s is at %d of one and at %d of the other", name, offsets[0], offsets[1])
		}
	}
}

// inVXLAN is the packet of full in VXLAN.
var inVXLAN = WideRecord{Record: full, Outer: Outer{
	Source: full.Source, Destination: full.Destination, SourcePort: 0x5152, DestinationPort: 4789,
	OuterVLAN: 0x354, InnerVLAN: 0x556, EtherType: 0x0800, Flags: FlagIPv4 | FlagPorts, Protocol: 17, TTL: 0x57, Tags: 2,
	ID: 0x58595a5b, Offset: 0x5c5d, Tunnel: VXLAN, Payload: EthernetPayload, HasID: 1,
}}

func TestDecodeInner(t *testing.T) {
	same := func(b [WideRecordSize]byte) bool {
		var record WideRecord
		return record.Decode(b[:]) == nil &&
			record == *(*WideRecord)(unsafe.Pointer(&b)) &&
			string(record.Append(nil)) == string(b[:])
	}
	if err := quick.Check(same, nil); err != nil {
		t.Error(err)
	}
	var record WideRecord
	if err := record.Decode(inVXLAN.Append(nil)[:WideRecordSize-1]); !errors.Is(err, ErrShort) {
		t.Errorf("a byte too few: %v", err)
	}
}

func TestCheckInner(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*WideRecord)
		says   string // "" if consistent
	}{
		{"VXLAN", func(*WideRecord) {}, ""},
		{"no tunnel", func(r *WideRecord) { r.Outer = Outer{} }, ""},
		{"ARP inside", func(r *WideRecord) { r.Record = Record{EtherType: 0x0806} }, ""},
		{"inner contradicts", func(r *WideRecord) { r.TagsFate |= 3 }, "3 VLAN tags"},
		{"outer contradicts", func(r *WideRecord) { r.Outer.Tags = 3 }, "outer packet: record contradicts itself: 3 VLAN tags"},
		{"outer without a tunnel", func(r *WideRecord) { r.Outer.Tunnel = NoTunnel }, "without a tunnel"},
		{"unknown tunnel", func(r *WideRecord) { r.Outer.Tunnel = Tunnels }, "unknown tunnel 7"},
		{"no payload", func(r *WideRecord) { r.Outer.Payload = NoPayload }, "with payload 0"},
		{"identifier", func(r *WideRecord) { r.Outer.HasID = 0 }, "identifier"},
		{"no IP outside", func(r *WideRecord) { r.Outer.Flags = 0 }, "not in IP"},
		{"no IP inside", func(r *WideRecord) { r.Record, r.Outer.Payload = Record{EtherType: 0x0806}, IPPayload }, "that is not IP"},
	} {
		record := inVXLAN
		test.change(&record)
		err := record.Check()
		switch {
		case test.says == "" && err != nil:
			t.Errorf("%s: error %v, want none", test.name, err)
		case test.says != "" && (!errors.Is(err, ErrInconsistent) || !strings.Contains(err.Error(), test.says)):
			t.Errorf("%s: error %v, want one that says %q", test.name, err, test.says)
		}
	}
}

func TestTunnelNames(t *testing.T) {
	seen := make(map[string]bool)
	for tunnel := range Tunnels {
		if name := tunnel.String(); seen[name] || (name == "") != (tunnel == NoTunnel) {
			t.Errorf("tunnel %d is called %q", uint8(tunnel), name)
		} else {
			seen[name] = true
		}
	}
}
