package run

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/capfile"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/detail"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/format"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
	"github.com/xdplog/xdplog/reader"
)

// batch is how many events are read at a time. Their lines, some 40 kB, are
// one write: fewer than a pipe holds.
const batch = 256

// A source is where events come from: a [reader.Reader].
type source interface {
	ReadPackets([]reader.Packet) (int, error)
	Counters() (wire.Counters, error)
	SetDeadline(time.Time)
}

// A pump takes events from a source to a writer, and their packets to a
// recording, on a goroutine of its own: a writer that takes nothing holds up
// the pump and nobody else.
//
// It reads to the source's end, also when it has nothing more to write, so
// that what was captured is counted as delivered.
type pump struct {
	source     source
	format     format.Format
	to         io.Writer
	limit      uint64                // events to write; 0: all
	skip       uint64                // events to leave out before
	sorted     bool                  // by the source
	headerless []int                 // as the session's
	lineless   bool                  // the format writes none of events
	hashes     bool                  // events may bear packets' hashes
	record     *capfile.Writer       // nil: none
	take       func([]reader.Packet) // in place of format and to; nil: these
	flows      *folding              // of events; nil: these are written themselves
	say        func(string)          // says what was done with the recording

	missed *atomic.Uint64 // events, or flows, that could not be written

	enough chan struct{} // closed when there is no reason to go on
	done   chan struct{} // closed when the source has ended

	written atomic.Uint64 // events, or flows, whose lines were written
	skipped atomic.Uint64 // events that were left out
	bytes   atomic.Uint64 // of all that are taken
	steps   atomic.Uint64 // how often the pump got on; odd during a write

	// For others once done is closed.
	delivered uint64 // events read
	hashed    uint64 // events read that do
	err       error  // of reading
	panicked  string // what its goroutine died of, with the stack

	asked  atomic.Bool // for another file: see turn.go
	filled atomic.Bool // there are as many files as were wanted
	due    time.Time   // for which a deadline is set
	woken  bool        // by one

	lines    []byte
	ends     []int // of each event's lines in lines
	end      func()
	writeErr atomic.Pointer[error]
}

// start starts a pump that has its source, format and writer.
func (p *pump) start() {
	p.enough, p.done = make(chan struct{}), make(chan struct{})
	p.end = sync.OnceFunc(func() { close(p.enough) })
	go p.run()
}

func (p *pump) run() {
	defer close(p.done)
	defer p.end()
	defer func() {
		// A panic here would end the process and leave the program on. The
		// owner panics in our place, after it has cleaned up.
		if r := recover(); r != nil {
			p.panicked = fmt.Sprintf("%v\n\n%s", r, debug.Stack())
		}
	}()
	packets := make([]reader.Packet, p.batch())
	if p.flows != nil {
		if _, ok := p.source.(*fileSource); ok && p.limit > 0 {
			packets = packets[:1] // the counters speak of no packet behind the last one
		}
		p.flows.begin(p)
	}
	for {
		p.turn()
		n, err := p.source.ReadPackets(packets)
		if p.woke(err) {
			continue
		}
		p.delivered += uint64(n)
		p.countHashes(packets[:n])
		if !p.sorted && n < len(packets) {
			// Each CPU has its own buffer. Few events are put in order, for
			// the eye; many would cost, and nobody reads along.
			slices.SortStableFunc(packets[:n], func(a, b reader.Packet) int { return a.Time.Compare(b.Time) })
		}
		p.write(packets[:n])
		if p.flows != nil && errors.Is(err, os.ErrDeadlineExceeded) {
			p.advance(time.Now())
			continue
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				p.err = err
			}
			p.endFlows()
			p.endRecord()
			return
		}
	}
}

// write writes packets and the lines of their events, as many as the limit
// allows.
func (p *pump) write(packets []reader.Packet) {
	if p.flows != nil { // which counts on also where nothing can be written
		p.fold(packets)
		return
	}
	if p.filled.Load() {
		return
	}
	if p.writeErr.Load() != nil {
		p.missed.Add(uint64(len(packets)))
		return
	}
	packets, options := packets, p.options()
	if left := min(p.skip-p.skipped.Load(), uint64(len(packets))); left > 0 {
		p.skipped.Add(left)
		p.took(packets[:left])
		packets, options = packets[left:], options[min(left, uint64(len(options))):]
	}
	if p.limit > 0 {
		packets = packets[:min(uint64(len(packets)), p.limit-p.written.Load())]
	}
	if p.record != nil && len(packets) > 0 {
		p.steps.Add(1)
		n, err := p.record.Write(packets, options)
		p.steps.Add(1)
		if err != nil {
			p.fail(n, len(packets), err)
			p.took(packets[:n])
			return
		}
	}
	p.lines, p.ends = p.lines[:0], p.ends[:0]
	switch {
	case p.take != nil:
		p.take(packets)
	case p.lineless:
	default:
		for i := range packets {
			p.lines = p.format.AppendEvent(p.lines, &packets[i].Event, p.detailOf(packets, options, i))
			p.ends = append(p.ends, len(p.lines))
		}
	}
	before := p.written.Load()
	p.flush(uint64(len(packets)))
	p.took(packets[:p.written.Load()-before])
}

// took counts the bytes of packets that are among those taken.
func (p *pump) took(packets []reader.Packet) {
	var bytes uint64
	for i := range packets {
		bytes += uint64(packets[i].Length)
	}
	p.bytes.Add(bytes)
}

// flush writes the lines of so many events.
func (p *pump) flush(events uint64) {
	if len(p.lines) > 0 {
		p.steps.Add(1)
		n, err := p.to.Write(p.lines)
		p.steps.Add(1)
		if err != nil {
			whole, _ := slices.BinarySearch(p.ends, n+1)
			if file, ok := p.to.(*os.File); ok { // an event's lines are whole, or not there
				term.TakeBack(file, n-append([]int{0}, p.ends...)[whole])
			}
			p.fail(whole, int(events), err)
			return
		}
	}
	if p.written.Add(events) == p.limit && p.limit > 0 {
		p.end()
	}
}

// detailOf is what the bytes of a packet say beside its event.
func (p *pump) detailOf(packets []reader.Packet, options []capfile.Options, i int) detail.Packet {
	packet := detail.Packet{Data: packets[i].Data}
	if i < len(options) {
		packet.Frame = options[i].Frame()
	} else if len(p.headerless) > 0 && len(packet.Data) > 0 && slices.Contains(p.headerless, packets[i].Interface) {
		packet.Frame = capfile.CookRaw(packet.Data)
	}
	packet.Inside, packet.InsideIP = packets[i].Tunnel.Offset, packets[i].Tunnel.Payload == wire.IPPayload
	return packet
}

// batch is how many events are read at a time: more where they come from a file and
// go to another one alone, which takes large writes best.
func (p *pump) batch() int {
	if _, ok := p.source.(*fileSource); ok && p.record != nil && p.to == io.Discard {
		return 8 * batch
	}
	return batch
}

// options are those of the packets at hand, where they are a file's.
func (p *pump) options() []capfile.Options {
	if file, ok := p.source.(*fileSource); ok {
		return file.options()
	}
	return nil
}

// endRecord completes the recording, also where lines could not be written.
func (p *pump) endRecord() {
	if p.record == nil {
		return
	}
	p.steps.Add(1)
	err := p.record.End()
	p.steps.Add(1)
	if err != nil {
		p.fail(0, 0, err)
	}
}
