package capfile

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/reader"
)

// A Writer writes packets to a capture file: whole blocks at a time, so that it
// can be read at any moment and up to any failure. It is for one goroutine at a
// time.
type Writer struct {
	out     *output
	form    form
	snapLen int
	pcap    bool
	count   Count // nil: there are no statistics
	started time.Time

	begun      bool        // the file has its head
	pending    []block     // to be written when it has one
	numbers    map[int]int // of interfaces, by the index that events bear
	interfaces []written   // by number
	err        error       // of the first write that failed: there is no other
}

// written is an interface, and what is in files of it.
type written struct {
	Interface
	packets uint64
}

// WriterOptions say what a [Writer] writes.
type WriterOptions struct {
	SnapLen int    // bytes of each packet, 1 to [MaxSnapLen]
	Pcap    bool   // the classic format, not pcapng
	Filter  string // of the packets of interfaces, for people; "": none
}

// A Count is what the program has counted of the interface with a number, or nil where
// that is not known.
type Count func(number int) (*wire.Counters, error)

// NewWriter writes to a file that its caller keeps and closes, such as stdout.
func NewWriter(file *os.File, o WriterOptions) *Writer { return newWriter(newOutput(file), o) }

// Create opens a file to write. It is overwritten by the first write, not before:
// a start that fails leaves things as they were. A named pipe waits for its
// reader, until something comes from interrupted.
func Create(name string, o WriterOptions, interrupted <-chan os.Signal) (*Writer, error) {
	out, err := create(name, interrupted)
	if err != nil {
		return nil, err
	}
	return newWriter(out, o), nil
}

func newWriter(out *output, o WriterOptions) *Writer {
	return &Writer{
		out: out, form: formOf(o), snapLen: o.SnapLen, pcap: o.Pcap,
		started: time.Now(), numbers: make(map[int]int),
	}
}

// File is where packets go, for who watches it. It is the writer's.
func (w *Writer) File() *os.File { return w.out.file }

// Begin writes what precedes the packets, of interfaces that are known then. Where they
// are counted, their statistics stand at the end.
func (w *Writer) Begin(interfaces []Interface, count Count) error {
	for _, i := range interfaces {
		w.describe(i)
	}
	w.count = count
	w.head()
	_, err := w.flush()
	return err
}

// An Interface is one that packets come from.
type Interface struct {
	names.Interface        // without a name: unknown
	Speed           uint64 // bits per second; 0: unknown

	recorded bool     // in a file, of which are:
	link     linkType // what its packets begin with
	options  []byte   // as this package writes them
}

func (i *Interface) linkType() linkType {
	if i.recorded {
		return i.link
	}
	return linkEthernet
}

// Add describes one more interface in the file.
func (w *Writer) Add(i Interface) {
	w.describe(i)
	if w.begun {
		w.out.add(w.form.describe(w.out.blocks, i))
		return
	}
	w.head()
}

// describe gives an interface its number.
func (w *Writer) describe(i Interface) {
	w.numbers[i.Index] = len(w.interfaces)
	w.interfaces = append(w.interfaces, written{Interface: i})
}

// head has the file begin.
func (w *Writer) head() {
	described := make([]Interface, len(w.interfaces))
	for n := range w.interfaces {
		described[n] = w.interfaces[n].Interface
	}
	w.out.add(w.form.head(w.out.blocks, described))
	w.begun = true
	w.copyPending()
}

// Write writes packets, and returns how many of them are in the file. Options are
// those of recorded packets, in the same order, or none.
func (w *Writer) Write(packets []reader.Packet, options []Options) (n int, err error) {
	if w.err != nil {
		return 0, w.err
	}
	for i := range packets {
		p := &packets[i]
		number := w.numbers[p.Interface]
		if err := w.takes(number); err != nil {
			n, _ := w.flush()
			w.err = errors.Join(w.err, err)
			return n, w.err
		}
		of := fate(&p.Event)
		if i < len(options) {
			of = options[i]
		}
		data := p.Data[:min(len(p.Data), w.snapLen)]
		w.out.addPacket(w.form.packet(w.out.blocks, number, p.Time, data, p.Length, of))
		w.interfaces[number].packets++
	}
	return w.flush()
}

// takes returns an error if packets of an interface have no place in the file.
func (w *Writer) takes(number int) error {
	first, this := w.interfaces[0].linkType(), w.interfaces[number].linkType()
	if !w.pcap || first == this {
		return nil
	}
	return fmt.Errorf("write %s: a pcap file is of one link type, this one of %v, and there are packets of %v: %w", w.out.file.Name(), first, this, ErrOneLinkType)
}

// ErrOneLinkType is why a packet has no place in a pcap file.
var ErrOneLinkType = errors.New("pcapng takes them all")

// fate is what the options of a packet's block say of it: epb_flags, epb_verdict.
func fate(e *reader.Event) (o Options) {
	const (
		flags, verdict    = 2, 7
		inbound, outbound = 1, 2 // the two lowest bits of the flags
		byXDP             = 2    // Linux eBPF XDP: the action is that of enum xdp_action (linux/bpf.h)
	)
	switch e.Direction {
	case wire.In:
		o.bytes = appendOption(o.bytes, flags, little.AppendUint32(nil, inbound))
	case wire.Out:
		o.bytes = appendOption(o.bytes, flags, little.AppendUint32(nil, outbound))
	}
	if e.Verdict != wire.NoVerdict {
		action := uint64(e.Verdict - wire.Aborted)
		o.bytes = appendOption(o.bytes, verdict, little.AppendUint64([]byte{byXDP}, action))
	}
	o.order = little
	return o
}

// Copy writes what of a file belongs to a copy of it beside its packets: secrets
// with which to decrypt them, and names of addresses.
func (w *Writer) Copy(p *Packets) {
	w.pending = append(w.pending, p.blocks...)
	w.copyPending()
}

// copyPending copies what is to be copied, where there is a head already.
func (w *Writer) copyPending() {
	if !w.begun {
		return
	}
	for _, b := range w.pending {
		w.out.add(w.form.also(w.out.blocks, b))
	}
	w.pending = nil
}

// End writes what follows the packets: of interfaces that are counted, their statistics.
func (w *Writer) End() error {
	if w.err != nil {
		return nil // told already
	}
	if !w.begun { // a file with packets of no interface
		w.Add(Interface{})
	}
	if err := w.addStatistics(); err != nil {
		return err
	}
	_, err := w.flush()
	return err
}

// addStatistics adds those of the interfaces. Packets that were captured and are not in
// the file came behind its last one: they are none of its.
func (w *Writer) addStatistics() error {
	now := time.Now()
	for number := range w.interfaces {
		if w.count == nil {
			continue
		}
		counters, err := w.count(number)
		if err != nil {
			return err
		}
		s := statistics{began: w.started, ended: now, delivered: w.interfaces[number].packets}
		if counters != nil {
			c := upTo(*counters, s.delivered)
			s.received, s.accepted, s.dropped = &c.Seen, new(c.Matched()), &c.Lost
		}
		w.out.add(w.form.statistics(w.out.blocks, number, now, s))
	}
	return nil
}

// upTo is the counters without what was captured beyond so many packets.
func upTo(c wire.Counters, captured uint64) wire.Counters {
	if c.Captured > captured {
		c.Seen -= min(c.Seen, c.Captured-captured)
		c.Captured = captured
	}
	return c
}

// flush writes all blocks. It returns how many packets among them are in the file.
func (w *Writer) flush() (packets int, err error) {
	packets, err = w.out.flush()
	if err != nil {
		w.err = err
	}
	return packets, err
}

// Close closes the file, unless it is stdout. It may be called more than once.
// A file that it has made, and in which nothing is, is taken away again.
func (w *Writer) Close() error { return w.out.close() }
