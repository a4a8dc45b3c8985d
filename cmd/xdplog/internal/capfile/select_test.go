package capfile

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/capfile/capfiletest"
)

// readAhead reads a file ahead, in chunks of its pace, and returns what it hands over.
func readAhead(file []byte, pace int, by Selection) (all []string, counters wire.Counters, err error) {
	f, err := readHeader("f", pacer{bytes.NewReader(file), pace})
	if err != nil {
		return nil, counters, err
	}
	f.in = &input{interrupt: func() {}, regular: pace%2 == 0}
	a := f.Select(by)
	defer a.Close()
	for p := range a.Ready() {
		for i := range p.List {
			all = append(all, textOf(&p.List[i]))
		}
		if p.Err != nil && p.Err != io.EOF {
			err = p.Err
		}
		counters = p.Counters
		a.Done(p)
	}
	return all, counters, err
}

// pacer reads so many bytes at once at most.
type pacer struct {
	io.Reader
	pace int
}

func (p pacer) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(len(b), p.pace)]) }

func textOf(p *Packet) string {
	return fmt.Sprintf("%v %x %x %d %d %v", p.Time, p.Frame(), p.Data, p.Length, p.Interface, p.Options())
}

// TestQuick reads files of all kinds, whole and broken at each of their bytes, as they
// are read ahead, and compares what comes with what is read a packet at a time.
func TestQuick(t *testing.T) {
	odd := newMaker().section(0).iface(linkSLL).iface(linkEthernet).iface(linkType(105)).
		packet(0, 1, append(make([]byte, 16), datagram[14:]...)).
		packet(1, 2, datagram, newMaker().option(optionComment, []byte("look"))).packet(2, 3, datagram).
		packet(0, 4, append(make([]byte, 16), datagram[14:]...), newMaker().option(2, []byte{1, 0, 0, 0}), newMaker().option(0, nil)).
		packet(1, 5, datagram).packet(1, 6, nil)
	cooked := capfiletest.Pcap(t, 3, capfiletest.Micros)
	cooked[20] = byte(linkRaw)
	for n, seed := range append(captureSeeds(t), odd.b, cooked) {
		for i := 0; i < len(seed); i += 1 + len(seed)/97 {
			broken := bytes.Clone(seed)
			broken[i] ^= 1 << (i % 8)
			for _, file := range [][]byte{seed[:i], broken, seed} {
				packets, _, _, wantErr := read(t, file)
				for _, pace := range []int{1 << 20, 61} {
					got, _, err := readAhead(file, pace, Selection{})
					if fmt.Sprint(err) != fmt.Sprint(wantErr) || len(got) != len(packets) {
						t.Fatalf("seed %d, byte %d: %d packets, %v; want %d, %v", n, i, len(got), err, len(packets), wantErr)
					}
					for j := range packets {
						if want := textOf(&packets[j]); got[j] != want {
							t.Fatalf("seed %d, byte %d, packet %d:\n got %s\nwant %s", n, i, j, got[j], want)
						}
					}
					if i%2 == 0 {
						continue
					}
					asked := new(noter)
					bare, _, _ := readAhead(file, pace, Selection{By: asked, Bare: true})
					if len(bare) != len(packets) || len(asked.frames) != len(packets) {
						t.Fatalf("seed %d, byte %d: asked for %d packets, %d come; want %d", n, i, len(asked.frames), len(bare), len(packets))
					}
					for j := range packets {
						if asked.frames[j] != string(packets[j].Frame()) || !strings.Contains(bare[j], fmt.Sprintf(" %x ", packets[j].Data)) {
							t.Fatalf("seed %d, byte %d, packet %d: asked for %x, and then %s; want %s", n, i, j, asked.frames[j], bare[j], got[j])
						}
					}
				}
			}
		}
	}
}

// noter selects all packets, and keeps what it is asked.
type noter struct{ frames []string }

func (n *noter) Select(frame []byte, _ int) bool {
	n.frames = append(n.frames, string(frame))
	return true
}

func (n *noter) Counters() wire.Counters { return wire.Counters{} }

// everyThird selects one packet in three.
type everyThird struct{ counters wire.Counters }

func (e *everyThird) Select([]byte, int) bool {
	e.counters.Seen++
	if e.counters.Seen%3 != 0 {
		return false
	}
	e.counters.Captured++
	return true
}

func (e *everyThird) Counters() wire.Counters { return e.counters }

func TestSelection(t *testing.T) {
	file := capfiletest.Pcap(t, 30_000, capfiletest.Micros)
	for _, c := range []struct {
		limit          uint64
		counted        bool
		packets        int
		seen, captured uint64
	}{
		{0, false, 10_000, 30_000, 10_000},
		{7, false, 7, 21, 7},
		{9999, false, 9999, 29_997, 9999},
		{0, true, 0, 30_000, 10_000},
		{7, true, 0, 21, 7},
		{20_000, true, 0, 30_000, 10_000},
	} {
		for _, pace := range []int{1 << 20, 997} {
			all, counters, err := readAhead(file, pace, Selection{By: new(everyThird), Limit: c.limit, Counted: c.counted})
			if err != nil || len(all) != c.packets || counters.Seen != c.seen || counters.Captured != c.captured {
				t.Errorf("%+v in pieces of %d: %d packets, %+v, %v", c, pace, len(all), counters, err)
			}
		}
	}
}

// TestWhole: a file claims lengths that are no number of 32 bits with a sign.
func TestWhole(t *testing.T) {
	for length, want := range map[uint32]int{0: 0, math.MaxInt32: math.MaxInt32, math.MaxUint32: int(min(math.MaxUint32, int64(math.MaxInt)))} {
		if got := (&Packet{Length: length}).Whole(); got != want {
			t.Errorf("%d is %d, want %d", length, got, want)
		}
	}
}
