package asm

import (
	"maps"
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm/internal/oracle"
	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader"
)

// counted is a row without what it counts, and what that is.
type (
	counted struct {
		key wire.Record
		mac [6]byte
	}
	sum struct {
		packets, bytes uint64
		back           wire.CountBack
		flags, replies uint8
	}
)

// expected counts a frame as the program should. A conversation is begun by who is
// seen first.
func expected(table map[counted]sum, by wire.CountBy, frame []byte, inner bool) {
	r := oracle.Decode(frame, len(frame))
	if inner {
		r = oracle.DecodeInner(frame, len(frame)).Record
	}
	ip := r.Flags & (wire.FlagIPv4 | wire.FlagIPv6)
	var c counted
	switch by {
	case wire.BySource:
		c.key = wire.Record{Source: r.Source, Flags: ip}
	case wire.ByPair:
		c.key = wire.Record{Source: r.Source, Destination: r.Destination, Flags: ip}
	case wire.ByConversation:
		c.key = wire.Record{
			Source: r.Source, Destination: r.Destination, SourcePort: r.SourcePort, DestinationPort: r.DestinationPort,
			Protocol: r.Protocol, OuterVLAN: r.VLAN()[0], InnerVLAN: r.VLAN()[1], TagsFate: r.Tags(),
			Flags: r.Flags & wire.KeyFlags, EtherType: r.EtherType,
		}
		turned := c
		turned.key.Source, turned.key.Destination = r.Destination, r.Source
		turned.key.SourcePort, turned.key.DestinationPort = r.DestinationPort, r.SourcePort
		if s, ok := table[turned]; ok && turned != c {
			s.back.Packets++
			s.back.Bytes += uint64(len(frame))
			s.replies |= r.TCPFlags
			table[turned] = s
			return
		}
	case wire.ByPort:
		c.key = wire.Record{Protocol: r.Protocol, DestinationPort: r.DestinationPort, Flags: r.Flags & wire.KeyFlags}
	case wire.ByVLAN:
		c.key = wire.Record{TagsFate: r.Tags(), OuterVLAN: r.VLAN()[0], InnerVLAN: r.VLAN()[1]}
	case wire.ByMAC:
		c.mac = [6]byte(frame[6:])
	case wire.ByProtocol:
		c.key = wire.Record{EtherType: r.EtherType}
		if ip != 0 {
			c.key = wire.Record{Flags: wire.FlagIPv4, Protocol: r.Protocol}
		}
	case wire.ByPrefix:
		c.key = wire.Record{Source: r.Source, Flags: ip}
		switch ip {
		case wire.FlagIPv4:
			c.key.Source[15] = 0
		default:
			clear(c.key.Source[6:])
		}
	}
	s := table[c]
	s.packets++
	s.bytes += uint64(len(frame))
	s.flags |= r.TCPFlags
	table[c] = s
}

// read empties a table. Rows of one key, which several CPUs may have, are added up.
func read(t *testing.T, table *reader.Table, into map[counted]sum) (other wire.CountBack) {
	t.Helper()
	other, err := table.Read(func(c *reader.Count) {
		s := into[counted{c.Key, c.MAC}]
		s.packets += c.Packets
		s.bytes += c.Bytes
		s.back.Packets += c.Back.Packets
		s.back.Bytes += c.Back.Bytes
		s.flags |= c.TCPFlags
		s.replies |= c.BackTCPFlags
		into[counted{c.Key, c.MAC}] = s
	})
	if err != nil {
		t.Fatal(err)
	}
	return other
}

// setupCount loads a program that counts.
func setupCount(t testing.TB, cfg Config, at place) (*ebpf.Collection, *reader.Table) {
	t.Helper()
	cfg.CPUs = ebpf.MustPossibleCPU()
	if err := cfg.Check(); err != nil {
		t.Fatal(err)
	}
	spec, err := program(cfg, []place{at}, silent{})
	if err != nil {
		t.Fatal(err)
	}
	coll := load(t, spec)
	table, err := reader.NewTable(coll)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	return coll, table
}

func TestCount(t *testing.T) {
	for name, at := range tcPlaces {
		t.Run("tc, "+name, func(t *testing.T) { testCount(t, at) })
	}
	if takesFrags() {
		t.Run("XDP, tag beside", func(t *testing.T) { testCount(t, metadataPlaces(t)["tag beside"]) })
	}
	t.Run("XDP", func(t *testing.T) { testCount(t, Config{NoFrags: !takesFrags()}.slot()) })
	t.Run("inner, XDP", func(t *testing.T) { testCount(t, Config{Inner: true, NoFrags: !takesFrags()}.slot()) })
	t.Run("inner, tc", func(t *testing.T) { testCount(t, newTCIngress(Config{Inner: true})) })
}

func testCount(t *testing.T, at place) {
	onCPU(t, 0) // so that conversations have one row each, which knows who began
	slot := at.spec().Type == ebpf.XDP
	asSeen := func(frame []byte) []byte { return frame }
	if besideIn(at) {
		asSeen = onWire
	}
	for by := range wire.ByVerdict {
		cfg := Config{All: true, Inner: at.Inner(), Count: &Count{By: by, Rows: 1 << 14, Seed: 7}}
		coll, table := setupCount(t, cfg, at)
		if slot {
			install(t, coll.Programs[ProgramName])
		}
		generator := oracle.NewGenerator(uint64(by)+1, 200)
		var frames [][]byte
		for _, fixture := range oracle.Fixtures() {
			frames = append(frames, fixture.Frame)
		}
		if cfg.Inner {
			generator.Tunnels = true
			for _, fixture := range oracle.InnerFixtures() {
				frames = append(frames, fixture.Frame)
			}
		}
		for range 2000 {
			if frame := generator.Append(nil); len(frame) >= oracle.Shortest {
				frames = append(frames, frame)
			}
		}
		frames = slices.DeleteFunc(frames, func(frame []byte) bool { return !slot && !runsTC(frame) })
		for round := range 2 { // the second finds the first table again, emptied
			want, got := make(map[counted]sum), make(map[counted]sum)
			for _, frame := range frames {
				expected(want, by, asSeen(frame), cfg.Inner)
				if _, err := coll.Programs[ProgramName].Run(&ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+512)}); err != nil {
					t.Fatal(err)
				}
			}
			if other := read(t, table, got); other != (wire.CountBack{}) {
				t.Errorf("by %d, round %d: other %+v where there is room", by, round, other)
			}
			if !maps.Equal(got, want) {
				t.Errorf("by %d, round %d: %d rows, want %d", by, round, len(got), len(want))
				for key, s := range want {
					if got[key] != s {
						t.Fatalf("%+v\ngot %+v\nwant %+v", key, got[key], s)
					}
				}
			}
			if other := read(t, table, got); other != (wire.CountBack{}) {
				t.Errorf("by %d: an empty table has others %+v", by, other)
			}
		}
		counters, err := readCounters(coll.Maps[wire.CountersMap])
		if err != nil {
			t.Fatal(err)
		}
		if want := uint64(2 * len(frames)); counters.Captured != want || counters.Seen != want {
			t.Errorf("by %d: counters %+v, want %d seen and captured", by, counters, want)
		}
	}
}

// TestCountFull has far more sources than rows: rows and other are what matched, in
// each read.
func TestCountFull(t *testing.T) {
	coll, table := setupCount(t, Config{Count: &Count{Rows: 64}}, Config{NoFrags: !takesFrags()}.slot())
	frame := append([]byte(nil), fixture(t, "ipv4/udp")...)
	const sourceAt = 14 + 12 // Ethernet, IPv4
	var rows, packets, bytes uint64
	for i := range 5000 {
		frame[sourceAt+2], frame[sourceAt+3] = byte(i>>8), byte(i)
		if _, err := coll.Programs[ProgramName].Run(&ebpf.RunOptions{Data: frame}); err != nil {
			t.Fatal(err)
		}
		if i%1000 != 999 {
			continue
		}
		got := make(map[counted]sum)
		other := read(t, table, got)
		rows += uint64(len(got))
		for _, s := range got {
			packets += s.packets
			bytes += s.bytes
		}
		packets += other.Packets
		bytes += other.Bytes
		if want := uint64(i + 1); packets != want || bytes != want*uint64(len(frame)) {
			t.Fatalf("%d packets, %d bytes after %d of %d", packets, bytes, want, len(frame))
		}
	}
	if rows < 5*64*3/4 {
		t.Errorf("%d rows in 5 reads of a table of 64 per CPU: it is not used", rows)
	}
}
