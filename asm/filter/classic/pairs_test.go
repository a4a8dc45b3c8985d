package classic_test

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/filter/classic"
	"github.com/xdplog/xdplog/asm/internal/filtertest"
)

// TestPairs compares the verdicts of random filters on random frames with those of the
// evaluator. XDPLOG_FUZZ_PAIRS is how many, and XDPLOG_FUZZ_SEED the seed.
func TestPairs(t *testing.T) {
	pairs, seed := environment(t, "XDPLOG_FUZZ_PAIRS", 400_000), environment(t, "XDPLOG_FUZZ_SEED", rand.Uint64()>>1)
	t.Logf("XDPLOG_FUZZ_SEED=%d", seed)
	expressions, frames := newExpressions(seed), newFrames(seed)
	const framesEach = 500
	longest, matched, filters := 0, 0, 0
	for done := uint64(0); done < pairs; done += framesEach {
		f := expressions.next()
		program := compile(t, f, classic.Options{SnapLen: 1500})
		vm, err := bpf.NewVM(program)
		if err != nil {
			t.Fatalf("XDPLOG_FUZZ_SEED=%d: %s: %v", seed, f, err)
		}
		filters++
		longest = max(longest, len(program))
		for range framesEach {
			frame := frames.next()
			want := f.Match(frame, len(frame))
			if got := accepts(t, vm, frame); got != want {
				t.Fatalf("XDPLOG_FUZZ_SEED=%d: %s\n%v, the evaluator says %v, on %d bytes %x\n%s", seed, f, got, want, len(frame), frame, listing(program))
			}
			if want {
				matched++
			}
		}
	}
	t.Logf("%d pairs of %d filters, %d matches; the longest program has %d instructions", pairs, filters, matched, longest)
}

// TestLists compares on filters that are long, whose jumps are.
func TestLists(t *testing.T) {
	frames := newFrames(3)
	for name, expression := range lists() {
		t.Run(name, func(t *testing.T) {
			f := parse(t, expression)
			program := compile(t, f, classic.Options{})
			vm, err := bpf.NewVM(program)
			if err != nil {
				t.Fatal(err)
			}
			for i := range len(frames.base) + 3000 {
				var frame []byte
				if i < len(frames.base) { // cut at every length
					frame = frames.base[i].Data
				} else {
					frame = frames.next()
				}
				if got, want := accepts(t, vm, frame), f.Match(frame, len(frame)); got != want {
					t.Fatalf("%v, the evaluator says %v, on %d bytes %x", got, want, len(frame), frame)
				}
			}
			t.Logf("%d instructions", len(program))
		})
	}
}

func lists() map[string]string {
	list := func(n int, between, form string) string {
		var terms []string
		for i := range n {
			terms = append(terms, strings.NewReplacer("HOST", "192.0.2."+strconv.Itoa(i%200), "FEW", "192.0.2."+strconv.Itoa(i%3), "PORT", strconv.Itoa(20+i)).Replace(form))
		}
		return strings.Join(terms, between)
	}
	return map[string]string{
		"hosts":    list(200, " or ", "host HOST"),
		"no hosts": list(200, " and ", "not host HOST"),
		"ports":    list(300, " or ", "port PORT"),
		"rows":     list(150, " or ", "(host FEW and port PORT)"),
		"rows arp": list(17, " and ", "not (arp src host FEW and arp dst host HOST)"),
		"rows tcp": list(150, " and ", "not (tcp and src host FEW and dst port PORT)"),
		"rows ip6": list(40, " or ", "(ip6 host 2001:db8::PORT and tcp port 80)"),
	}
}

func environment(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func parse(t *testing.T, expression string) *filter.Filter {
	t.Helper()
	f, err := filter.Parse(expression)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func compile(t *testing.T, f *filter.Filter, opts classic.Options) []bpf.Instruction {
	t.Helper()
	program, err := classic.Compile(f, opts)
	if err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	return program
}

func accepts(t *testing.T, vm *bpf.VM, frame []byte) bool {
	t.Helper()
	n, err := vm.Run(frame)
	if err != nil {
		t.Fatal(err)
	}
	return n != 0
}

// expressions are random filters, of either meaning.
type expressions struct {
	*filtertest.Expressions
	n int
}

func newExpressions(seed uint64) *expressions {
	e := filtertest.NewExpressions(seed)
	e.VLAN = true
	return &expressions{Expressions: e}
}

func (e *expressions) next() *filter.Filter {
	for {
		e.n++
		if f, err := (filter.Options{Libpcap: e.n%4 == 0}).Parse(e.Next(1 + e.n%12)); err == nil {
			return f
		}
	}
}

// frames are those of filtertest, as they are or changed.
type frames struct {
	*rand.Rand
	base []filtertest.Frame
}

func newFrames(seed uint64) *frames {
	return &frames{rand.New(rand.NewPCG(seed, 3)), filtertest.Frames(seed)}
}

func (m *frames) next() []byte {
	frame := slices.Clone(m.base[m.IntN(len(m.base))].Data)
	for range m.IntN(4) {
		frame = m.change(frame)
	}
	return frame
}

func (m *frames) change(frame []byte) []byte {
	near := min(len(frame), 90)
	if near < 16 {
		return frame
	}
	isIPv6 := near > 54 && frame[12] == 0x86 && frame[13] == 0xdd
	switch m.IntN(8) {
	case 0:
		return slices.Insert(frame, 12, 0x81, 0, 0, []byte{0, 1, 10, 20}[m.IntN(4)])
	case 1:
		return slices.Insert(frame, 12, 0x88, 0xa8, 0xef, 0xff)
	case 2:
		return frame[:m.IntN(len(frame)+1)]
	case 3:
		frame[m.IntN(near)] = byte(m.Uint32())
	case 4:
		frame[m.IntN(near)] ^= 1 << m.IntN(8)
	case 5: // a tag's or header's type
		binary.BigEndian.PutUint16(frame[12:], []uint16{0x800, 0x806, 0x8035, 0x86dd, 0x8100, 0x88a8}[m.IntN(6)])
	case 6: // words of a header
		frame[14] = 0x40 | byte(m.IntN(16))
	case 7: // extension headers, 1 to 9
		for range m.IntN(10) {
			if isIPv6 {
				next := frame[20]
				frame[20] = []byte{0, 43, 44, 51, 60}[m.IntN(5)]
				frame = slices.Insert(frame, 54, next, 0, 0, 0, 0, 0, 0, 0)
			}
		}
	}
	return frame
}

// listing is a program as the instructions write themselves.
func listing(program []bpf.Instruction) string {
	var b strings.Builder
	for i, ins := range program {
		text := "?"
		if s, ok := ins.(interface{ String() string }); ok {
			text = s.String()
		}
		b.WriteString(strconv.Itoa(i) + "\t" + text + "\n")
	}
	return b.String()
}
