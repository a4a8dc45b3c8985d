package classic_test

import (
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/filter/classic"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

// TestListings: the programs are those in testdata.
func TestListings(t *testing.T) {
	for name, test := range map[string]struct {
		expression string
		opts       classic.Options
	}{
		"port":    {"ip and tcp port 443", classic.Options{SnapLen: 262144}},
		"host":    {"host 192.0.2.1", classic.Options{}},
		"syn":     {"tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn", classic.Options{}},
		"payload": {"ip and tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420", classic.Options{}},
		"length":  {"greater 1000", classic.Options{}},
		"beside":  {"vlan 10 and arp", classic.Options{TagBeside: true}},
		"all":     {"", classic.Options{SnapLen: 96}},
		"none":    {"tcp and not ip and not ip6", classic.Options{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := listing(compile(t, parse(t, test.expression), test.opts))
			path := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("listing differs from %s (-update rewrites it); got\n%s", path, got)
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	var hosts []string
	for i := range 2000 {
		hosts = append(hosts, "host 198.51.100."+strconv.Itoa(i%256))
	}
	// Each level of a balanced tree has one number more wait.
	var deep func(levels int) filter.Arith
	deep = func(levels int) filter.Arith {
		if levels == 0 {
			return filter.Length{}
		}
		return filter.Binary{Op: filter.Add, Left: deep(levels - 1), Right: deep(levels - 1)}
	}
	for _, test := range []struct {
		name string
		f    *filter.Filter
		want error
		text string
	}{
		{"large", parse(t, strings.Join(hosts, " or ")), classic.ErrTooLarge, "compile to classic BPF: more than 4096 instructions"},
		{"deep", &filter.Filter{Root: filter.Relation{Left: deep(9), Right: filter.Number(1)}}, classic.ErrTooDeep, "compile to classic BPF: arithmetic that is nested too deeply"},
		{"empty", nil, nil, "compile to classic BPF: the filter is empty"},
		{"wrong", &filter.Filter{Root: filter.Not{}}, nil, "compile to classic BPF: the filter's tree is wrong: a node is missing"},
	} {
		program, err := classic.Compile(test.f, classic.Options{})
		if err == nil || program != nil || err.Error() != test.text || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %s", test.name, err, test.text)
		}
	}
	compile(t, &filter.Filter{Root: filter.Relation{Left: deep(8), Right: filter.Number(1)}}, classic.Options{})
}

// TestByHand: trees that no parser makes mean what the evaluator says, too.
func TestByHand(t *testing.T) {
	frames := newFrames(5)
	load := filter.Load{Layer: filter.EtherLayer, Offset: filter.Number(13), Size: 1}
	for _, left := range []filter.Arith{
		filter.Binary{Op: filter.Divide, Left: load, Right: filter.Number(0)},
		filter.Binary{Op: filter.Modulo, Left: load, Right: filter.Number(0)},
		filter.Binary{Op: filter.ShiftLeft, Left: load, Right: filter.Number(32)},
		filter.Binary{Op: filter.ShiftRight, Left: load, Right: filter.Binary{Op: filter.Add, Left: load, Right: filter.Number(31)}},
		filter.Binary{Op: filter.ShiftLeft, Left: filter.Number(1), Right: filter.Binary{Op: filter.Add, Left: load, Right: filter.Number(31)}},
		filter.Load{Layer: filter.IPLayer, Offset: filter.Number(math.MaxUint32), Size: 1},
		filter.Load{Layer: filter.TCPLayer, Offset: filter.Number(math.MaxUint32 - 19), Size: 4},
		filter.Load{Layer: filter.ICMPLayer, Offset: filter.Binary{Op: filter.Subtract, Left: filter.Number(0), Right: load}, Size: 2},
		filter.Load{Layer: filter.EtherLayer, Offset: filter.Binary{Op: filter.Subtract, Left: filter.Number(0), Right: filter.Length{}}, Size: 1},
		filter.Number(0),
	} {
		relation := filter.Relation{Op: filter.Equal, Left: left, Right: filter.Number(0)}
		for _, root := range []filter.Node{
			relation, filter.Not{Term: relation}, filter.And{filter.Constant(true), relation}, filter.Or{}, filter.And{},
			filter.Port{Protocol: 1, High: math.MaxUint16},
		} {
			f := &filter.Filter{Root: root}
			vm, err := bpf.NewVM(compile(t, f, classic.Options{}))
			if err != nil {
				t.Fatal(err)
			}
			for range 300 {
				frame := frames.next()
				if got, want := accepts(t, vm, frame), f.Match(frame, len(frame)); got != want {
					t.Fatalf("%s: %v, the evaluator says %v, on %d bytes %x", f, got, want, len(frame), frame)
				}
			}
		}
	}
}
