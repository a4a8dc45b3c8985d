package run

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/ipfix"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/metrics"
	"github.com/xdplog/xdplog/reader"
	"github.com/xdplog/xdplog/reader/eve"
	"github.com/xdplog/xdplog/reader/flow"
)

// Flows has a run tell conversations apart.
type Flows struct {
	flow.Options
	First  bool           // print the first packet of each conversation, in place of what became of it
	Export *ipfix.Options // also to a collector; nil: to none
}

// A folding stands between reading and writing where conversations are told apart: it
// takes packets, and what is written are flows, or the first packets of these.
type folding struct {
	Flows
	deadline func(time.Time) // has a read end at a time; nil: packets alone move the clock

	tracker *flow.Tracker
	export  *ipfix.Exporter // nil: none

	atEnd bool // there are no further packets

	mu    sync.Mutex
	stats flow.Stats // of the tracker, for others
}

// tick is how often a clock looks for flows that are over, where no packet does.
const tick = time.Second

// patience is for a collector that does not take what is sent, where there is time.
const patience = 2 * time.Second

// late is how long a packet may have been on its way to the tracker when a read has
// found none: the clock stays behind by as much.
const late = time.Second

// chunk is how long lines get before they are written: as those of a batch.
const chunk = 32 << 10

// sums are those over flows until now. It may be called from any goroutine.
func (f *folding) sums() flow.Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stats
}

func (f *folding) publish() {
	stats := f.tracker.Stats()
	f.mu.Lock()
	f.stats = stats
	f.mu.Unlock()
}

// appendFirsts appends how many packets were the first of their conversations, and
// how many were not.
func (f *folding) appendFirsts(b []byte) []byte {
	sums := f.sums()
	b = fmt.Appendf(b, "%d of them the first of their conversations, %d not", sums.Begun, sums.Packets-sums.Begun)
	if sums.Early > 0 {
		b = fmt.Appendf(b, "; %d conversations were forgotten early for want of room", sums.Early)
	}
	return append(b, '\n')
}

// greet says where flows go.
func (f *folding) greet(to io.Writer) {
	if f != nil && f.export != nil {
		fmt.Fprintf(to, "flows to %s (IPFIX)\n", f.Export.Target)
	}
}

// send sends a flow to the collector, whom nothing waits for but a file and the end.
func (f *folding) send(ended *flow.Flow) {
	if f.deadline == nil || f.atEnd {
		f.export.AddPatiently(ended, patience)
		return
	}
	f.export.Add(ended)
}

// unsent is how many flows a collector was to have and did not get.
func (f *folding) unsent() uint64 {
	if f.export == nil {
		return 0
	}
	counts := f.export.Counts()
	return counts.NotSent + counts.Waiting
}

// metrics are those of flows; nil: there are none.
func (f *folding) metrics() func() metrics.Flows {
	if f == nil {
		return nil
	}
	return func() metrics.Flows {
		sums := f.sums()
		m := metrics.Flows{Begun: sums.Begun, Open: sums.Open(), Early: sums.Early}
		if f.export != nil {
			counts := f.export.Counts()
			m.Exported, m.Sent, m.Unsent = true, counts.Sent, counts.NotSent
		}
		return m
	}
}

// exported are counts of what a collector got.
func (f *folding) exported() []eve.Stat {
	if f.export == nil {
		return nil
	}
	return []eve.Stat{{Name: "exported", Value: f.export.Counts().Sent}, {Name: "not_exported", Value: f.unsent()}}
}

// wait has the next read end in time for a look at the clock.
func (f *folding) wait() {
	if f.deadline != nil {
		f.deadline(time.Now().Add(tick))
	}
}

// begin makes the tracker of a pump's flows.
func (f *folding) begin(p *pump) {
	end := p.flowEnded
	if f.First {
		end = nil
	}
	f.tracker = flow.New(f.Options, end)
	f.wait()
}

// fold puts packets into their flows, as many as the limit of what is written allows.
func (p *pump) fold(packets []reader.Packet) {
	options := p.options()
	for i := range packets {
		if p.full() {
			break
		}
		event := &packets[i].Event
		p.took(packets[i : i+1])
		if first := p.flows.tracker.Add(event); first && p.flows.First && p.writeErr.Load() == nil {
			p.lines = p.format.AppendEvent(p.lines, event, p.detailOf(packets, options, i))
			p.ends = append(p.ends, len(p.lines))
		}
	}
	p.flushFlows()
	if file, ok := p.source.(*fileSource); ok && p.reached() {
		file.enough = true // the counters speak of no packet behind
	}
}

// advance writes the flows that are over where there are no packets. It is called
// when a read has found none.
func (p *pump) advance(now time.Time) {
	p.flows.tracker.Advance(now.Add(-late))
	p.flushFlows()
	p.flows.wait()
}

// endFlows writes the flows that are open at the end. Behind the limit they stay so.
func (p *pump) endFlows() {
	if p.flows == nil {
		return
	}
	p.flows.atEnd = true
	if !p.full() && !p.flows.First {
		p.flows.tracker.Close()
	}
	p.flushFlows()
	if p.flows.export != nil {
		p.flows.export.Finish(patience)
	}
}

// flowEnded appends the line of a flow.
func (p *pump) flowEnded(f *flow.Flow) {
	if p.full() {
		return
	}
	if p.flows.export != nil {
		p.flows.send(f)
	}
	if p.writeErr.Load() != nil {
		p.missed.Add(1)
		return
	}
	p.lines = p.format.AppendFlow(p.lines, f)
	p.ends = append(p.ends, len(p.lines))
	if len(p.lines) >= chunk {
		p.flushFlows()
	}
}

func (p *pump) flushFlows() {
	p.flows.publish()
	if p.flows.export != nil {
		p.flows.export.Tick(time.Now())
	}
	if p.writeErr.Load() == nil {
		p.flush(uint64(len(p.ends)))
	}
	p.lines, p.ends = p.lines[:0], p.ends[:0]
}

// full reports whether there are as many lines as are wanted.
func (p *pump) full() bool {
	return p.limit > 0 && p.written.Load()+uint64(len(p.ends)) >= p.limit
}
