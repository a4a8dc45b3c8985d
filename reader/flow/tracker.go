package flow

import (
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader"
)

// What holds where [Options] are zero.
const (
	DefaultMax    = 65536            // some 20 MB
	DefaultIdle   = time.Minute      // Suricata: 30 s (new) to 10 min (TCP); exporters: 15 s to 60 s
	DefaultActive = 30 * time.Minute // as most exporters of IPFIX; Suricata has none
)

// closedIdle is how long a closed connection is kept for what comes behind its
// end: the last ACK, segments that were sent again.
const closedIdle = 10 * time.Second

// Options say when flows end. The zero value is what most want.
type Options struct {
	Max    int           // flows that are open at a time; 0: DefaultMax
	Idle   time.Duration // without a packet; 0: DefaultIdle. A closed connection: at most 10 s
	Active time.Duration // from the first packet to one that begins another flow; 0: DefaultActive; below 0: none
}

// A Tracker puts events together to flows. It is for one goroutine at a time.
type Tracker struct {
	max    int
	idle   [2]int64 // of flows in the list of that number, in nanoseconds
	active int64

	end   func(*Flow)
	flow  Flow // that end is called with
	flows map[key]int32
	table []entry
	free  int32 // the first entry that is not used, linked by next; none
	lists [2]list
	now   int64
	stats Stats
}

// New returns a tracker that calls end with each flow that has ended; nil: nobody
// wants to know. The flow is the tracker's, and valid until end returns.
func New(o Options, end func(*Flow)) *Tracker {
	if o.Max <= 0 {
		o.Max = DefaultMax
	}
	if o.Idle <= 0 {
		o.Idle = DefaultIdle
	}
	if o.Active == 0 {
		o.Active = DefaultActive
	}
	if end == nil {
		end = func(*Flow) {}
	}
	t := &Tracker{
		max: o.Max, active: int64(o.Active), end: end,
		idle:  [2]int64{open: int64(o.Idle), closed: int64(min(o.Idle, closedIdle))},
		flows: make(map[key]int32), free: none,
	}
	for i := range t.lists {
		t.lists[i] = list{none, none}
	}
	return t
}

// Stats are sums over all flows of a tracker.
type Stats struct {
	Packets uint64 // that were added
	Begun   uint64 // flows; those that have not ended are open
	Ended   uint64
	Early   uint64 // that ended for want of room
}

// Open is how many flows have not ended.
func (s Stats) Open() uint64 { return s.Begun - s.Ended }

// Stats are the sums so far.
func (t *Tracker) Stats() Stats { return t.stats }

// Add adds a packet to its flow, and reports whether it is the first one of that.
// Before, it ends the flows that are over at the packet's time.
func (t *Tracker) Add(e *reader.Event) (first bool) {
	now := e.Time.UnixNano()
	t.advance(now)
	k, sender := keyOf(e)
	i, known := t.flows[k]
	if known && t.over(i, e, now) {
		known = false
	}
	if !known {
		i = t.begin(k, e, sender, now)
	}
	t.count(i, e, sender, now)
	return !known
}

// Advance ends the flows that are over at a time, where packets don't: it may be
// called when all packets before that time were added.
func (t *Tracker) Advance(now time.Time) { t.advance(now.UnixNano()) }

// Close ends all flows. The tracker is empty then, and goes on counting.
func (t *Tracker) Close() {
	for i := t.oldest(); i != none; i = t.oldest() {
		t.finish(i, Shutdown)
	}
}

func (t *Tracker) advance(now int64) {
	t.now = now
	for list := range t.lists {
		for {
			i := t.lists[list].head
			if i == none || now-t.table[i].last < t.idle[list] {
				break
			}
			t.finish(i, Idle)
		}
	}
}

// over ends a flow that a packet is no part of any more, and reports whether it did.
// It asks for the time without packets once more: in a file that goes back in time
// the lists are not in the order of their times.
func (t *Tracker) over(i int32, e *reader.Event, now int64) bool {
	f := &t.table[i]
	switch {
	case now-f.last >= t.idle[f.list]:
		t.finish(i, Idle)
	case t.active > 0 && now-f.start >= t.active:
		t.finish(i, Active)
	case f.list == closed && e.HasTCPFlags && e.TCPFlags&(syn|ack) == syn:
		t.finish(i, Reused)
	default:
		return false
	}
	return true
}

// begin makes room for a flow.
func (t *Tracker) begin(k key, e *reader.Event, sender int, now int64) int32 {
	if len(t.flows) >= t.max {
		t.finish(t.oldest(), Full)
	}
	i := t.free
	if i != none {
		t.free = t.table[i].next
	} else {
		i = int32(len(t.table))
		t.table = append(t.table, entry{})
	}
	t.table[i] = entry{
		key: k, client: uint8(sender), start: now, last: now,
		iface: int32(e.Interface), direction: e.Direction, next: none, prev: none,
	}
	t.flows[k] = i
	t.stats.Begun++
	t.push(open, i)
	return i
}

// count adds a packet to a flow, which becomes the youngest of its list.
func (t *Tracker) count(i int32, e *reader.Event, sender int, now int64) {
	t.stats.Packets++
	f := &t.table[i]
	side := &f.sides[sender]
	side.Packets++
	side.Bytes += uint64(e.Length)
	if now < f.start { // what two CPUs saw may come out of order
		f.start = now
		if !f.certain {
			f.client = uint8(sender)
		}
	}
	f.last = max(f.last, now)
	if e.HasTCPFlags {
		f.tcp(e.TCPFlags, sender)
	}
	if e.Verdict != wire.NoVerdict {
		f.verdict = e.Verdict
		f.verdicts[e.Verdict]++
	}
	t.remove(i)
	t.push(f.place(), i)
}

// oldest is the flow that has had no packet for longest, or none.
func (t *Tracker) oldest() int32 {
	a, b := t.lists[open].head, t.lists[closed].head
	if a == none || b != none && t.table[b].last < t.table[a].last {
		return b
	}
	return a
}

// finish ends a flow.
func (t *Tracker) finish(i int32, why Reason) {
	f := &t.table[i]
	f.describe(&t.flow)
	t.flow.Ended, t.flow.Reason = time.Unix(0, t.now), why
	delete(t.flows, f.key)
	t.remove(i)
	f.next, t.free = t.free, i
	t.stats.Ended++
	if why == Full {
		t.stats.Early++
	}
	t.end(&t.flow)
}
