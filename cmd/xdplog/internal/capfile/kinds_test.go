package capfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/capfile/capfiletest"
	"github.com/xdplog/xdplog/reader"
)

// A maker makes files of the kinds that libraries don't write.
type maker struct {
	order binary.AppendByteOrder
	b     []byte
}

func (m *maker) block(kind uint32, body ...[]byte) *maker {
	whole := bytes.Join(body, nil)
	whole = append(whole, make([]byte, -len(whole)&3)...)
	length := uint32(len(whole) + 12)
	m.b = m.order.AppendUint32(m.order.AppendUint32(m.b, kind), length)
	m.b = m.order.AppendUint32(append(m.b, whole...), length)
	return m
}

func (m *maker) u16(n uint16) []byte { return m.order.AppendUint16(nil, n) }
func (m *maker) u32(n uint32) []byte { return m.order.AppendUint32(nil, n) }
func (m *maker) u64(n uint64) []byte { return m.order.AppendUint64(nil, n) }

func (m *maker) option(code uint16, value []byte) []byte {
	b := append(append(m.u16(code), m.u16(uint16(len(value)))...), value...)
	return append(b, make([]byte, -len(value)&3)...)
}

func (m *maker) section(minor uint16, options ...[]byte) *maker {
	return m.block(blockSection, m.u32(byteOrderMagic), m.u16(1), m.u16(minor), m.u64(1<<64-1), bytes.Join(options, nil))
}

func (m *maker) iface(link linkType, options ...[]byte) *maker {
	return m.block(blockInterface, m.u16(uint16(link)), m.u16(0), m.u32(0), bytes.Join(options, nil))
}

func (m *maker) packet(number uint32, ticks uint64, data []byte, options ...[]byte) *maker {
	padded := append(bytes.Clone(data), make([]byte, -len(data)&3)...)
	return m.block(blockEnhanced, m.u32(number), m.u32(uint32(ticks>>32)), m.u32(uint32(ticks)),
		m.u32(uint32(len(data))), m.u32(uint32(len(data))), padded, bytes.Join(options, nil))
}

func newMaker() *maker { return &maker{order: binary.LittleEndian} }

// read reads a file to its end.
func read(t *testing.T, file []byte) (packets []Packet, found []Interface, f *File, err error) {
	t.Helper()
	f, err = readHeader("f", bytes.NewReader(file))
	for err == nil {
		var p packet
		if p, err = f.next(); err == nil {
			p.data, p.options = bytes.Clone(p.data), bytes.Clone(p.options)
			f.batch.add(p, new(Selection))
		}
	}
	if err == io.EOF {
		err = nil
	}
	if f != nil {
		packets, found = f.batch.List, f.batch.Found
	}
	return packets, found, f, err
}

var datagram = capfiletest.Datagram(1000)

// TestTimes: every resolution is exact to the nanosecond, which tcpdump's and
// Wireshark's are not of all of them: see findings/pcapng-fine-times.sh.
func TestTimes(t *testing.T) {
	for _, c := range []struct {
		name   string
		unit   uint8
		offset int64
		ticks  uint64
		want   string // seconds and nanoseconds
	}{
		{"seconds", 0, 0, 1_700_000_000, "1700000000.000000000"},
		{"tenths", 1, 0, 17_000_000_005, "1700000000.500000000"},
		{"microseconds", 6, 0, 1_700_000_000_123_456, "1700000000.123456000"},
		{"nanoseconds", 9, 0, 1_700_000_000_123_456_789, "1700000000.123456789"},
		{"10^-10", 10, 0, 17_000_000_001_234_567_899, "1700000000.123456789"},
		{"picoseconds", 12, 1_700_000_000, 5_250_000_000_999, "1700000005.250000000"},
		{"10^-19", 19, 1_700_000_000, 12_345_678_901_234_567_890, "1700000001.234567890"},
		{"10^-20", 20, 1_700_000_000, 12_345_678_901_234_567_890, "1700000000.123456789"},
		{"10^-28", 28, 7, 1<<64 - 1, "7.000000001"},
		{"10^-29", 29, 7, 1<<64 - 1, "7.000000000"},
		{"10^-127", 127, 7, 1<<64 - 1, "7.000000000"},
		{"2^0", 0x80, 0, 1_700_000_000, "1700000000.000000000"},
		{"halves", 0x81, 0, 3_400_000_001, "1700000000.500000000"},
		{"2^-10", 0x80 | 10, 0, 1_700_000_000<<10 | 1, "1700000000.000976562"},
		{"2^-32", 0x80 | 32, 0, 1_700_000_000<<32 | 1<<31, "1700000000.500000000"},
		{"2^-33", 0x80 | 33, 0, 1_700_000_000<<33 | 3<<31, "1700000000.750000000"},
		{"2^-40", 0x80 | 40, 1_700_000_000, 5<<40 | 1<<38, "1700000005.250000000"},
		{"2^-63", 0x80 | 63, 1_700_000_000, 1<<63 | 3<<61, "1700000001.750000000"},
		{"2^-64", 0x80 | 64, 1_700_000_000, 3 << 62, "1700000000.750000000"},
		{"2^-66", 0x80 | 66, 1_700_000_000, 3 << 62, "1700000000.187500000"},
		{"2^-127", 0x80 | 127, 1_700_000_000, 1<<64 - 1, "1700000000.000000000"},
		{"an offset back", 9, -100, 1_700_000_000_000_000_001, "1699999900.000000001"},
	} {
		m := newMaker().section(0)
		m.iface(linkEthernet, m.option(interfaceResolution, []byte{c.unit}), m.option(interfaceOffset, m.u64(uint64(c.offset)))).packet(0, c.ticks, datagram)
		packets, _, _, err := read(t, m.b)
		if err != nil || len(packets) != 1 {
			t.Fatalf("%s: %d packets, %v", c.name, len(packets), err)
		}
		at := packets[0].Time
		if got := fmt.Sprintf("%d.%09d", at.Unix(), at.Nanosecond()); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestPcapKinds reads what libpcap reads.
func TestPcapKinds(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, c := range []struct {
			name         string
			magic        uint32
			major, minor uint16
			captured     int // 0: all
			length       uint32
			extra        int
			swapped      bool
			nanos        int
			want         string
		}{
			{name: "micros", magic: magicMicros, major: 2, minor: 4, nanos: 7000},
			{name: "nanos", magic: magicNanos, major: 2, minor: 4, nanos: 7},
			{name: "Kuznetzov", magic: magicKuznetzov, major: 2, minor: 4, extra: 8, nanos: 7000},
			{name: "captured is over the original", magic: magicMicros, major: 2, minor: 4, length: 20, nanos: 7000},
			{name: "2.3", magic: magicMicros, major: 2, minor: 3, nanos: 7000},
			{name: "2.3, swapped", magic: magicMicros, major: 2, minor: 3, captured: 30, swapped: true, nanos: 7000},
			{name: "2.2, swapped", magic: magicMicros, major: 2, minor: 2, captured: 30, swapped: true, nanos: 7000},
			{name: "DG/UX", magic: magicMicros, major: 543, swapped: true, nanos: 7000},
			{name: "2.5", magic: magicMicros, major: 2, minor: 5, want: "version 2.5 of pcap is not read"},
			{name: "1.0", magic: magicMicros, major: 1, minor: 0, want: "version 1.0 of pcap is not read"},
		} {
			m := &maker{order: order}
			data := datagram
			if c.captured > 0 {
				data = data[:c.captured]
			}
			length := max(uint32(len(datagram)), c.length)
			if c.length > 0 {
				length = c.length
			}
			m.b = bytes.Join([][]byte{m.u32(c.magic), m.u16(c.major), m.u16(c.minor), m.u64(0), m.u32(262144), m.u32(1)}, nil)
			for range 2 {
				first, second := uint32(len(data)), length
				if c.swapped {
					first, second = second, first
				}
				m.b = append(m.b, bytes.Join([][]byte{m.u32(1_700_000_000), m.u32(7), m.u32(first), m.u32(second), make([]byte, c.extra), data}, nil)...)
			}
			packets, _, _, err := read(t, m.b)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: %v, want %q", c.name, err, c.want)
				}
				continue
			}
			if err != nil || len(packets) != 2 {
				t.Errorf("%s (%v): %d packets, %v", c.name, order, len(packets), err)
				continue
			}
			p := packets[1]
			if !bytes.Equal(p.Data, data) || p.Length != max(length, uint32(len(data))) || !p.Time.Equal(time.Unix(1_700_000_000, int64(c.nanos))) {
				t.Errorf("%s (%v): %d of %d bytes at %v", c.name, order, len(p.Data), p.Length, p.Time)
			}
		}
	}
}

// TestLinks: what stands before the IP header differs, and what is found does not.
func TestLinks(t *testing.T) {
	ip := datagram[14:]
	source := datagram[6:12]
	sll := bytes.Join([][]byte{{0, 0, 0, 1, 0, 6}, source, {0, 0, 8, 0}, ip}, nil)
	sll2 := bytes.Join([][]byte{{8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6}, source, {0, 0}, ip}, nil)
	for _, c := range []struct {
		link linkType
		data []byte
		mac  bool
	}{
		{linkEthernet, datagram, true}, {linkSLL, sll, true}, {linkSLL2, sll2, true},
		{linkRaw, ip, false}, {linkRaw12, ip, false}, {linkRaw14, ip, false}, {linkIPv4, ip, false},
		{linkNull, append([]byte{2, 0, 0, 0}, ip...), false}, {linkNull, append([]byte{0, 0, 0, 2}, ip...), false},
		{linkLoop, append([]byte{0, 0, 0, 2}, ip...), false},
	} {
		packets, _, f, err := read(t, newMaker().section(0).iface(c.link).packet(0, 0, c.data).packet(0, 0, c.data[:3]).b)
		if err != nil || len(packets) != 2 {
			t.Fatalf("link type %v: %d packets, %v", c.link, len(packets), err)
		}
		frame := packets[0].Frame()
		if !bytes.Equal(frame[12:], datagram[12:]) || c.mac != bytes.Equal(frame[6:12], source) || !bytes.Equal(packets[0].Data, c.data) {
			t.Errorf("link type %v: frame %x", c.link, frame)
		}
		if !strings.Contains(f.Greeting(), "link-type "+links[c.link].name) {
			t.Errorf("link type %v: %s", c.link, f.Greeting())
		}
	}
	six := append([]byte{0x60}, make([]byte, 39)...)
	packets, _, _, err := read(t, newMaker().section(0).iface(linkRaw).packet(0, 0, six).b)
	if err != nil || binary.BigEndian.Uint16(packets[0].Frame()[12:]) != 0x86dd {
		t.Errorf("raw IPv6: %v", err)
	}
}

// TestSeveralLinks: packets of other link types are left out, and counted.
func TestSeveralLinks(t *testing.T) {
	const wifi = 105
	m := newMaker().section(0).iface(wifi).packet(0, 0, make([]byte, 30)).iface(linkEthernet).iface(9)
	m.packet(1, 0, datagram).packet(2, 0, datagram).packet(0, 0, datagram).packet(1, 0, datagram)
	packets, found, f, err := read(t, m.b)
	if err != nil || len(packets) != 2 || len(found) != 1 {
		t.Fatalf("%d packets of %d interfaces, %v", len(packets), len(found), err)
	}
	if left, err := f.Left(); left != "f: not read: 1 of link type PPP (9), 2 of link type IEEE802_11 (105)" || err != nil {
		t.Errorf("left %q, %v", left, err)
	}
	_, _, f, err = read(t, newMaker().section(0).iface(wifi).packet(0, 0, datagram).iface(wifi).packet(1, 0, datagram).b)
	if err != nil {
		t.Logf("a file of another kind: %v", err)
	}
	if f != nil {
		if _, err := f.Left(); err == nil {
			t.Error("a file of which nothing is read has no error")
		}
	}
}

// TestSteppedOver: what doesn't matter ends nothing.
func TestSteppedOver(t *testing.T) {
	m := newMaker().section(2).iface(linkEthernet, []byte{1, 0, 100, 0, 'a', 'b'})
	m.block(blockStatistics, m.u32(9), m.u64(0)).block(0x0bad, []byte("custom")).block(77, nil)
	m.packet(0, 0, datagram, []byte{0, 0, 4, 0}, []byte("    ")).packet(0, 1, datagram, []byte{1, 0, 100, 0}, []byte("abcd"))
	m.block(blockSimple, m.u32(uint32(len(datagram))), datagram)
	m.block(blockPacket, m.u16(0), m.u16(0), m.u64(0), m.u32(uint32(len(datagram))), m.u32(60), datagram)
	big := &maker{order: binary.BigEndian}
	big.section(0).iface(linkEthernet).packet(0, 3, datagram)
	packets, _, _, err := read(t, append(m.b, big.b...))
	if err != nil || len(packets) != 5 {
		t.Fatalf("%d packets, %v", len(packets), err)
	}
	for i, p := range packets {
		if !bytes.Equal(p.Data, datagram) {
			t.Errorf("packet %d: %x", i, p.Data)
		}
	}
	if packets[3].Length != 60 || !packets[4].Time.Equal(time.Unix(0, 3000)) {
		t.Errorf("%+v, %+v", packets[3], packets[4])
	}
}

// TestBrokenBlocks: a broken block is named by its place.
func TestBrokenBlocks(t *testing.T) {
	good := newMaker().section(0).iface(linkEthernet).packet(0, 0, datagram)
	at := len(good.b)
	for want, file := range map[string]*maker{
		"interface 1 of 1":       newMaker().section(0).iface(linkEthernet).packet(0, 0, datagram).packet(1, 0, datagram),
		"says at its end that":   {b: append(bytes.Clone(good.b), 9, 0, 0, 0, 12, 0, 0, 0, 13, 0, 0, 0)},
		"says that it has 13":    {b: append(bytes.Clone(good.b), 9, 0, 0, 0, 13, 0, 0, 0, 13, 0, 0, 0)},
		"a packet's block of 16": {b: append(bytes.Clone(good.b), 6, 0, 0, 0, 16, 0, 0, 0, 1, 2, 3, 4, 16, 0, 0, 0)},
	} {
		packets, _, _, err := read(t, file.b)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), fmt.Sprintf("f: broken at packet 2, byte %d: ", at)) || len(packets) != 1 {
			t.Errorf("%q: %d packets, %v", want, len(packets), err)
		}
	}
}

// TestCopy: a copy keeps what a file says of its packets, in either byte order.
func TestCopy(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		m := &maker{order: order}
		m.section(0, m.option(optionComment, []byte("from the lab")), m.option(3, []byte("Plan 9"))).block(blockSecrets, m.u32(0x544c534b), m.u32(4), []byte("KEYS"))
		m.iface(linkSLL, m.option(interfaceName, []byte("any")), m.option(3, []byte("all of them")), m.option(interfaceSpeed, m.u64(1e9)))
		sll := append([]byte{0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0}, datagram[14:]...)
		m.packet(0, 5, sll, m.option(optionComment, []byte("look")), m.option(2, m.u32(1)), m.option(5, m.u64(77)))
		m.block(blockNames, m.u16(1), m.u16(7), []byte{192, 0, 2, 1, 'a', 0, 0, 0}, m.u32(0))
		m.block(0xbad, []byte("ours")).block(blockOnlyHere, []byte("ours")).section(0, m.option(optionComment, []byte("and on")))

		name := filepath.Join(t.TempDir(), "in")
		if err := os.WriteFile(name, m.b, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(name, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		out := filepath.Join(t.TempDir(), "out.pcapng")
		w, err := Create(out, WriterOptions{SnapLen: MaxSnapLen}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ahead := f.Select(Selection{})
		for p := range ahead.Ready() {
			w.Copy(p)
			for _, i := range p.Found {
				w.Add(i)
			}
			for i := range p.List {
				from := &p.List[i]
				packet := reader.Packet{Event: reader.Event{Time: from.Time, Length: int(from.Length)}, Data: from.Data}
				if _, err := w.Write([]reader.Packet{packet}, []Options{from.Options()}); err != nil {
					t.Fatal(err)
				}
			}
			if p.Err != nil {
				break
			}
			ahead.Done(p)
		}
		ahead.Close()
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		file, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if section := optionsOf(t, file, blockSection, 24); len(section) != 1 || section[0][optionComment] != "and on" || section[0][3] == "Plan 9" ||
			!bytes.Contains(file, []byte("from the lab")) {
			t.Errorf("%v: section %v", order, section)
		}
		w.Copy(&Packets{comments: [][]byte{[]byte("too late")}})
		if !strings.HasSuffix(f.Uncopied(), "in: not copied: 1 custom blocks, or of kinds that are not known") || w.Uncopied() != "1 comments on later sections and files are not copied" {
			t.Errorf("said of what is not copied: %q, %q", f.Uncopied(), w.Uncopied())
		}
		interfaces, packets := optionsOf(t, file, blockInterface, 16), optionsOf(t, file, blockEnhanced, 28+len(sll)+len(sll)%4)
		if len(interfaces) != 1 || interfaces[0][2] != "any" || interfaces[0][3] != "all of them" || interfaces[0][interfaceSpeed] != u64(1e9) {
			t.Errorf("%v: interfaces %v", order, interfaces)
		}
		if len(packets) != 1 || packets[0][optionComment] != "look" || packets[0][2] != "\x01\x00\x00\x00" || packets[0][5] != u64(77) {
			t.Errorf("%v: packets %v", order, packets)
		}
		kinds := ""
		for block := range blocks(file) {
			kinds += fmt.Sprintf("%x ", little.Uint32(block))
			if little.Uint32(block) == blockSecrets && !bytes.Contains(block, append(little.AppendUint32(nil, 4), "KEYS"...)) {
				t.Errorf("%v: secrets %x", order, block)
			}
			if little.Uint32(block) == blockNames && !bytes.Contains(block, []byte{1, 0, 7, 0, 192, 0, 2, 1, 'a', 0}) {
				t.Errorf("%v: names %x", order, block)
			}
		}
		if !strings.Contains(kinds, " a ") || !strings.Contains(kinds, " 4 ") {
			t.Errorf("%v: blocks %s", order, kinds)
		}
	}
}
