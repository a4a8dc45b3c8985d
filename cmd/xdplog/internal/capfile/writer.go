package capfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader"
)

// A Writer writes packets to a capture file, or to one after the other: whole blocks at
// a time, so that each can be read at any moment and up to any failure. It is for one
// goroutine at a time.
type Writer struct {
	out     *output
	form    form
	snapLen int
	pcap    bool
	count   Count     // nil: there are no statistics
	started time.Time // the file

	begun   bool        // the file has its head
	numbers map[int]int // of interfaces, by the index that events bear
	last    struct {    // that of the last packet
		index, number int
		known         bool
	}
	interfaces []written // by number
	packets    uint64    // in all files
	blocks     []block   // that each file has behind its head, or is to have
	comments   [][]byte  // on the section, in its head
	late       int       // comments that came when the head was written
	err        error     // of the first write that failed: there is no other

	ring    *ring   // nil: there is one file
	then    *then   // nil: nothing is done with files that are whole
	period          // of the file
	reopens bool    // it has a file of its own, and no pipe or device
	held    bool    // the file has a packet
	options Options // of the packet that is being written
	all     bool    // see WriterOptions
	tail    int64   // bytes of what will stand behind the packets
}

// WriterOptions say what a [Writer] writes.
type WriterOptions struct {
	SnapLen int    // bytes of each packet, 1 to [MaxSnapLen]
	Pcap    bool   // the classic format, not pcapng
	Filter  string // of the packets of interfaces, for people; "": none
	All     bool   // statistics are of all that was captured, also of what is not written
	Ring    Ring
	Then    Then
	Read    []fs.FileInfo // files that are not to be replaced
	Say     func(string)  // says what goes wrong and is no reason to end; nil: nobody wants to know
}

func (o WriterOptions) say() func(string) {
	if o.Say == nil {
		return func(string) {}
	}
	return o.Say
}

// A Count is what the program has counted of the interface with a number, or nil where
// that is not known.
type Count func(number int) (*wire.Counters, error)

// NewWriter writes to a file that its caller keeps and closes, such as stdout.
func NewWriter(file *os.File, o WriterOptions) *Writer { return newWriter(newOutput(file), o) }

// Create opens a file to write, or the first of several. It is overwritten by the first
// write, not before: a start that fails leaves things as they were. A named pipe waits
// for its reader, until something comes from interrupted.
func Create(name string, o WriterOptions, interrupted <-chan os.Signal) (*Writer, error) {
	now := time.Now()
	var files *ring
	if o.Ring.Wanted() {
		files = newRing(name, o)
		name = files.first(now)
		if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
			return nil, fmt.Errorf("write %s: it is no regular file, which others could follow", name)
		}
	}
	do, err := newThen(o)
	if err != nil {
		return nil, err
	}
	out, err := create(name, interrupted)
	if err != nil {
		return nil, err
	}
	w := newWriter(out, o)
	w.ring, w.then, w.period = files, do, newPeriod(now, o.Ring.Every)
	if files != nil {
		files.then = do
	}
	w.reopens = out.regular()
	if err := w.MayFollow(); err != nil {
		out.close()
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	return w, nil
}

func newWriter(out *output, o WriterOptions) *Writer {
	return &Writer{
		out: out, form: formOf(o), snapLen: o.SnapLen, pcap: o.Pcap, all: o.All,
		started: time.Now(), numbers: make(map[int]int),
	}
}

// Pipe is what packets go to if it has a reader, for who watches whether that leaves;
// nil if it is a file.
func (w *Writer) Pipe() *os.File {
	if w.out.regular() {
		return nil
	}
	return w.out.file
}

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

// Add describes one more interface in the file.
func (w *Writer) Add(i Interface) {
	w.describe(i)
	if !w.begun {
		w.head()
		return
	}
	w.out.add(w.form.describe(w.out.blocks, i))
}

// describe gives an interface its number.
func (w *Writer) describe(i Interface) {
	w.numbers[i.Index] = len(w.interfaces)
	w.last.known = false
	w.interfaces = append(w.interfaces, written{Interface: i})
}

// head has the file begin.
func (w *Writer) head() {
	described := make([]Interface, len(w.interfaces))
	for n := range w.interfaces {
		described[n] = w.interfaces[n].Interface
	}
	w.out.add(w.form.head(w.out.blocks, described, w.comments))
	for _, b := range w.blocks {
		w.out.add(w.form.also(w.out.blocks, b))
	}
	w.begun, w.held = true, false
	w.tail = 0
	if w.count != nil {
		w.tail = int64(len(w.interfaces) * len(w.form.statistics(nil, 0, time.Time{}, allStatistics())))
	}
}

// Write writes packets, and returns how many of them are in files. Options are those of
// recorded packets, in the same order, or none.
func (w *Writer) Write(packets []reader.Packet, options []Options) (n int, err error) {
	if w.err != nil {
		return 0, w.err
	}
	for i := range packets {
		var of *Options
		if i < len(options) {
			of = &options[i]
		}
		if more, err := w.add(&packets[i], of); more > 0 || err != nil {
			if n += more; err != nil {
				return n, err
			}
		}
	}
	more, err := w.flush()
	return n + more, err
}

// add adds a packet to this file, or to the next one where this has no room for it. It
// returns how many packets before it are in files by that.
func (w *Writer) add(p *reader.Packet, recorded *Options) (n int, err error) {
	number := w.last.number
	if w.last.index != p.Interface || !w.last.known { // most packets are of the same one as the last
		number = w.numbers[p.Interface]
		w.last.index, w.last.number, w.last.known = p.Interface, number, true
	}
	if w.pcap {
		if err := w.takes(number); err != nil {
			n, failed := w.flush()
			return n, errors.Join(failed, err)
		}
	}
	of := recorded
	if of == nil {
		of = w.fate(p)
	}
	data := p.Data[:min(len(p.Data), w.snapLen)]
	before := len(w.out.blocks)
	blocks := w.form.packet(w.out.blocks, number, p.Time, data, p.Length, of)
	if w.ring != nil && w.held && w.ring.full(w.out.size+int64(len(blocks))+w.tail) {
		w.out.blocks = blocks[:before]
		if n, err = w.change(w.period.from); err != nil {
			return n, err
		}
		blocks = w.form.packet(w.out.blocks, number, p.Time, data, p.Length, of)
	}
	w.out.addPacket(blocks)
	w.interfaces[number].packets++
	w.packets++
	w.held = true
	return n, nil
}

// Copy writes what of a file belongs to a copy of it beside its packets: secrets
// with which to decrypt them, names of addresses, and comments on the whole.
func (w *Writer) Copy(p *Packets) {
	if w.begun && w.ring == nil {
		w.late += len(p.comments)
	} else {
		w.comments = append(w.comments, p.comments...)
	}
	if w.begun {
		for _, b := range p.blocks {
			w.out.add(w.form.also(w.out.blocks, b))
		}
	}
	if !w.begun || w.ring != nil {
		w.blocks = append(w.blocks, p.blocks...)
	}
}

// Uncopied says what of files was to be copied and came too late, in a line, or "" where
// nothing did.
func (w *Writer) Uncopied() string {
	if w.late == 0 || w.pcap {
		return ""
	}
	return fmt.Sprintf("%d comments on later sections and files are not copied", w.late)
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
func (w *Writer) Close() error {
	if !w.out.owned {
		return nil
	}
	name, whole := w.out.file.Name(), w.out.size > 0 && w.out.hidden == ""
	err := w.out.close()
	if whole {
		w.then.run(name)
	}
	return err
}

// Wait returns when all that is done with files that are whole is done, or at a signal
// from interrupted.
func (w *Writer) Wait(interrupted <-chan os.Signal) {
	w.then.wait(interrupted)
	if w.ring != nil {
		w.ring.sweep()
	}
}
