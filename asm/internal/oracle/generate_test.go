package oracle

import (
	"bytes"
	"testing"

	"github.com/xdplog/xdplog/asm/wire"
)

func TestGeneratorRepeats(t *testing.T) {
	one, two := NewGenerator(7, 9000), NewGenerator(7, 9000)
	other := NewGenerator(8, 9000)
	same := 0
	for range 1000 {
		frame := one.Append(nil)
		if !bytes.Equal(frame, two.Append([]byte("before"))[6:]) {
			t.Fatal("equal seeds gave different frames")
		}
		if bytes.Equal(frame, other.Append(nil)) {
			same++
		}
	}
	if same > 0 {
		t.Errorf("%d of 1000 frames are the same with another seed", same)
	}
}

// TestGeneratorReachesEverything: a fuzzer that never makes a kind of packet
// proves nothing of it.
func TestGeneratorReachesEverything(t *testing.T) {
	const frames, longest = 50_000, 70_000
	g := NewGenerator(1, longest)
	seen := make(map[string]int)
	var frame []byte
	for range frames {
		frame = g.Append(frame[:0])
		if len(frame) < Shortest || len(frame) > longest {
			t.Fatalf("frame of %d bytes, want %d to %d", len(frame), Shortest, longest)
		}
		r := Decode(frame, len(frame))
		if err := r.Check(); err != nil {
			t.Fatalf("%x: %v", frame, err)
		}
		count := func(name string, holds bool) {
			if holds {
				seen[name]++
			}
		}
		count("not IP", r.Flags == 0)
		for _, ip := range []struct {
			name string
			flag wire.Flags
		}{{"IPv4", wire.FlagIPv4}, {"IPv6", wire.FlagIPv6}} {
			is := r.Flags&ip.flag != 0
			count(ip.name+" fragment", is && r.Flags&wire.FlagFragment != 0)
			count(ip.name+" cut", is && r.Flags&wire.FlagCut != 0)
			count(ip.name+" TCP", is && r.Flags&wire.FlagTCP != 0)
			count(ip.name+" TCP without flags", is && r.Protocol == tcp && r.Flags&wire.FlagPorts != 0 && r.Flags&wire.FlagTCP == 0)
			count(ip.name+" UDP", is && r.Protocol == udp && r.Flags&wire.FlagPorts != 0)
			count(ip.name+" SCTP", is && r.Protocol == sctp && r.Flags&wire.FlagPorts != 0)
			count(ip.name+" other", is && r.Flags == ip.flag)
			count(ip.name+" default", is && Default(&r))
		}
		count("IPv6 stopped at an extension", r.Flags&(wire.FlagIPv6|wire.FlagCut) == wire.FlagIPv6 && r.Protocol == destination)
		count("one tag", r.Tags() == 1)
		count("two tags", r.Tags() == 2)
		count("a third tag", r.Tags() == 2 && (r.EtherType == 0x8100 || r.EtherType == 0x88a8))
		count("a cut tag", r.Tags() < 2 && (r.EtherType == 0x8100 || r.EtherType == 0x88a8))
		count("malformed IPv4", r.Flags == 0 && r.EtherType == 0x0800)
		count("malformed IPv6", r.Flags == 0 && r.EtherType == 0x86dd)
		count("jumbo", len(frame) > 9000)
	}
	for _, name := range []string{
		"not IP", "one tag", "two tags", "a third tag", "a cut tag", "malformed IPv4", "malformed IPv6", "jumbo",
		"IPv4 fragment", "IPv4 cut", "IPv4 TCP", "IPv4 TCP without flags", "IPv4 UDP", "IPv4 SCTP", "IPv4 other", "IPv4 default",
		"IPv6 fragment", "IPv6 cut", "IPv6 TCP", "IPv6 TCP without flags", "IPv6 UDP", "IPv6 SCTP", "IPv6 other", "IPv6 default",
		"IPv6 stopped at an extension",
	} {
		if seen[name] < frames/2000 {
			t.Errorf("%s: %d of %d frames", name, seen[name], frames)
		}
		t.Logf("%s: %d", name, seen[name])
	}
}

func BenchmarkGenerator(b *testing.B) {
	g := NewGenerator(1, 70_000)
	var frame []byte
	for b.Loop() {
		frame = g.Append(frame[:0])
	}
}
