package ipfix

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/xdplog/xdplog/reader/flow"
)

// waiting is how many messages may wait to be sent: 1 MiB, some 15,000 flows.
const waiting = 1024

// An Exporter sends flows. Its methods but Counts are for one goroutine, or one after the
// other.
type Exporter struct {
	options Options
	shape   *shape
	at      *message  // being made
	since   time.Time // when the first flow was added to it

	queue chan *message
	spare chan *message
	last  chan struct{} // closed when nothing more comes
	stop  chan struct{} // closed when what waits is not to be sent any more
	done  chan struct{} // closed when nothing more is sent
	send  sender

	ending, stopping sync.Once
	impatient        bool // the queue was waited for in vain, and has had no room since

	mu       sync.Mutex
	sent     sums
	notSent  sums
	waits    sums
	messages uint64
	bytes    uint64
}

// A sender takes messages to the collector.
type sender interface {
	// tick does what is due without flows. It is called at the start, and then every
	// second or so.
	tick(now time.Time)
	// send sends a message of a session, whose templates it sends first where it is due.
	send(m *message)
	// close ends the session. What turns out not to have been sent is counted.
	close()
}

// New begins to export. Its error is that the collector can't be found; one that is away
// may come back.
func New(o Options) (*Exporter, error) {
	if o.Domain == 0 {
		o.Domain = 1
	}
	if o.Templates == 0 {
		o.Templates = DefaultTemplates
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	e := &Exporter{
		options: o, shape: newShape(), at: new(message), queue: make(chan *message, waiting), spare: make(chan *message, waiting+2),
		last: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{}),
	}
	e.at.reset()
	var err error
	if e.send, err = e.newSender(); err != nil {
		return nil, err
	}
	go e.run()
	return e, nil
}

func (e *Exporter) newSender() (sender, error) {
	if e.options.Target.Network == "tcp" {
		// A name that can't be found is most often a slip: said at once.
		if err := lookUp(e.options.Target.Address); err != nil {
			return nil, fmt.Errorf("find the collector %s: %w", e.options.Target, err)
		}
		return &stream{exporter: e}, nil
	}
	conn, err := net.Dial("udp", e.options.Target.Address)
	if err != nil {
		return nil, fmt.Errorf("find the collector %s: %w", e.options.Target, err)
	}
	return &datagrams{exporter: e, conn: conn}, nil
}

func lookUp(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	_, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	return err
}

// Headerless says of which interfaces, by their indexes, packets have no Ethernet header. It is
// for before the first flow.
func (e *Exporter) Headerless(indexes []int) { e.shape.headerless = indexes }

// Add exports a flow. It never waits: where the queue is full, the flow is counted as not
// sent.
func (e *Exporter) Add(f *flow.Flow) {
	e.AddPatiently(f, 0)
}

// AddPatiently is Add where the queue may be waited for, for so long at most.
func (e *Exporter) AddPatiently(f *flow.Flow, patience time.Duration) {
	if e.at.empty() {
		e.since = time.Now()
	}
	if !e.at.add(f, e.shape) {
		e.hand(patience)
		e.since = time.Now()
		e.at.add(f, e.shape)
	}
}

// linger is how long a message waits for more flows.
const linger = time.Second

// Tick sends what has waited for more flows for long enough. It is to be called every
// second or so.
func (e *Exporter) Tick(now time.Time) {
	if !e.at.empty() && now.Sub(e.since) >= linger {
		e.hand(0)
	}
}

// hand puts the message at hand into the queue.
func (e *Exporter) hand(patience time.Duration) {
	m := e.at
	e.mu.Lock()
	e.waits.add(m.sums)
	e.mu.Unlock()
	if !e.put(m, patience) {
		e.over(m, false)
		m.reset()
		return
	}
	select {
	case e.at = <-e.spare:
	default:
		e.at = new(message)
	}
	e.at.reset()
}

// put reports whether there was room in the queue.
func (e *Exporter) put(m *message, patience time.Duration) bool {
	select {
	case e.queue <- m:
		e.impatient = false
		return true
	default:
	}
	if patience == 0 || e.impatient {
		return false
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case e.queue <- m:
		return true
	case <-timer.C:
		e.impatient = true
		return false
	}
}

// over counts a message that is done with.
func (e *Exporter) over(m *message, sent bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waits.sub(m.sums)
	if !sent {
		e.notSent.add(m.sums)
		return
	}
	e.sent.add(m.sums)
}

// wrote counts what went to the collector.
func (e *Exporter) wrote(bytes int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.messages++
	e.bytes += uint64(bytes)
}

// refused counts what had been counted as sent, and was not.
func (e *Exporter) refused(what sums) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sent.sub(what)
	e.notSent.add(what)
}

// Finish sends what waits, as long as the collector takes it within some time, and ends.
func (e *Exporter) Finish(patience time.Duration) {
	if !e.at.empty() {
		e.hand(patience)
	}
	e.ending.Do(func() { close(e.last) })
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-e.done:
	case <-timer.C:
	}
	e.Close()
}

// Close ends, and counts what waits as not sent. It may be called from any goroutine, and
// more than once.
func (e *Exporter) Close() error {
	e.stopping.Do(func() { close(e.stop) })
	e.ending.Do(func() { close(e.last) })
	<-e.done
	return nil
}

func (e *Exporter) stopped() bool {
	select {
	case <-e.stop:
		return true
	default:
		return false
	}
}

// run sends what comes, and at the end what waits.
func (e *Exporter) run() {
	defer close(e.done)
	defer e.send.close()
	ticker := time.NewTicker(linger)
	defer ticker.Stop()
	e.send.tick(time.Now())
	for {
		select {
		case m := <-e.queue:
			e.take(m)
		case now := <-ticker.C:
			e.send.tick(now)
		case <-e.last:
			for {
				select {
				case m := <-e.queue:
					e.take(m)
				default:
					return
				}
			}
		}
	}
}

func (e *Exporter) take(m *message) {
	if e.stopped() {
		e.over(m, false)
		return
	}
	e.send.send(m)
	select {
	case e.spare <- m:
	default:
	}
}

// Counts are what became of the flows so far. It may be called from any goroutine.
func (e *Exporter) Counts() Counts {
	e.mu.Lock()
	defer e.mu.Unlock()
	return Counts{Sent: e.sent.flows, NotSent: e.notSent.flows, Waiting: e.waits.flows, Bytes: e.bytes}
}
