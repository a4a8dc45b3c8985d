package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/quick"
	"unsafe"
)

// full is a record no two fields of which are equal.
var full = Record{
	Time:            0x0102030405060708,
	Source:          [16]byte{10: 0xff, 11: 0xff, 12: 192, 14: 2, 15: 1},
	Destination:     [16]byte{10: 0xff, 11: 0xff, 12: 198, 13: 51, 14: 100, 15: 2},
	LengthSlot:      0x11121314,
	Interface:       0x15161718,
	SourcePort:      0x191a,
	DestinationPort: 0x1b1c,
	OuterVLAN:       0x0d1e,
	InnerVLAN:       0x0f20,
	EtherType:       0x2122,
	Flags:           FlagIPv4 | FlagPorts | FlagTCP,
	Protocol:        0x23,
	TCPFlags:        0x24,
	TTL:             0x25,
	TagsFate:        2 | uint8(Out)<<DirectionShift | uint8(Drop)<<VerdictShift,
}

func TestLayout(t *testing.T) {
	if RecordSize != 64 {
		t.Errorf("a record is %d bytes, want one cache line of 64", RecordSize)
	}
	for _, layout := range []reflect.Type{reflect.TypeFor[Record](), reflect.TypeFor[Counters]()} {
		sum := uintptr(0)
		for i := range layout.NumField() {
			field := layout.Field(i)
			if field.Offset != sum {
				t.Errorf("%s.%s is at %d, want %d: padding before it", layout, field.Name, field.Offset, sum)
			}
			if align := uintptr(field.Type.Align()); field.Offset%align != 0 {
				t.Errorf("%s.%s is at %d, not a multiple of %d", layout, field.Name, field.Offset, align)
			}
			sum += field.Type.Size()
		}
		if layout.Size() != sum {
			t.Errorf("%s is %d bytes and its fields are %d: padding at the end", layout, layout.Size(), sum)
		}
	}
}

// TestDecodeIsTheStruct holds the hand-written decoder against the compiler.
func TestDecodeIsTheStruct(t *testing.T) {
	same := func(b [RecordSize]byte) bool {
		var record Record
		return record.Decode(b[:]) == nil &&
			record == *(*Record)(unsafe.Pointer(&b)) &&
			bytes.Equal(record.Append(nil), b[:])
	}
	if err := quick.Check(same, nil); err != nil {
		t.Error(err)
	}
}

func TestDecode(t *testing.T) {
	encoded := full.Append(nil)
	if len(encoded) != RecordSize {
		t.Fatalf("Append gave %d bytes, want %d", len(encoded), RecordSize)
	}
	if binary.NativeEndian.Uint16(encoded[offSourcePort:]) != full.SourcePort {
		t.Errorf("source port is not in host order in %x", encoded)
	}
	for _, test := range []struct {
		name  string
		bytes []byte
		err   error
	}{
		{"none", nil, ErrShort},
		{"one too few", encoded[:RecordSize-1], ErrShort},
		{"exact", encoded, nil},
		{"perf padding", append(encoded[:RecordSize:RecordSize], 1, 2, 3, 4), nil},
		{"packet bytes", append(encoded[:RecordSize:RecordSize], make([]byte, 1500)...), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var record Record
			if err := record.Decode(test.bytes); !errors.Is(err, test.err) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			want := full
			if test.err != nil {
				want = Record{}
			}
			if record != want {
				t.Errorf("record %+v, want %+v", record, want)
			}
		})
	}
}

func TestPacket(t *testing.T) {
	for _, test := range []struct{ length, behind, want int }{
		{60, 0, 0},
		{60, 4, 0}, // padding
		{60, 7, 0},
		{60, 12, 12}, // cut
		{60, 60, 60},
		{60, 67, 60}, // padding
		{14, 20, 14},
		{MaxLength, 100, 100},
	} {
		record := Record{LengthSlot: uint32(test.length)}
		sample := append(record.Append(nil), make([]byte, test.behind)...)
		if got := record.Packet(sample); len(got) != test.want {
			t.Errorf("length %d, %d bytes behind the record: %d of the packet, want %d", test.length, test.behind, len(got), test.want)
		}
	}
}

// TestTagBeside: the tag that a card took off is put back where it was.
func TestTagBeside(t *testing.T) {
	for _, test := range []struct {
		length       int
		behind, want string
	}{
		{32, "TTTTaaaaaabbbbbbpayload_is_here.", "aaaaaabbbbbbTTTTpayload_is_here."},
		{32, "TTTTaaaaaabbbbbbpayload_is_here.pad", "aaaaaabbbbbbTTTTpayload_is_here."},
		{100, "TTTTaaaaaabbbbbb", "aaaaaabbbbbbTTTT"},
		{100, "TTTTaaaaaabb", "TTTTaaaaaabb"}, // no program sends as little
	} {
		record := Record{LengthSlot: uint32(test.length), TagsFate: 1 | 1<<TagBesideShift}
		if got := record.Packet(append(record.Append(nil), test.behind...)); string(got) != test.want {
			t.Errorf("%q becomes %q, want %q", test.behind, got, test.want)
		}
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	got := full.Append([]byte("before"))
	if want := append([]byte("before"), full.Append(nil)...); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Record)
		says   string // "" if consistent
	}{
		{"TCP", func(*Record) {}, ""},
		{"not IP", func(r *Record) { *r = Record{EtherType: 0x0806} }, ""},
		{"empty", func(r *Record) { *r = Record{} }, ""},
		{"IPv6", func(r *Record) { r.Flags = FlagIPv6; r.Source[0] = 0x20 }, ""},
		{"cut", func(r *Record) { r.Flags = FlagIPv4 | FlagCut }, ""},
		{"later fragment", func(r *Record) { r.Flags = FlagIPv4 | FlagFragment }, ""},
		{"VLAN 4095", func(r *Record) { r.OuterVLAN, r.InnerVLAN = 4095, 4095 }, ""},

		{"unknown flag", func(r *Record) { r.Flags |= 1 << 15 }, "unknown flags 0x8000"},
		{"first unknown flag", func(r *Record) { r.Flags |= (flagsKnown + 1) }, "unknown flags"},
		{"both versions", func(r *Record) { r.Flags |= FlagIPv6 }, "both IPv4 and IPv6"},
		{"ports without IP", func(r *Record) { r.Flags = FlagPorts }, "without IP"},
		{"fragment without IP", func(r *Record) { r.Flags = FlagFragment }, "without IP"},
		{"cut without IP", func(r *Record) { r.Flags = FlagCut }, "without IP"},
		{"extension headers", func(r *Record) { r.Flags = FlagIPv6 | flagsExtension }, ""},
		{"extension headers in IPv4", func(r *Record) { r.Flags |= FlagAuthentication }, "extension headers without IPv6"},
		{"ports in a fragment", func(r *Record) { r.Flags |= FlagFragment }, "ports in a later fragment"},
		{"ports in a cut packet", func(r *Record) { r.Flags |= FlagCut }, "ports in a later fragment or a cut packet"},
		{"TCP flags without ports", func(r *Record) { r.Flags &^= FlagPorts }, "TCP flags without ports"},
		{"source not mapped", func(r *Record) { r.Source[0] = 1 }, "not v4-mapped"},
		{"destination not mapped", func(r *Record) { r.Destination[11] = 0 }, "not v4-mapped"},
		{"three tags", func(r *Record) { r.TagsFate |= 3 }, "3 VLAN tags"},
		{"segments", func(r *Record) { r.OuterVLAN, r.InnerVLAN = 0xffff, 0xffff }, ""},
		{"third direction", func(r *Record) { r.TagsFate |= 3 << DirectionShift }, "unknown direction 3"},
		{"seventh verdict", func(r *Record) { r.TagsFate |= 7 << VerdictShift }, "unknown verdict 7"},
		{"tag beside", func(r *Record) { r.TagsFate |= 1 << TagBesideShift }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			record := full
			test.change(&record)
			err := record.Check()
			switch {
			case test.says == "" && err != nil:
				t.Errorf("error %v, want none", err)
			case test.says != "" && (!errors.Is(err, ErrInconsistent) || !strings.Contains(err.Error(), test.says)):
				t.Errorf("error %v, want one that says %q", err, test.says)
			}
		})
	}
}

// TestParts is of the fields that hold more than one thing.
func TestParts(t *testing.T) {
	r := full
	r.OuterVLAN, r.InnerVLAN = 0x5fff, 0xa123
	if r.VLAN() != [2]uint16{4095, 0x123} || r.Segments() != 0xa5 {
		t.Errorf("VLANs %v and %d segments, want 4095, 291 and 165", r.VLAN(), r.Segments())
	}
	if r.Tags() != 2 || r.Direction() != Out || r.Verdict() != Drop {
		t.Errorf("%d tags, direction %v, verdict %v, want 2, out, drop", r.Tags(), r.Direction(), r.Verdict())
	}
	if r.Length() != 0x121314 || r.Slot() != 0x11 {
		t.Errorf("length %#x, slot %#x, want 0x121314, 0x11", r.Length(), r.Slot())
	}
}

func TestVerdictNames(t *testing.T) {
	for v := Aborted; v <= Redirect; v++ {
		if got, err := ParseVerdict(v.String()); got != v || err != nil {
			t.Errorf("%v is parsed as %v, error %v", v, got, err)
		}
	}
	for _, name := range []string{"", "DROP", "none"} {
		if _, err := ParseVerdict(name); err == nil {
			t.Errorf("%q is a verdict", name)
		}
	}
	if v, d := NoVerdict.String(), NoDirection.String(); v != "" || d != "" {
		t.Errorf("what is not said is %q and %q", v, d)
	}
}

func TestCounters(t *testing.T) {
	sum := Counters{Seen: 10, SampledOut: 1, Captured: 2, Lost: 3}
	sum.Add(Counters{Seen: 100, SampledOut: 10, Captured: 20, Lost: 30})
	if want := (Counters{Seen: 110, SampledOut: 11, Captured: 22, Lost: 33}); sum != want {
		t.Errorf("sum %+v, want %+v", sum, want)
	}
	if sum.Matched() != 66 {
		t.Errorf("matched %d, want 66", sum.Matched())
	}
}

func BenchmarkDecode(b *testing.B) {
	encoded := full.Append(nil)
	var record Record
	b.SetBytes(int64(RecordSize))
	b.ReportAllocs()
	for b.Loop() {
		if err := record.Decode(encoded); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	for b.Loop() {
		if err := full.Check(); err != nil {
			b.Fatal(err)
		}
	}
}
