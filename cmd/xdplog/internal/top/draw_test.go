package top

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/xdplog/xdplog/reader/tally"
)

// glass is a terminal as far as a screen asks for one: lines of a size, which wrap
// nowhere.
type glass struct {
	lines       [][]rune
	row, column int
	painted     bool // some look was asked for
}

func newGlass(columns, height int) *glass {
	g := &glass{lines: make([][]rune, height)}
	for i := range g.lines {
		g.lines[i] = []rune(strings.Repeat("~", columns)) // which has to go
	}
	return g
}

func (g *glass) Write(b []byte) (int, error) {
	for s := string(b); s != ""; {
		if rest, ok := strings.CutPrefix(s, "\x1b["); ok {
			end := strings.IndexFunc(rest, func(r rune) bool { return r >= '@' })
			g.command(rest[:end], rest[end])
			s = rest[end+1:]
			continue
		}
		r, size := utf8.DecodeRuneInString(s)
		if r < ' ' {
			return 0, fmt.Errorf("control character %q", r)
		}
		g.lines[g.row][min(g.column, len(g.lines[g.row])-1)] = r
		g.column++
		s = s[size:]
	}
	return len(b), nil
}

func (g *glass) command(arguments string, command byte) {
	switch command {
	case 'H':
		fmt.Sscanf(arguments, "%d;%d", &g.row, &g.column)
		g.row, g.column = g.row-1, g.column-1
	case 'K':
		for i := min(g.column, len(g.lines[g.row])-1); i < len(g.lines[g.row]); i++ {
			g.lines[g.row][i] = ' '
		}
	case 'J':
		for i := range g.lines {
			g.lines[i] = []rune(strings.Repeat(" ", len(g.lines[i])))
		}
	case 'm':
		g.painted = g.painted || arguments != ""
	default:
		panic(fmt.Sprintf("command %q", command))
	}
}

func (g *glass) String() string {
	var b strings.Builder
	for _, line := range g.lines {
		b.WriteString(strings.TrimRight(string(line), " ") + "\n")
	}
	return b.String()
}

// pictured is a picture of so many sources; the first has a long address.
func pictured(rows int) picture {
	t := table{by: tally.Source, duration: time.Second, at: time.Unix(1_700_000_000, 0)}
	for i := range rows {
		e := entry{lately: tally.Sum{Packets: uint64(100 - i), Bytes: uint64(6400 - 64*i)}}
		e.Source = netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		if i == 0 {
			e.Source = netip.MustParseAddr("2001:db8:1111:2222:3333:4444:5555:6666")
		}
		e.Sum = tally.Sum{Packets: uint64(1000 - i), Bytes: uint64(64000 - 64*i)}
		t.entries = append(t.entries, e)
		t.total.Add(e.Sum)
		t.recent.Add(e.lately)
	}
	return picture{table: t, where: "eth0", filter: "udp"}
}

// TestDraw: the rows stay, however little room there is.
func TestDraw(t *testing.T) {
	for _, c := range []struct {
		columns, height, rows int
		want                  string
	}{
		{80, 10, 3, `
xdplog top  eth0  by src, rate first  filter: udp
297 pkt/s  152k bit/s  in all 2997 packets, 191808 bytes
packets   bytes  pkt/s  bit/s  share  src
   1000   64000    100  51.2k  33.4%  2001:db8:1111:2222:3333:4444:5555:6666
    999   63936   99.0  50.7k  33.3%  192.0.2.1
    998   63872   98.0  50.2k  33.3%  192.0.2.2



q quit  s sort  b key  p pause  / filter  h help
`},
		{80, 8, 20, `
xdplog top  eth0  by src, rate first  filter: udp
1.81k pkt/s  927k bit/s  in all 19810 packets, 1267840 bytes
packets    bytes  pkt/s  bit/s  share  src
   1000    64000    100  51.2k   5.0%  2001:db8:1111:2222:3333:4444:5555:6666
    999    63936   99.0  50.7k   5.0%  192.0.2.1
    998    63872   98.0  50.2k   5.0%  192.0.2.2
  16813  1076032  1.51k   775k  84.9%  other
q quit  s sort  b key  p pause  / filter  h help
`},
		{40, 6, 2, `
xdplog top  eth0  by src, rate first  f+
199 pkt/s  102k bit/s  in all 1999 pack+
pkt/s  src
  100  2001:db8:1111:2222:3333:4444:555+
 99.0  192.0.2.1
q quit  s sort  b key  p pause  / filte+
`},
		{60, 4, 20, `
xdplog top  eth0  by src, rate first  filter: udp
pkt/s  bit/s  src
  100  51.2k  2001:db8:1111:2222:3333:4444:5555:6666
1.71k   876k  other
`},
		{20, 2, 20, `
pkt/s  src
  100  2001:db8:111+
`},
		{9, 1, 1, `
pkt/s  s+
`},
	} {
		p := pictured(c.rows)
		s := screen{}
		s.resize(c.columns, c.height)
		g := newGlass(c.columns, c.height)
		if _, err := g.Write(s.update(p.draw(c.columns, c.height))); err != nil {
			t.Error(err)
		}
		if got := g.String(); got != c.want[1:] {
			t.Errorf("%d by %d:\n%swant%s", c.columns, c.height, got, c.want)
		}
		if g.painted {
			t.Errorf("%d by %d: painted, where no colors are wanted", c.columns, c.height)
		}
	}
}

// TestEverySize: nothing sticks out, at any size and in any state, and what is
// redrawn line by line is what drawing anew would show.
func TestEverySize(t *testing.T) {
	for columns := 1; columns < 90; columns += 3 {
		for height := 1; height < 14; height++ {
			s := screen{color: true}
			s.resize(columns, height)
			g := newGlass(columns, height)
			for i, p := range []picture{pictured(0), pictured(30), {help: true}, pictured(2), {status: "no such filter: udp prot", table: pictured(5).table}, pictured(3)} {
				p.paused = i%2 == 1
				lines := p.draw(columns, height)
				g.Write(s.update(lines))
				anew, whole := screen{color: true}, newGlass(columns, height)
				anew.resize(columns, height)
				whole.Write(anew.update(lines))
				if g.String() != whole.String() {
					t.Fatalf("%d by %d, picture %d: shows\n%s\nand drawn anew\n%s", columns, height, i, g, whole)
				}
				for _, l := range lines {
					if utf8.RuneCountInString(l.text) > columns {
						t.Fatalf("%d by %d, picture %d: %q is too long", columns, height, i, l.text)
					}
				}
				if again := s.update(lines); len(again) > 0 {
					t.Fatalf("%d by %d, picture %d: draws %q though nothing has changed", columns, height, i, again)
				}
			}
		}
	}
}

func TestShort(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0", 1: "1.0", 2.25: "2.2", 9.99: "10.0", 12.34: "12.3", 99.94: "99.9", 99.96: "100", 999: "999", 999.6: "1.00k", 1234: "1.23k",
		12345: "12.3k", 123456: "123k", 999_600: "1.00M", 1e18: "1.00E", 1.5e22: "15000E",
	} {
		if got := string(appendShort(nil, x)); got != want {
			t.Errorf("%v is %q, want %q", x, got, want)
		}
	}
}

func TestTyped(t *testing.T) {
	for sent, want := range map[string]string{
		"s": "s", "\x1b": "\x1b", "\x1b[A": "", "a\x1b[1;5Cb": "ab", "\x1bOPq": "q", "\n": "\r", "\b": "\x7f", "é": "", "\x1b[": "",
	} {
		var got []rune
		for _, k := range typed([]byte(sent)) {
			got = append(got, rune(k))
		}
		if string(got) != want {
			t.Errorf("%q is %q, want %q", sent, string(got), want)
		}
	}
}
