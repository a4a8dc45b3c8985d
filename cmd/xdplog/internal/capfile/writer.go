package capfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
	"github.com/xdplog/xdplog/reader"
)

// A Writer writes packets to a pcapng file: whole blocks at a time, so that it
// can be read at any moment and up to any failure. It is for one goroutine at a
// time.
type Writer struct {
	file    *os.File
	owned   bool // not stdout
	made    bool // there was no such file
	begun   bool // something was written, or tried to be
	snapLen int
	live    bool // of interfaces, whose statistics stand at the end
	started time.Time

	blocks     []byte      // not yet in the file
	pending    []block     // to be copied when there is a section
	interfaces map[int]int // by the index that events bear: by number in the file
	packets    []uint64    // in the file, by that number
	err        error       // of the first write that failed: there is no other
}

// WriterOptions say what a [Writer] writes.
type WriterOptions struct {
	SnapLen int  // bytes of each packet, 1 to [MaxSnapLen]
	Live    bool // of interfaces, whose statistics stand at the end
}

// NewWriter writes to a file that its caller keeps and closes, such as stdout.
func NewWriter(file *os.File, o WriterOptions) *Writer {
	return &Writer{
		file: file, snapLen: o.SnapLen, live: o.Live,
		started: time.Now(), interfaces: make(map[int]int),
	}
}

// Create opens a file to write. It is overwritten by the first write, not before:
// a start that fails leaves things as they were. A named pipe waits for its
// reader, until something comes from interrupted.
func Create(name string, o WriterOptions, interrupted <-chan os.Signal) (*Writer, error) {
	type result struct {
		file *os.File
		made bool
		err  error
	}
	opened := make(chan result, 1)
	go func() {
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		made := err == nil
		if errors.Is(err, fs.ErrExist) {
			file, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o644)
		}
		opened <- result{file, made, err}
	}()
	select {
	case r := <-opened:
		if r.err != nil {
			return nil, r.err
		}
		w := NewWriter(r.file, o)
		w.owned, w.made = true, r.made
		return w, nil
	case <-interrupted:
		return nil, fmt.Errorf("interrupted before anybody read the pipe %s", name)
	}
}

// File is where packets go, for who watches it. It is the writer's.
func (w *Writer) File() *os.File { return w.file }

// Begin writes what precedes the packets, of interfaces that are known then.
func (w *Writer) Begin(interfaces []Interface) error {
	for _, i := range interfaces {
		w.Add(i)
	}
	_, err := w.flush()
	return err
}

// An Interface is one that packets come from.
type Interface struct {
	names.Interface        // without a name: unknown
	Speed           uint64 // bits per second; 0: unknown

	recorded bool     // in a file, of which are:
	link     linkType // what its packets begin with, which is Ethernet otherwise
	options  []byte   // as this package writes them
}

// Add describes an interface in the file.
func (w *Writer) Add(i Interface) {
	if len(w.packets) == 0 {
		w.blocks = appendSection(w.blocks)
	}
	w.blocks = appendInterface(w.blocks, i, w.snapLen)
	w.interfaces[i.Index] = len(w.packets)
	w.packets = append(w.packets, 0)
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
		number := w.interfaces[p.Interface]
		of := fate(&p.Event)
		if i < len(options) {
			of = options[i]
		}
		data := p.Data[:min(len(p.Data), w.snapLen)]
		w.blocks = appendPacket(w.blocks, number, p.Time, data, p.Length, of)
		w.packets[number]++
	}
	return w.flush()
}

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

// copyPending copies what is to be copied, where there is a section already.
func (w *Writer) copyPending() {
	if len(w.packets) == 0 {
		return
	}
	for _, b := range w.pending {
		w.blocks = appendCopy(w.blocks, b)
	}
	w.pending = nil
}

// End writes what follows the packets: of live interfaces, their statistics.
func (w *Writer) End(c wire.Counters) error {
	if w.err != nil {
		return nil // told already
	}
	if len(w.packets) == 0 { // a file with packets of no interface
		w.Add(Interface{})
	}
	if w.live {
		for number := range w.packets {
			w.addStatistics(number, c)
		}
	}
	_, err := w.flush()
	return err
}

// addStatistics adds those of an interface. What the program counts is of all
// interfaces together: of several, each has what is known of it.
func (w *Writer) addStatistics(number int, c wire.Counters) {
	now := time.Now()
	s := statistics{began: w.started, ended: now, delivered: w.packets[number]}
	alone := len(w.packets) == 1
	if alone {
		s.received, s.accepted = &c.Seen, new(c.Matched())
	}
	if alone || c.Lost == 0 {
		s.dropped = &c.Lost
	}
	if !alone && c.Lost > 0 {
		s.comment = fmt.Sprintf("%d packets were dropped, on all interfaces together", c.Lost)
	}
	w.blocks = appendStatistics(w.blocks, number, now, s)
}

// flush writes all blocks. It returns how many packets among them are in the
// file. Where a write fails, it leaves no part of a block behind, if it can.
func (w *Writer) flush() (packets int, err error) {
	if len(w.blocks) == 0 {
		return 0, nil
	}
	if w.owned && !w.begun {
		w.file.Truncate(0) // fails where there is nothing to overwrite, as in a pipe
	}
	w.begun = true
	all := w.blocks
	written, err := w.file.Write(all)
	whole := 0
	for block := range blocks(all[:written]) {
		whole += len(block)
		if binary.LittleEndian.Uint32(block) == blockEnhanced {
			packets++
		}
	}
	w.blocks = w.blocks[:0]
	if err != nil {
		w.err = err
		term.TakeBack(w.file, written-whole)
	}
	return packets, err
}

// Close closes the file, unless it is stdout. It may be called more than once.
// A file that it has made, and in which nothing is, is taken away again.
func (w *Writer) Close() error {
	if !w.owned {
		return nil
	}
	w.owned = false
	if info, err := w.file.Stat(); w.made && err == nil && info.Size() == 0 {
		os.Remove(w.file.Name())
	}
	return w.file.Close()
}
