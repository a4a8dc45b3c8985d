package capfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/eventtest"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/reader"
)

// testWriter is one to a file, from interfaces.
func testWriter(t *testing.T, o WriterOptions, count Count, interfaces ...Interface) (*Writer, string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "out.pcapng")
	o.SnapLen = 100
	w, err := Create(name, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	if err := w.Begin(interfaces, count); err != nil {
		t.Fatal(err)
	}
	return w, name
}

var twoInterfaces = []Interface{
	{Interface: names.Interface{Index: 7, Name: "eth0"}, Speed: 10_000_000_000},
	{Interface: names.Interface{Index: 3, Name: "wlan0"}},
}

// packetOf is a packet of so many bytes from an interface.
func packetOf(size, index int) reader.Packet {
	return reader.Packet{Event: reader.Event{Time: eventtest.Time, Length: size, Interface: index}, Data: make([]byte, size)}
}

// options of the blocks of a type, by code.
func optionsOf(t *testing.T, file []byte, kind uint32, fixed int) (all []map[uint16]string) {
	t.Helper()
	order := binary.LittleEndian
	for block := range blocks(file) {
		if n := int(order.Uint32(block[len(block)-4:])); n != len(block) || n%4 != 0 {
			t.Fatalf("a block of %d bytes ends in %d", len(block), n)
		}
		if little.Uint32(block) != kind {
			continue
		}
		found := make(map[uint16]string)
		for rest := block[fixed : len(block)-4]; len(rest) > 0; {
			code, length := order.Uint16(rest), int(order.Uint16(rest[2:]))
			if code == 0 {
				if len(rest) != 4 {
					t.Errorf("%d bytes behind the end of the options", len(rest)-4)
				}
				break
			}
			found[code] = string(rest[4 : 4+length])
			rest = rest[4+(length+3)/4*4:]
		}
		all = append(all, found)
	}
	return all
}

func u64(n uint64) string { return string(binary.LittleEndian.AppendUint64(nil, n)) }

func TestWriter(t *testing.T) {
	w, name := testWriter(t, WriterOptions{Filter: "udp port 53"}, func(number int) (*wire.Counters, error) {
		return [...]*wire.Counters{{Seen: 10, Captured: 4, Lost: 5}, nil}[number], nil
	}, twoInterfaces...)
	packets := []reader.Packet{packetOf(60, 7), packetOf(1000, 3), packetOf(61, 7)}
	if n, err := w.Write(packets, nil); n != 3 || err != nil {
		t.Fatalf("write = %d, %v", n, err)
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	interfaces := optionsOf(t, file, 1, 16)
	if len(interfaces) != 2 || interfaces[0][2] != "eth0" || interfaces[0][interfaceSpeed] != u64(10_000_000_000) ||
		interfaces[1][2] != "wlan0" || interfaces[1][interfaceSpeed] != "" || interfaces[1][9] != "\x09" || interfaces[0][interfaceFilter] != "\x00udp port 53" {
		t.Errorf("interfaces %v", interfaces)
	}
	statistics := optionsOf(t, file, 5, 20)
	if len(statistics) != 2 || statistics[0][8] != u64(2) || statistics[1][8] != u64(1) {
		t.Fatalf("statistics %v", statistics)
	}
	// Of the first, 4 were captured and 2 are in the file: the others came behind.
	if s := statistics[0]; s[4] != u64(8) || s[5] != u64(5) || s[6] != u64(7) {
		t.Errorf("statistics %v", s)
	}
	if s := statistics[1]; s[4] != "" || s[5] != "" || s[6] != "" {
		t.Errorf("statistics %v of what is not counted", s)
	}
	back, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range packets {
		data, info, err := back.ReadPacketData()
		if err != nil || len(data) != min(len(p.Data), 100) || info.Length != p.Length || !info.Timestamp.Equal(eventtest.Time) {
			t.Errorf("packet %d: %d bytes, %+v, %v", i, len(data), info, err)
		}
	}
	if _, _, err := back.ReadPacketData(); err != io.EOF {
		t.Errorf("behind the packets: %v", err)
	}
}

// TestFates: what the blocks of packets say of direction and verdict, in numbers
// of draft-ietf-opsawg-pcapng, 4.3.1.
func TestFates(t *testing.T) {
	w, name := testWriter(t, WriterOptions{}, nil, twoInterfaces...)
	received, sent, dropped := packetOf(61, 7), packetOf(60, 7), packetOf(60, 3)
	received.Direction, sent.Direction, dropped.Verdict = wire.In, wire.Out, wire.Drop
	if n, err := w.Write([]reader.Packet{received, sent, dropped, packetOf(60, 7)}, nil); n != 4 || err != nil {
		t.Fatalf("write = %d, %v", n, err)
	}
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const flags, verdict = 2, 7
	want := []map[uint16]string{
		{flags: "\x01\x00\x00\x00"},
		{flags: "\x02\x00\x00\x00"},
		{verdict: "\x02" + u64(1)}, // Linux_eBPF_XDP, XDP_DROP
		{},
	}
	var got []map[uint16]string
	for block := range blocks(file) {
		if little.Uint32(block) == blockEnhanced {
			captured := int(binary.LittleEndian.Uint32(block[20:]))
			got = append(got, optionsOf(t, block, blockEnhanced, 28+(captured+3)/4*4)...)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("options %v, want %v", got, want)
	}
	back, _, _, err := read(t, file)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range []reader.Packet{received, sent, dropped, packetOf(60, 7)} {
		if direction, verdict := back[i].Fate(); direction != p.Direction || verdict != p.Verdict {
			t.Errorf("packet %d is read back as %v, %v", i, direction, verdict)
		}
	}
}

// TestFatesOfOthers: what files of either byte order say of a packet, and of a copy's.
func TestFatesOfOthers(t *testing.T) {
	for _, order := range []interface {
		binary.ByteOrder
		binary.AppendByteOrder
	}{binary.LittleEndian, binary.BigEndian} {
		m := &maker{order: order}
		verdict := func(whose byte, action uint64) []byte { return m.option(7, append([]byte{whose}, m.u64(action)...)) }
		m.section(0).iface(linkEthernet)
		for _, options := range [][]byte{
			append(m.option(2, m.u32(1<<16|2)), verdict(2, 4)...), // with a length of checksum, as other flags
			append(m.option(2, m.u32(3)), verdict(2, 5)...),
			append(m.option(2, []byte{1}), verdict(1, 2)...), // of tc
			verdict(2, 1)[:8],
		} {
			m.packet(0, 0, datagram, options)
		}
		packets, _, _, err := read(t, m.b)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range packets {
			direction, decided := p.Fate()
			if first := i == 0; first != (direction == wire.Out) || first != (decided == wire.Redirect) || !first && (direction != 0 || decided != 0) {
				t.Errorf("%v: packet %d was %v, %v", order, i, direction, decided)
			}
		}
		value := append([]byte{2}, m.u64(4)...)
		if got := inLittleEndian(order, blockEnhanced, packetVerdict, value); string(got) != "\x02"+u64(4) {
			t.Errorf("%v: copied as %x", order, got)
		}
	}
}

// TestPcap: the classic format has the packets and their nanoseconds, of one link type.
func TestPcap(t *testing.T) {
	count := func(int) (*wire.Counters, error) { return new(wire.Counters), nil }
	w, name := testWriter(t, WriterOptions{Pcap: true, Filter: "arp"}, count, twoInterfaces...)
	late, early := packetOf(61, 7), packetOf(62, 3)
	late.Time, early.Time = time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(-5, 3)
	packets := []reader.Packet{packetOf(60, 7), packetOf(1000, 3), late, early}
	if n, err := w.Write(packets, nil); n != len(packets) || err != nil {
		t.Fatalf("write = %d, %v", n, err)
	}
	w.Add(Interface{Interface: names.Interface{Index: 9}, recorded: true, link: linkRaw})
	n, err := w.Write([]reader.Packet{packetOf(60, 7), packetOf(60, 9), packetOf(60, 7)}, nil)
	if n != 1 || !errors.Is(err, ErrOneLinkType) || !strings.Contains(err.Error(), "of EN10MB (1), and there are packets of RAW (101)") {
		t.Errorf("another link type: %d, %v", n, err)
	}
	if err := w.End(); err != nil {
		t.Error(err)
	}
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	back, err := pcapgo.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	times := []time.Time{eventtest.Time, eventtest.Time, time.Unix(1<<32-1, 999_999_999), time.Unix(0, 0), eventtest.Time}
	for i, p := range append(packets, packetOf(60, 7)) {
		data, info, err := back.ReadPacketData()
		if err != nil || len(data) != min(len(p.Data), 100) || info.Length != p.Length || !info.Timestamp.Equal(times[i]) {
			t.Errorf("packet %d: %d bytes, %+v, %v", i, len(data), info, err)
		}
	}
	if _, _, err := back.ReadPacketData(); err != io.EOF {
		t.Errorf("behind the packets: %v", err)
	}
}

// TestWriterFails: whole blocks are left, and the packets in them counted.
func TestWriterFails(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	w, name := testWriter(t, WriterOptions{}, nil, twoInterfaces...)
	before, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const block = 32 + 100
	small := unix.Rlimit{Cur: uint64(len(before) + 2*block + 50), Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_FSIZE, &limit)
	n, err := w.Write([]reader.Packet{packetOf(100, 7), packetOf(100, 3), packetOf(100, 7), packetOf(100, 7)}, nil)
	if n != 2 || !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), name) {
		t.Errorf("write = %d, %v, want 2 and an error that names %s", n, err, name)
	}
	if err := w.End(); err != nil {
		t.Errorf("told twice: %v", err)
	}
	after, err := os.ReadFile(name)
	if err != nil || len(after) != len(before)+2*block {
		t.Errorf("%d bytes are left, %v; want %d", len(after), err, len(before)+2*block)
	}
}
