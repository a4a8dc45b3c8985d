package capfile

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"sync"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
)

// Packet is one of a file. It is in memory of its [Packets]', and small: there are
// millions, most of which nobody wants.
type Packet struct {
	Time      time.Time
	Data      []byte // as the file has it
	Length    uint32 // that it had, of which Data may be less
	Interface int32  // as in Packets.Found

	more *more // nil: nothing
}

// more is what few packets have.
type more struct {
	frame   []byte // that stands for the packet, where it has no Ethernet header
	options Options
}

// Frame is the packet as an Ethernet frame.
func (p *Packet) Frame() []byte {
	if p.more != nil && p.more.frame != nil {
		return p.more.frame
	}
	return p.Data
}

// Whole is how long the packet was, as an int holds it: where that has 32 bits, the most.
func (p *Packet) Whole() int { return whole(p.Length) }

func whole(length uint32) int { return int(min(uint64(length), math.MaxInt)) }

// Options are those of the packet.
func (p *Packet) Options() Options {
	if p.more == nil {
		return Options{}
	}
	options := p.more.options
	options.frame = p.more.frame
	return options
}

// Options are what a packet has beside its bytes: those of pcapng, for a copy.
type Options struct {
	bytes []byte
	order binary.ByteOrder
	frame []byte
}

// Frame is an Ethernet frame that stands for a packet without an Ethernet header, in
// memory of the packet's; nil where it has one.
func (o Options) Frame() []byte { return o.frame }

// block is one that belongs to a copy of the file, beside its packets.
type block struct {
	kind  uint32
	body  []byte
	order binary.ByteOrder
}

// Packets are some of a file, and what was found in it meanwhile.
type Packets struct {
	List  []Packet
	Found []Interface // before these packets
	Err   error       // after them: io.EOF at the file's end

	// Counters are the selector's after these packets.
	Counters wire.Counters

	chunk    []byte // where the packets are
	cooked   []byte // where frames are that stand for packets
	blocks   []block
	comments [][]byte // on sections
	mores    []more   // of the packets
}

// reset makes them empty, but for what they keep of memory: not more than is usual.
func (p *Packets) reset() {
	p.List, p.Found, p.Err, p.cooked, p.blocks = p.List[:0], nil, nil, p.cooked[:0], nil
	p.comments = nil
	p.mores = p.mores[:0]
	if cap(p.chunk) > 2*chunkSize {
		p.chunk = nil
	}
}

// something says whether there is anything in them.
func (p *Packets) something() bool { return len(p.List)+len(p.Found)+len(p.blocks)+len(p.comments) > 0 }

// memory is where a chunk of at least so many bytes is to be read to.
func (p *Packets) memory(least int) []byte {
	if cap(p.chunk) < least {
		p.chunk = make([]byte, 0, least)
	}
	return p.chunk[:0]
}

// add adds a packet, if it is selected.
func (p *Packets) add(from packet, by *Selection) {
	var frame []byte
	switch {
	case from.cook == nil || by.Bare && from.around != nil:
		if !from.cook.asks(from.around, from.data, from.length, by) {
			return
		}
	default: // what is to be kept is copied once
		if frame = p.cook(from); !by.asks(frame, from.length) {
			p.cooked = p.cooked[:len(p.cooked)-len(frame)]
			return
		}
	}
	packet := Packet{Time: from.time, Data: from.data, Length: from.length, Interface: int32(from.iface)}
	if frame != nil || from.options != nil {
		packet.more = p.another()
		packet.more.options = Options{bytes: from.options, order: from.order}
		packet.more.frame = frame
	}
	p.List = append(p.List, packet)
}

// another returns what a packet has more, of which many are allocated at once: more
// each time, until there are enough for a chunk.
func (p *Packets) another() *more {
	const few, many = 16, 8192
	if len(p.mores) == cap(p.mores) {
		p.mores = make([]more, 0, min(many, max(few, 2*cap(p.mores)))) // those before stay with their packets
	}
	p.mores = append(p.mores, more{})
	return &p.mores[len(p.mores)-1]
}

// cook makes a frame of a packet without an Ethernet header.
func (p *Packets) cook(from packet) []byte {
	if need := len(from.data) + len(etherHeader{}); cap(p.cooked)-len(p.cooked) < need {
		p.cooked = make([]byte, 0, max(chunkSize, need)) // the one before stays with its packets
	}
	frame := from.cook.cook(p.cooked[len(p.cooked):], from.data)
	p.cooked = p.cooked[:len(p.cooked)+len(frame)]
	return frame[:len(frame):len(frame)]
}

// A Reading is packets that are read on a goroutine of its own.
type Reading interface {
	// Ready receives packets in their order, and is closed at the end. They are the
	// receiver's until it gives them back with Done.
	Ready() <-chan *Packets
	Done(*Packets)

	// Close ends the goroutine, wherever it is, and waits for it.
	Close()
}

// An exchange is what the two sides of a [Reading] share.
type exchange struct {
	ready chan *Packets // to be run; closed at the end
	spare chan *Packets // to be filled
	stop  chan struct{} // closed by close
	group sync.WaitGroup
}

// batches is how many chunks of a file are in memory, with the one being filled.
const batches = 4

func newExchange(batches int) *exchange {
	e := &exchange{ready: make(chan *Packets, batches), spare: make(chan *Packets, batches), stop: make(chan struct{})}
	for range batches - 1 {
		e.spare <- new(Packets)
	}
	return e
}

func (e *exchange) Ready() <-chan *Packets { return e.ready }

func (e *exchange) Done(p *Packets) { e.spare <- p } // there is room for all

// hand hands packets over, and returns others to be filled.
func (e *exchange) hand(p *Packets) *Packets {
	e.last(p)
	select {
	case p = <-e.spare:
		p.reset()
		return p
	case <-e.stop: // nobody will look at what is read now
		return new(Packets)
	}
}

// last hands packets over behind which there are none. There is room for all, but for
// those that came into being after the end.
func (e *exchange) last(p *Packets) {
	select {
	case e.ready <- p:
	case <-e.stop:
	}
}

// An ahead reads a file ahead, a chunk at a time, and hands over what is in one
// before it reads the next.
type ahead struct {
	*exchange
	file    *File
	by      Selection
	unheard int // chunks since something was handed over
}

// Select begins to read ahead those packets that are selected.
func (f *File) Select(by Selection) Reading { return f.readAhead(by, batches) }

func (f *File) readAhead(by Selection, batches int) *ahead {
	a := &ahead{exchange: newExchange(batches), file: f, by: by}
	f.scanner.fresh = a.fresh
	a.group.Go(a.run)
	return a
}

func (a *ahead) run() {
	defer close(a.ready)
	var err error
	for err == nil && !a.by.full() {
		a.file.format.quick(&a.file.scanner, a.file, &a.by)
		if a.by.full() {
			break
		}
		var packet packet
		if packet, err = a.file.next(); err == nil {
			a.file.batch.add(packet, &a.by)
		}
	}
	switch {
	case errors.Is(err, ErrInterrupted):
		return
	case err == nil:
		err = io.EOF // there is as much as was to be
	}
	a.file.batch.Err = err
	a.file.batch.Counters = a.by.counters()
	a.last(a.file.batch)
}

// fewAtLeast is how many chunks may be read without a word of them, where nothing is
// selected: a word costs.
const fewAtLeast = 16

// fresh hands over what was found in the last chunk, and returns memory for the next.
func (a *ahead) fresh(least int) []byte {
	a.unheard++
	if a.file.batch.something() || a.unheard >= fewAtLeast || !a.file.regular() {
		a.unheard = 0
		a.file.batch.Counters = a.by.counters()
		a.file.batch = a.hand(a.file.batch)
	}
	return a.file.batch.memory(least)
}

// Close ends the goroutine, wherever it is, and waits for it.
func (a *ahead) Close() {
	close(a.stop)
	a.file.in.interrupt()
	a.group.Wait()
}
