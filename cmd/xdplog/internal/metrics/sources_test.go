package metrics

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/xdplog/xdplog/reader"
)

// from is an event of one of many sources.
func from(source uint32, length int) reader.Packet {
	address := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 198<<24|51<<16|100<<8+source)))
	return reader.Packet{Event: reader.Event{Source: netip.AddrPortFrom(address, 1), Length: length, IPVersion: 4}}
}

// scrape returns the packets by source, and all there are, past ones too.
func (s *sources) scrape(t *testing.T) (by map[string]uint64, packets, bytes uint64) {
	t.Helper()
	by = map[string]uint64{}
	page := string(s.append(nil))
	for _, m := range regexp.MustCompile(`(?m)^xdplog_source_(past_)?(packets|bytes)_total(?:\{source="(.*)"\})? (\d+)$`).FindAllStringSubmatch(page, -1) {
		n, err := strconv.ParseUint(m[4], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if m[2] == "bytes" {
			bytes += n
			continue
		}
		packets += n
		if m[1] == "" {
			by[m[3]] = n
		}
	}
	return by, packets, bytes
}

// TestSources has who sends most change, among very many, and finds them by name; the
// sum is right at every scrape, no count of a name decreases, nor that of the others.
func TestSources(t *testing.T) {
	now := time.Unix(0, 0)
	s := newSources(3)
	s.now = func() time.Time { return now }
	random := rand.New(rand.NewPCG(1, 2))
	var packets, bytes uint64
	before := map[string]uint64{}
	for round := range uint32(60) {
		heavy := round / 20 // who is, in this round
		for range 2000 {
			source := 1000 + random.Uint32N(60000)
			if random.Uint32N(3) == 0 {
				source = heavy*10 + random.Uint32N(3)
			}
			length := 60 + random.IntN(1400)
			s.count([]reader.Packet{from(source, length)})
			packets, bytes = packets+1, bytes+uint64(length)
		}
		now = now.Add(15 * time.Second)
		by, gotPackets, gotBytes := s.scrape(t)
		if gotPackets != packets || gotBytes != bytes {
			t.Fatalf("round %d: %d packets of %d bytes, want %d, %d", round, gotPackets, gotBytes, packets, bytes)
		}
		if len(by) > 4 {
			t.Fatalf("round %d: %d series: %v", round, len(by), by)
		}
		for source, n := range by {
			if n < before[source] {
				t.Errorf("round %d: %s fell from %d to %d", round, source, before[source], n)
			}
		}
		before = by
		if round%20 < 5 {
			continue // it takes a while
		}
		for i := range uint32(3) {
			name := from(heavy*10+i, 0).Event.Source.Addr().String()
			if _, ok := by[name]; !ok {
				t.Errorf("round %d: %s has no name among %v", round, name, by)
			}
		}
	}
}

func BenchmarkSources(b *testing.B) {
	for _, n := range []uint32{1, 1000, 100000} {
		b.Run(fmt.Sprintf("of %d", n), func(b *testing.B) {
			s := newSources(20)
			i := uint32(0)
			many := make([]reader.Packet, 1<<16+256)
			for j := range many {
				many[j] = from(uint32(j)*2654435761%n, 60)
			}
			for b.Loop() {
				packets := many[i%(1<<16):][:256]
				i += 256
				s.count(packets)
				if i%(1<<20) == 0 {
					s.append(nil)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/256, "ns/event")
		})
	}
}
