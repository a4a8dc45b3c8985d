package reader

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/engine"
	"github.com/xdplog/xdplog/asm/wire"
)

// inVXLAN is datagram in VXLAN 42, between 198.51.100.1:50000 and 198.51.100.2.
var inVXLAN = append([]byte{
	2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xa, 8, 0,
	0x45, 0, 0, 78, 0, 0, 0, 0, 62, 17, 0, 0, 198, 51, 100, 1, 198, 51, 100, 2,
	50000 >> 8, 50000 & 0xff, 4789 >> 8, 4789 & 0xff, 0, 58, 0, 0,
	8, 0, 0, 0, 0, 0, 42, 0,
}, datagram...)

// TestInner: in every transport, with packets' bytes and without, an event is the inner
// packet's where there is a tunnel.
func TestInner(t *testing.T) {
	frames := [][]byte{inVXLAN, datagram, inVXLAN[:len(inVXLAN)-len(datagram)+20], inVXLAN}
	for _, transport := range transports {
		for _, snapLen := range []int{0, 200} {
			if snapLen > transport.MaxSnapLen() {
				continue
			}
			t.Run(transport.String(), func(t *testing.T) {
				// As small a ring as there is, so that records go round in it.
				program, reader := setupConfig(t, asm.Config{Transport: transport, Inner: true, All: true, SnapLen: snapLen, Buffer: asm.MinBuffer}, Options{})
				defer pin(t, cpus(t)[0])()
				packets := make([]Packet, 1)
				for i := range 200 {
					frame := frames[i%len(frames)]
					if _, err := program.Run(&ebpf.RunOptions{Data: frame}); err != nil {
						t.Fatal(err)
					}
					if n, err := reader.ReadPackets(packets); n != 1 || err != nil {
						t.Fatalf("packet %d: %d, %v", i, n, err)
					}
					got := packets[0]
					var record wire.WideRecord
					engine.DecodeInner(&record, frame)
					want := FromWideRecord(&record)
					want.Time, want.Interface, want.Length = got.Time, got.Interface, len(frame)
					if got.Event != want {
						t.Fatalf("packet %d:\n got %+v\nwant %+v", i, got.Event, want)
					}
					if snapLen > 0 && !bytes.Equal(got.Data, frame) {
						t.Fatalf("packet %d has the bytes %x", i, got.Data)
					}
				}
			})
		}
	}
}

// TestInnerKept is of packets that are kept until they are asked for.
func TestInnerKept(t *testing.T) {
	program, reader := setupConfig(t, asm.Config{
		Transport: asm.Mmap, Inner: true, All: true, SnapLen: 200, Keep: true, Buffer: asm.MinBuffer,
	}, Options{})
	defer pin(t, cpus(t)[0])()
	for i := range 100 {
		if _, err := program.Run(&ebpf.RunOptions{Data: [][]byte{inVXLAN, datagram}[i%2]}); err != nil {
			t.Fatal(err)
		}
	}
	reader.Release()
	packets := make([]Packet, 200)
	n, err := reader.ReadPackets(packets)
	if err != nil || n < 5 {
		t.Fatalf("%d packets, %v", n, err)
	}
	for i, p := range packets[:n] {
		tunnel := (100-n+i)%2 == 0
		if (p.Tunnel.Kind == wire.VXLAN) != tunnel || tunnel && !bytes.Equal(p.Data, inVXLAN) || !tunnel && !bytes.Equal(p.Data, datagram) {
			t.Errorf("packet %d of %d: %v, %x", i, n, p.Event, p.Data)
		}
	}
}

func TestDecodeInner(t *testing.T) {
	var record wire.WideRecord
	engine.DecodeInner(&record, inVXLAN)
	event, err := DecodeWide(record.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	want := Tunnel{
		Kind: wire.VXLAN, Source: netip.MustParseAddrPort("198.51.100.1:50000"), Destination: netip.MustParseAddrPort("198.51.100.2:4789"),
		Protocol: 17, TTL: 62, HasPorts: true, ID: 42, HasID: true, Payload: wire.EthernetPayload, Offset: 50,
	}
	if event.Tunnel != want || event.Source != netip.MustParseAddrPort("192.0.2.1:1000") {
		t.Errorf("from %v in %+v, want %+v", event.Source, event.Tunnel, want)
	}
	record.Outer.Tunnel = wire.Tunnels
	if _, err := DecodeWide(record.Append(nil)); !errors.Is(err, wire.ErrInconsistent) {
		t.Errorf("an unknown tunnel: %v", err)
	}
	if _, err := DecodeWide(make([]byte, wire.RecordSize)); !errors.Is(err, wire.ErrShort) {
		t.Errorf("half a record: %v", err)
	}
	event.set(&wire.Record{}, new(stamp)) // of another program
	if words := event.Tunnel.String(); words != "" {
		t.Errorf("no tunnel is in words %q", words)
	}
	if event.Tunnel != (Tunnel{}) || !event.Time.Equal(time.Unix(0, 0)) {
		t.Errorf("a tunnel stayed: %+v", event.Tunnel)
	}
}
