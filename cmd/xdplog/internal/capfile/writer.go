package capfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/version"
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

	blocks     bytes.Buffer // not yet in the file
	ng         *pcapgo.NgWriter
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
}

// Add describes an interface in the file.
func (w *Writer) Add(i Interface) {
	description := pcapgo.NgInterface{Name: i.Name, LinkType: layers.LinkTypeEthernet, SnapLength: uint32(w.snapLen)}
	if w.ng == nil {
		w.ng, _ = pcapgo.NewNgWriterInterface(&w.blocks, description, pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{
			Hardware: runtime.GOARCH, OS: runtime.GOOS, Application: "xdplog " + version.Own().Number,
		}})
	} else {
		w.ng.AddInterface(description) // a buffer takes everything
	}
	if i.Speed != 0 {
		w.addOption(optionSpeed, binary.LittleEndian.AppendUint64(nil, i.Speed))
	}
	w.interfaces[i.Index] = len(w.packets)
	w.packets = append(w.packets, 0)
}

// Write writes packets, and returns how many of them are in the file.
func (w *Writer) Write(packets []reader.Packet) (n int, err error) {
	if w.err != nil {
		return 0, w.err
	}
	for i := range packets {
		p := &packets[i]
		number := w.interfaces[p.Interface]
		data := p.Data[:min(len(p.Data), w.snapLen)]
		err := w.ng.WritePacketWithOptions(gopacket.CaptureInfo{
			Timestamp: p.Time, CaptureLength: len(data), Length: p.Length, InterfaceIndex: number,
		}, data, fate(&p.Event))
		if err != nil {
			return 0, fmt.Errorf("make a packet block: %w", err)
		}
		w.packets[number]++
	}
	return w.flush()
}

// fate is what the options of a packet's block say of it: epb_flags, epb_verdict.
func fate(e *reader.Event) (options pcapgo.NgPacketOptions) {
	switch e.Direction {
	case wire.In:
		options.Flags = &pcapgo.NgEpbFlags{Direction: pcapgo.NgEpbFlagDirectionInbound}
	case wire.Out:
		options.Flags = &pcapgo.NgEpbFlags{Direction: pcapgo.NgEpbFlagDirectionOutbound}
	}
	if e.Verdict != wire.NoVerdict {
		action := uint64(e.Verdict - wire.Aborted) // enum xdp_action (linux/bpf.h)
		options.Verdicts = []pcapgo.NgEpbVerdict{{
			Type: pcapgo.NgEpbVerdictTypeLinuxeBPFXDP, Data: binary.LittleEndian.AppendUint64(nil, action),
		}}
	}
	return options
}

// End writes what follows the packets: of live interfaces, their statistics.
func (w *Writer) End(c wire.Counters) error {
	if w.err != nil {
		return nil // told already
	}
	if w.ng == nil { // a file with packets of no interface
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
	statistics := pcapgo.NgInterfaceStatistics{
		LastUpdate: now, StartTime: w.started, EndTime: now,
		PacketsReceived: pcapgo.NgNoValue64, PacketsDropped: pcapgo.NgNoValue64,
	}
	alone := len(w.packets) == 1
	if alone {
		statistics.PacketsReceived = c.Seen
	}
	if alone || c.Lost == 0 {
		statistics.PacketsDropped = c.Lost
	}
	w.ng.WriteInterfaceStats(number, statistics)
	if alone {
		w.addOption(optionAccepted, binary.LittleEndian.AppendUint64(nil, c.Matched()))
	} else if c.Lost > 0 {
		w.addOption(optionComment, fmt.Appendf(nil, "%d packets were dropped, on all interfaces together", c.Lost))
	}
	w.addOption(optionDelivered, binary.LittleEndian.AppendUint64(nil, w.packets[number]))
}

// flush writes all blocks. It returns how many packets among them are in the
// file. Where a write fails, it leaves no part of a block behind, if it can.
func (w *Writer) flush() (packets int, err error) {
	if w.ng == nil {
		return 0, nil
	}
	w.ng.Flush() // into our own buffer
	if w.owned && !w.begun {
		w.file.Truncate(0) // fails where there is nothing to overwrite, as in a pipe
	}
	w.begun = true
	all := w.blocks.Bytes()
	written, err := w.file.Write(all)
	whole := 0
	for block := range blocks(all[:written]) {
		whole += len(block)
		if blockType(block) == packetBlock {
			packets++
		}
	}
	w.blocks.Reset()
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
