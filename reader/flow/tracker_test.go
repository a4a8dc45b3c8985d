package flow

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader"
)

var epoch = time.Unix(1674637061, 0).UTC()

// packet is one of a protocol, so long after the epoch.
func packet(protocol uint8, after time.Duration, from, to string, flags uint8) *reader.Event {
	e := &reader.Event{
		Time: epoch.Add(after), Source: netip.MustParseAddrPort(from), Destination: netip.MustParseAddrPort(to),
		Interface: 2, Length: 60, EtherType: 0x0800, IPVersion: 4, Protocol: protocol, TTL: 64, HasPorts: true,
	}
	if e.Source.Addr().Is6() {
		e.IPVersion, e.EtherType = 6, 0x86dd
	}
	if protocol == protocolTCP {
		e.HasTCPFlags, e.TCPFlags = true, flags
	}
	return e
}

const (
	a, b = "192.0.2.1:40000", "192.0.2.2:80"
	udp  = 17
)

// flows are those of packets, and what is open at the end.
func flows(o Options, packets ...*reader.Event) (all []Flow) {
	t := New(o, func(f *Flow) { all = append(all, *f) })
	for _, p := range packets {
		t.Add(p)
	}
	t.Close()
	return all
}

// short is a flow in few words.
func short(f Flow) string {
	return fmt.Sprintf("%v > %v %d/%d [%02x/%02x] %v to %v, %v (%v)", f.Client, f.Server, f.ToServer.Packets, f.ToClient.Packets,
		f.ToServer.TCPFlags, f.ToClient.TCPFlags, f.Start.Sub(epoch), f.End.Sub(epoch), f.State, f.Reason)
}

func TestFlows(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name    string
		options Options
		packets []*reader.Event
		want    []string
	}{
		{"a connection", Options{}, []*reader.Event{
			packet(6, 0, a, b, syn), packet(6, 1*s, b, a, syn|ack), packet(6, 2*s, a, b, ack),
			packet(6, 3*s, a, b, ack|fin), packet(6, 4*s, b, a, ack|fin), packet(6, 5*s, a, b, ack), packet(udp, 15*s, a, b, 0),
		}, []string{
			"192.0.2.1:40000 > 192.0.2.2:80 4/2 [13/13] 0s to 5s, closed (timeout)",
			"192.0.2.1:40000 > 192.0.2.2:80 1/0 [00/00] 15s to 15s, new (shutdown)",
		}},
		{"a connection that is closed on one side", Options{}, []*reader.Event{
			packet(6, 0, a, b, syn), packet(6, 0, b, a, syn|ack), packet(6, 0, a, b, ack|fin), packet(6, 20*s, b, a, ack),
		}, []string{"192.0.2.1:40000 > 192.0.2.2:80 2/2 [13/12] 0s to 20s, established (shutdown)"}},
		{"one side of a connection", Options{}, []*reader.Event{
			packet(6, 0, a, b, syn), packet(6, 0, a, b, ack), packet(6, s, a, b, ack|fin),
		}, []string{"192.0.2.1:40000 > 192.0.2.2:80 3/0 [13/00] 0s to 1s, closed (shutdown)"}},
		{"attempts that are refused", Options{}, []*reader.Event{
			packet(6, 0, a, b, syn), packet(6, 1*s, b, a, rst|ack), packet(6, 2*s, a, b, syn), packet(6, 3*s, a, b, syn),
		}, []string{
			"192.0.2.1:40000 > 192.0.2.2:80 1/1 [02/14] 0s to 1s, closed (tcp_reuse)",
			"192.0.2.1:40000 > 192.0.2.2:80 2/0 [02/00] 2s to 3s, new (shutdown)",
		}},
		{"the answer is seen first", Options{}, []*reader.Event{
			packet(6, 1*s, b, a, syn|ack), packet(6, 0, a, b, syn),
		}, []string{"192.0.2.1:40000 > 192.0.2.2:80 1/1 [02/12] 0s to 1s, new (shutdown)"}},
		{"the answer is read first", Options{}, []*reader.Event{
			packet(udp, 1*s, b, a, 0), packet(udp, 0, a, b, 0), packet(udp, 2*s, b, a, 0),
		}, []string{"192.0.2.1:40000 > 192.0.2.2:80 1/2 [00/00] 0s to 2s, established (shutdown)"}},
		{"idle", Options{Idle: 5 * s}, []*reader.Event{
			packet(udp, 0, a, b, 0), packet(udp, 5*s-1, b, a, 0), packet(udp, 10*s-1, a, b, 0),
		}, []string{
			"192.0.2.1:40000 > 192.0.2.2:80 1/1 [00/00] 0s to 4.999999999s, established (timeout)",
			"192.0.2.1:40000 > 192.0.2.2:80 1/0 [00/00] 9.999999999s to 9.999999999s, new (shutdown)",
		}},
		{"active", Options{Active: 5 * s}, []*reader.Event{
			packet(udp, 0, a, b, 0), packet(udp, 5*s-1, b, a, 0), packet(udp, 5*s, b, a, 0),
		}, []string{
			"192.0.2.1:40000 > 192.0.2.2:80 1/1 [00/00] 0s to 4.999999999s, established (active_timeout)",
			"192.0.2.2:80 > 192.0.2.1:40000 1/0 [00/00] 5s to 5s, new (shutdown)",
		}},
		{"no room", Options{Max: 2}, []*reader.Event{
			packet(udp, 0, a, b, 0), packet(udp, 1*s, "192.0.2.3:1", b, 0), packet(udp, 2*s, a, b, 0), packet(udp, 3*s, "192.0.2.4:1", b, 0),
		}, []string{
			"192.0.2.3:1 > 192.0.2.2:80 1/0 [00/00] 1s to 1s, new (forced)",
			"192.0.2.1:40000 > 192.0.2.2:80 2/0 [00/00] 0s to 2s, new (shutdown)",
			"192.0.2.4:1 > 192.0.2.2:80 1/0 [00/00] 3s to 3s, new (shutdown)",
		}},
		{"time goes back", Options{Idle: 5 * s}, []*reader.Event{
			packet(udp, time.Hour, "192.0.2.3:1", b, 0), packet(udp, 0, a, b, 0), packet(udp, 4*s, a, b, 0), packet(udp, 10*s, a, b, 0),
		}, []string{
			"192.0.2.1:40000 > 192.0.2.2:80 2/0 [00/00] 0s to 4s, new (timeout)",
			"192.0.2.3:1 > 192.0.2.2:80 1/0 [00/00] 1h0m0s to 1h0m0s, new (shutdown)",
			"192.0.2.1:40000 > 192.0.2.2:80 1/0 [00/00] 10s to 10s, new (shutdown)",
		}},
		{"to itself", Options{}, []*reader.Event{packet(udp, 0, a, a, 0), packet(udp, s, a, a, 0)},
			[]string{"192.0.2.1:40000 > 192.0.2.1:40000 2/0 [00/00] 0s to 1s, new (shutdown)"}},
		{"IPv6", Options{}, []*reader.Event{packet(udp, 0, "[2001:db8::2]:9", "[2001:db8::1]:10", 0), packet(udp, s, "[2001:db8::1]:10", "[2001:db8::2]:9", 0)},
			[]string{"[2001:db8::2]:9 > [2001:db8::1]:10 1/1 [00/00] 0s to 1s, established (shutdown)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := flows(c.options, c.packets...)
			for i := range max(len(all), len(c.want)) {
				got, want := "nothing", "nothing"
				if i < len(all) {
					got = short(all[i])
				}
				if i < len(c.want) {
					want = c.want[i]
				}
				if got != want {
					t.Errorf("\ngot  %s\nwant %s", got, want)
				}
			}
		})
	}
}

// TestApart: what differs in one of these is another conversation.
func TestApart(t *testing.T) {
	edits := []func(*reader.Event){
		func(*reader.Event) {},
		func(e *reader.Event) { e.VLANs, e.VLAN = 1, [2]uint16{10, 20} },
		func(e *reader.Event) { e.VLANs, e.VLAN = 2, [2]uint16{10, 20} },
		func(e *reader.Event) { e.VLANs, e.VLAN = 1, [2]uint16{0, 20} },
		func(e *reader.Event) { e.Tunnel = reader.Tunnel{Kind: wire.VXLAN, ID: 7, HasID: true} },
		func(e *reader.Event) { e.Tunnel = reader.Tunnel{Kind: wire.VXLAN, ID: 8, HasID: true} },
		func(e *reader.Event) { e.Tunnel = reader.Tunnel{Kind: wire.Geneve, ID: 8, HasID: true} },
		func(e *reader.Event) {
			e.Tunnel = reader.Tunnel{Kind: wire.GTPU, ID: uint32(e.Source.Port()), HasID: true}
		},
		func(e *reader.Event) { e.Protocol = 132 },
		func(e *reader.Event) {
			e.HasPorts = false
			e.Source, e.Destination = netip.AddrPortFrom(e.Source.Addr(), 0), netip.AddrPortFrom(e.Destination.Addr(), 0)
		},
		func(e *reader.Event) {
			e.Source, e.Destination = netip.AddrPortFrom(e.Source.Addr(), 0), netip.AddrPortFrom(e.Destination.Addr(), 0)
		},
		func(e *reader.Event) {
			e.IPVersion = 6
			e.Source = netip.AddrPortFrom(netip.AddrFrom16(e.Source.Addr().As16()), e.Source.Port())
			e.Destination = netip.AddrPortFrom(netip.AddrFrom16(e.Destination.Addr().As16()), e.Destination.Port())
		},
		func(e *reader.Event) { *e = reader.Event{Time: e.Time, EtherType: 0x0806, Length: 42} },
		func(e *reader.Event) { *e = reader.Event{Time: e.Time, EtherType: 0x88cc, Length: 42} },
	}
	tracker := New(Options{}, nil)
	for range 2 {
		for _, edit := range edits {
			e := packet(udp, 0, a, b, 0)
			edit(e)
			tracker.Add(e)
			e.Source, e.Destination = e.Destination, e.Source
			if e.Tunnel.Kind == wire.GTPU { // whose endpoint is another one in the other direction
				e.Tunnel.ID++
			}
			tracker.Add(e)
		}
	}
	if want := (Stats{Packets: 4 * uint64(len(edits)), Begun: uint64(len(edits))}); tracker.Stats() != want {
		t.Errorf("got %+v, want %+v", tracker.Stats(), want)
	}
}

// TestNothingIsLost: the packets, bytes and verdicts of all flows are those that were
// added, and there are never more flows than may be.
func TestNothingIsLost(t *testing.T) {
	for _, o := range []Options{{}, {Max: 1}, {Max: 7, Idle: time.Second}, {Max: 100, Idle: 3 * time.Second, Active: 5 * time.Second}} {
		r := rand.New(rand.NewPCG(1, uint64(o.Max)))
		var packets, bytes, ended, verdicts uint64
		tracker := New(o, func(f *Flow) {
			packets += f.ToServer.Packets + f.ToClient.Packets
			bytes += f.ToServer.Bytes + f.ToClient.Bytes
			ended++
			for _, n := range f.Verdicts {
				verdicts += n
			}
			if f.End.Before(f.Start) || f.ToServer.Packets+f.ToClient.Packets == 0 {
				t.Fatalf("%+v", f)
			}
		})
		var sent, length uint64
		for i := range 100000 {
			from, to := fmt.Sprintf("192.0.2.%d:%d", r.IntN(20), r.IntN(3)), fmt.Sprintf("192.0.2.%d:%d", r.IntN(20), r.IntN(3))
			e := packet([]uint8{6, 17}[r.IntN(2)], time.Duration(i)*time.Millisecond-time.Duration(r.IntN(2000))*time.Millisecond, from, to, uint8(r.Uint32()))
			e.Length, e.Verdict = r.IntN(1500), wire.Verdict(1+r.IntN(5))
			tracker.Add(e)
			sent, length = sent+1, length+uint64(e.Length)
			if limit := max(o.Max, 1); o.Max > 0 && tracker.Stats().Open() > uint64(limit) {
				t.Fatalf("%d flows of at most %d", tracker.Stats().Open(), limit)
			}
		}
		tracker.Close()
		if packets != sent || bytes != length || verdicts != sent {
			t.Errorf("%+v: %d packets, %d bytes, %d verdicts of %d and %d", o, packets, bytes, verdicts, sent, length)
		}
		if s := tracker.Stats(); s.Ended != ended || s.Open() != 0 || s.Packets != sent || (s.Early > 0) != (o.Max > 0) {
			t.Errorf("%+v: %+v", o, s)
		}
	}
}

// TestAdvance: the clock alone ends what is idle, the closed before the open.
func TestAdvance(t *testing.T) {
	var ended []string
	tracker := New(Options{}, func(f *Flow) { ended = append(ended, f.Ended.Sub(epoch).String()+" "+f.State.String()) })
	tracker.Add(packet(udp, 0, a, b, 0))
	tracker.Add(packet(6, 0, a, b, rst))
	for s := range 100 {
		tracker.Advance(epoch.Add(time.Duration(s) * time.Second))
	}
	if got := fmt.Sprint(ended); got != "[10s closed 1m0s new]" {
		t.Error(got)
	}
}

// TestAllocatesNothing, also where flows end and others begin.
func TestAllocatesNothing(t *testing.T) {
	packets := make([]*reader.Event, 1000)
	for i := range packets {
		packets[i] = packet(6, 0, fmt.Sprintf("192.0.2.%d:%d", i%250, i), b, ack)
	}
	tracker := New(Options{Max: 100}, func(*Flow) {})
	all := func() {
		for i := range packets {
			tracker.Add(packets[i])
			tracker.Add(packets[i])
		}
	}
	if n := testing.AllocsPerRun(100, all); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	packets := make([]*reader.Event, 1<<16)
	for i := range packets {
		packets[i] = packet(6, 0, fmt.Sprintf("192.0.2.%d:%d", i%250, i), "198.51.100.1:80", ack)
	}
	for _, n := range []int{1, 1000, len(packets)} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			tracker := New(Options{}, nil)
			b.ReportAllocs()
			for i := range b.N {
				tracker.Add(packets[i%n])
			}
		})
	}
}
