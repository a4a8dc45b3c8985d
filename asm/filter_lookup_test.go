package asm

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/internal/match"
)

// kind is a kind of value that filters have long lists of.
type kind struct {
	name      string
	words     string                             // before the direction
	primitive string                             // between direction and value
	text      func(i int) string                 // the i-th value
	place     func(frame []byte, i, at int) bool // the i-th value at a place of the frame, or one beside it
}

func put(frame []byte, offset int, value ...byte) bool {
	if offset+len(value) > len(frame) {
		return false
	}
	copy(frame[offset:], value)
	return true
}

// Lists repeat after so many values, so that there are duplicates.
const different = 900

var kinds = func() []kind {
	v4 := func(i int) []byte { return []byte{10, byte(i >> 8), byte(i), 7} }
	v6 := func(i int) []byte {
		return []byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(i >> 8), byte(i)}
	}
	port := func(i int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(i*3)) }
	is := func(frame []byte, etherType uint16) bool { return binary.BigEndian.Uint16(frame[12:]) == etherType }
	placeARP := func(frame []byte, i, at int) bool {
		return is(frame, layout.EtherARP) && put(frame, 28+10*at, v4(i)...)
	}
	place4 := func(frame []byte, i, at int) bool {
		return placeARP(frame, i, at) || is(frame, layout.EtherIPv4) && put(frame, 26+4*at, v4(i)...)
	}
	place6 := func(frame []byte, i, at int) bool {
		return is(frame, layout.EtherIPv6) && put(frame, 22+16*at, v6(i)...)
	}
	placePort := func(frame []byte, i, at int) bool {
		return is(frame, layout.EtherIPv4) && len(frame) > 23 && frame[23] == layout.ProtoTCP && put(frame, 34+2*at, port(i)...) ||
			is(frame, layout.EtherIPv6) && put(frame, 54+2*at, port(i)...)
	}
	dotted := func(i int) string { b := v4(i); return fmt.Sprintf("%d.%d.%d.%d", b[0], b[1], b[2], b[3]) }
	number := func(i int) uint16 { return binary.BigEndian.Uint16(port(i)) }
	ports := func(i int) string { return fmt.Sprint(number(i)) }
	ranges := func(i int) string { return fmt.Sprintf("%d-%d", number(i), number(i)+uint16(i%3)) }
	return []kind{
		{"host", "", "host", dotted, place4},
		{"ip host", "ip ", "host", dotted, place4},
		{"arp host", "arp ", "host", dotted, placeARP},
		{"net", "", "net", func(i int) string {
			b := v4(i)
			bits := []int{24, 32, 23, 30}[i%4]
			word := binary.BigEndian.Uint32(b) & (math.MaxUint32 << (32 - bits))
			b = binary.BigEndian.AppendUint32(nil, word)
			return fmt.Sprintf("%d.%d.%d.%d/%d", b[0], b[1], b[2], b[3], bits)
		}, place4},
		{"ip6 host", "", "host", func(i int) string { return fmt.Sprintf("2001:db8::%x", i) }, place6},
		{"ip6 net", "", "net", func(i int) string {
			bits := []int{128, 127, 120}[i%3]
			return fmt.Sprintf("2001:db8::%x/%d", i>>(128-bits)<<(128-bits), bits)
		}, place6},
		{"port", "", "port", ports, placePort},
		{"tcp port", "tcp ", "port", ports, placePort},
		{"portrange", "", "portrange", ranges, placePort},
		{"ether host", "ether ", "host", func(i int) string {
			return fmt.Sprintf("02:00:00:00:%02x:%02x", i>>8, i&0xff)
		}, func(frame []byte, i, at int) bool {
			return put(frame, 6-6*at, 2, 0, 0, 0, byte(i>>8), byte(i))
		}},
	}
}()

// TestFilterLists compares verdicts on long lists, which are looked up, and on
// lists that are one too short for that.
func TestFilterLists(t *testing.T) {
	for _, k := range kinds {
		for _, direction := range []string{"", "src ", "dst ", "src and dst "} {
			for _, n := range []int{2, match.LookupFrom - 1, match.LookupFrom, 100, 1000} {
				for _, negated := range []bool{false, true} {
					if n == 100 && negated || n == 1000 && direction == "src and dst " {
						continue // those are more of the same, and large
					}
					if testing.Short() && (n == 100 || n == match.LookupFrom-1 || direction != "") {
						continue // emulated machines take long to load them
					}
					t.Run(fmt.Sprintf("%s%s,%d,not=%v", direction, k.name, n, negated), func(t *testing.T) {
						testList(t, k, direction, n, negated)
					})
				}
			}
		}
	}
}

func testList(t *testing.T, k kind, direction string, n int, negated bool) {
	separator, not := " or ", ""
	if negated {
		separator, not = " and ", "not "
	}
	expression := list(n, separator, func(i int) string {
		return not + k.words + direction + k.primitive + " " + k.text(i%different)
	})
	frames := newFrameMaker(uint64(n))
	for _, noFrags := range []bool{false, true} {
		c := loadFilter(t, expression, noFrags)
		if testing.Short() {
			install(t, c.program)
		}
		for range 800 {
			frame := slices.Clone(frames.next())
			i := frames.IntN(min(n, different) + 2)
			for try := 0; try < 100 && !k.place(frame, i, frames.IntN(2)); try++ {
				frame = slices.Clone(frames.next())
			}
			if frames.IntN(2) == 0 {
				k.place(frame, i, frames.IntN(2))
			}
			if err := c.check(frame, math.MaxInt); err != nil {
				t.Fatal(err)
			}
		}
		if c.matched == 0 {
			t.Error("no frame matched")
		}
	}
}

// TestFilterLookupSize holds lists to what lookups are for: a longer list is no
// longer program.
func TestFilterLookupSize(t *testing.T) {
	for _, k := range kinds {
		size := func(n int) int {
			f, err := filter.Parse(list(n, " or ", func(i int) string { return k.words + k.primitive + " " + k.text(i) }))
			if err != nil {
				t.Fatal(err)
			}
			spec, err := Program(Config{Filter: f})
			if err != nil {
				t.Fatal(err)
			}
			return len(spec.Programs[ProgramName].Instructions)
		}
		if few, many := size(match.LookupFrom), size(1000); few != many {
			t.Errorf("%s: %d values are %d instructions, 1000 are %d", k.name, match.LookupFrom, few, many)
		}
	}
}
