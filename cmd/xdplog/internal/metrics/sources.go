package metrics

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/xdplog/xdplog/reader"
)

// MaxSources is how many sources can be told apart by name: each is two time series.
const MaxSources = 1000

// sources count events by source: the N largest by name, the rest as "other".
//
// Prometheus wants labels bounded and counters that only grow, and who sends most changes.
// So a source has a row from when it is found to be large until a larger one takes the
// row, and what it sends before and after counts as other. Counts of a row that is given
// up go to past: rows, other and past together are all events, in packets and bytes, and
// rates of rows and other are never those of something that was counted before.
//
// Who is large is found in bounded memory as Misra and Gries do (Finding repeated
// elements, 1982): what has more than its share of the events since the rows were
// last looked through is a candidate, whatever else comes. Of events without a row every
// eighth is looked at for that, as it costs several times what a row does.
//
// One lock for each batch of events is held by the reader, and at a scrape for as long as
// it takes to sort the candidates, of which there are at most a few thousand.
type sources struct {
	mu    sync.Mutex
	limit int
	rows  map[[16]byte]*sourceRow
	other sourceCount
	past  sourceCount

	candidates map[[16]byte]uint64 // packets looked at since the rows were looked through, at least
	skipped    int                 // events without a row since one was looked at
	looked     time.Time           // when that was
	now        func() time.Time
}

type sourceCount struct{ packets, bytes uint64 }

// sourceRow is one that has a name.
type sourceRow struct {
	sourceCount
	before uint64 // packets when rows were last looked through
}

// Candidates are so many for each row: one that has a 1/(8N) of the packets is found.
const candidatesPerRow = 8

// consideredOf says of how many events one is looked at.
const consideredOf = 8

// settling is how long a row stays at least.
const settling = 10 * time.Second

func newSources(limit int) *sources {
	return &sources{
		limit: limit, rows: map[[16]byte]*sourceRow{}, candidates: map[[16]byte]uint64{},
		now: time.Now,
	}
}

// count adds events.
func (s *sources) count(packets []reader.Packet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range packets {
		event := &packets[i].Event
		source, bytes := event.Source.Addr().As16(), uint64(event.Length) // a 4in6 address is IPv4's
		row := s.rows[source]
		if row != nil && event.IPVersion != 0 {
			row.packets++
			row.bytes += bytes
			continue
		}
		s.other.packets++
		s.other.bytes += bytes
		if s.skipped++; s.skipped >= consideredOf && event.IPVersion != 0 {
			s.skipped = 0
			s.consider(source)
		}
	}
}

// consider adds a packet to those of a candidate.
func (s *sources) consider(source [16]byte) {
	if n, ok := s.candidates[source]; ok || len(s.candidates) < s.limit*candidatesPerRow {
		s.candidates[source] = n + 1
		return
	}
	for candidate, n := range s.candidates { // each was paid for by a packet before
		if n == 1 {
			delete(s.candidates, candidate)
		} else {
			s.candidates[candidate] = n - 1
		}
	}
}

// look gives rows to the largest candidates: those that are free, and such whose
// sources have sent less than half of it meanwhile.
func (s *sources) look() {
	now := s.now()
	if full := len(s.rows) == s.limit; full && now.Sub(s.looked) < settling {
		return
	}
	s.looked = now
	type sender struct {
		address [16]byte
		packets uint64
	}
	largest := func(a, b sender) int {
		return cmp.Or(cmp.Compare(b.packets, a.packets), bytes.Compare(a.address[:], b.address[:]))
	}
	var candidates, rows []sender
	for address, n := range s.candidates {
		candidates = append(candidates, sender{address, n * consideredOf})
	}
	for address, row := range s.rows {
		rows = append(rows, sender{address, row.packets - row.before})
		row.before = row.packets
	}
	slices.SortFunc(candidates, largest)
	slices.SortFunc(rows, largest)
	for _, candidate := range candidates {
		if len(s.rows) == s.limit {
			if len(rows) == 0 || rows[len(rows)-1].packets*2 >= candidate.packets {
				break
			}
			least := rows[len(rows)-1].address
			rows = rows[:len(rows)-1]
			s.past.packets += s.rows[least].packets
			s.past.bytes += s.rows[least].bytes
			delete(s.rows, least)
		}
		s.rows[candidate.address] = &sourceRow{}
	}
	clear(s.candidates)
}

// append appends what was counted, and looks for larger sources for the next time.
func (s *sources) append(b []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	addresses := make([][16]byte, 0, len(s.rows))
	for address := range s.rows {
		addresses = append(addresses, address)
	}
	slices.SortFunc(addresses, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
	for _, unit := range []struct {
		name, help string
		of         func(sourceCount) uint64
	}{
		{"packets", "Events", func(c sourceCount) uint64 { return c.packets }},
		{"bytes", "Bytes of events", func(c sourceCount) uint64 { return c.bytes }},
	} {
		name := "xdplog_source_" + unit.name + "_total"
		b = appendFamily(b, name, "counter", unit.help+" by source address: of the largest since they are among these, and of all others.")
		for _, address := range addresses {
			b = appendSample(b, name, unit.of(s.rows[address].sourceCount), "source", netip.AddrFrom16(address).Unmap().String())
		}
		b = appendSample(b, name, unit.of(s.other), "source", "other")
		name = "xdplog_source_past_" + unit.name + "_total"
		b = appendFamily(b, name, "counter", unit.help+" of sources that were among the largest, while they were.")
		b = appendSample(b, name, unit.of(s.past))
	}
	s.look()
	return b
}
