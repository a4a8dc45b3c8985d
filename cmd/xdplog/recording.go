package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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

// A recording is a pcapng file that packets are written to: whole blocks at a
// time, so that it can be read at any moment and up to any failure. But for
// its making it is the pump's.
type recording struct {
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

// recording opens the file to write, or for "-" takes stdout. It is nil where
// none is wanted. A file is overwritten by the first write, not before: a start
// that fails leaves things as they were.
func (o *options) recording(env environment) (*recording, error) {
	if o.write == "" {
		return nil, nil
	}
	if err := o.overlap(env); err != nil {
		return nil, err
	}
	r := &recording{snapLen: o.snapLen, live: o.file == "", started: time.Now(), interfaces: make(map[int]int)}
	if o.write != "-" {
		return r, r.open(o.write, env)
	}
	file, ok := env.stdout.(*os.File)
	switch {
	case !ok:
		return nil, errors.New("-w - needs a file or a pipe as standard output")
	case term.IsTerminal(file):
		return nil, usage("-w - would write binary data to the terminal: redirect it or name a file")
	}
	r.file = file
	return r, nil
}

// open opens a file to write. A named pipe waits for its reader, until a signal
// comes.
func (r *recording) open(name string, env environment) error {
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
	case o := <-opened:
		r.file, r.made, r.owned = o.file, o.made, o.err == nil
		return o.err
	case <-env.signals:
		return fmt.Errorf("interrupted before anybody read the pipe %s", name)
	}
}

// overlap refuses to write over the file that is read, and lines and packets to
// the same place, by whatever names.
func (o *options) overlap(env environment) error {
	stat := func(name string, standard any) fs.FileInfo {
		info, err := os.Stat(name)
		if file, ok := standard.(*os.File); ok && name == "-" {
			info, err = file.Stat()
		}
		if err != nil || info.Mode()&fs.ModeCharDevice != 0 {
			return nil // as /dev/null, which takes and gives everything
		}
		return info
	}
	to := stat(o.write, env.stdout)
	switch {
	case to == nil:
		return nil
	case o.file != "" && to.Mode().IsRegular() && os.SameFile(stat(o.file, env.stdin), to):
		return usage("-w %s is the file that is read: name another one to write", o.write)
	case !o.lines().Silent && os.SameFile(stat("-", env.stdout), to):
		return usage("-w %s is standard output, where -o %s writes too: name another file, or leave out -o", o.write, o.output.Name)
	}
	return nil
}

// writer is where packets go, for who watches it; nil for none.
func (r *recording) writer() io.Writer {
	if r == nil {
		return nil
	}
	return r.file
}

// begin writes what precedes the packets, of interfaces that are known then.
func (r *recording) begin(interfaces []recordedInterface) error {
	if r == nil {
		return nil
	}
	for _, i := range interfaces {
		r.add(i)
	}
	_, err := r.flush()
	return err
}

// A recordedInterface is one that packets come from.
type recordedInterface struct {
	names.Interface        // without a name: unknown
	speed           uint64 // bits per second; 0: unknown
}

// add describes an interface in the file.
func (r *recording) add(i recordedInterface) {
	description := pcapgo.NgInterface{Name: i.Name, LinkType: layers.LinkTypeEthernet, SnapLength: uint32(r.snapLen)}
	if r.ng == nil {
		r.ng, _ = pcapgo.NewNgWriterInterface(&r.blocks, description, pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{
			Hardware: runtime.GOARCH, OS: runtime.GOOS, Application: "xdplog " + version.Own().Number,
		}})
	} else {
		r.ng.AddInterface(description) // a buffer takes everything
	}
	if i.speed != 0 {
		r.addOption(optionSpeed, binary.LittleEndian.AppendUint64(nil, i.speed))
	}
	r.interfaces[i.Index] = len(r.packets)
	r.packets = append(r.packets, 0)
}

// write writes packets, and returns how many of them are in the file.
func (r *recording) write(packets []reader.Packet) (n int, err error) {
	if r.err != nil {
		return 0, r.err
	}
	for i := range packets {
		p := &packets[i]
		number := r.interfaces[p.Interface]
		data := p.Data[:min(len(p.Data), r.snapLen)]
		err := r.ng.WritePacket(gopacket.CaptureInfo{
			Timestamp: p.Time, CaptureLength: len(data), Length: p.Length, InterfaceIndex: number,
		}, data)
		if err != nil {
			return 0, fmt.Errorf("make a packet block: %w", err)
		}
		r.packets[number]++
	}
	return r.flush()
}

// end writes what follows the packets: of live interfaces, their statistics.
func (r *recording) end(c wire.Counters) error {
	if r.err != nil {
		return nil // told already
	}
	if r.ng == nil { // a file with packets of no interface
		r.add(recordedInterface{})
	}
	if r.live {
		for number := range r.packets {
			r.addStatistics(number, c)
		}
	}
	_, err := r.flush()
	return err
}

// addStatistics adds those of an interface. What the program counts is of all
// interfaces together: of several, each has what is known of it.
func (r *recording) addStatistics(number int, c wire.Counters) {
	now := time.Now()
	statistics := pcapgo.NgInterfaceStatistics{
		LastUpdate: now, StartTime: r.started, EndTime: now,
		PacketsReceived: pcapgo.NgNoValue64, PacketsDropped: pcapgo.NgNoValue64,
	}
	alone := len(r.packets) == 1
	if alone {
		statistics.PacketsReceived = c.Seen
	}
	if alone || c.Lost == 0 {
		statistics.PacketsDropped = c.Lost
	}
	r.ng.WriteInterfaceStats(number, statistics)
	if alone {
		r.addOption(optionAccepted, binary.LittleEndian.AppendUint64(nil, c.Matched()))
	} else if c.Lost > 0 {
		r.addOption(optionComment, fmt.Appendf(nil, "%d packets were dropped, on all interfaces together", c.Lost))
	}
	r.addOption(optionDelivered, binary.LittleEndian.AppendUint64(nil, r.packets[number]))
}

// flush writes all blocks. It returns how many packets among them are in the
// file. Where a write fails, it leaves no part of a block behind, if it can.
func (r *recording) flush() (packets int, err error) {
	if r.ng == nil {
		return 0, nil
	}
	r.ng.Flush() // into our own buffer
	if r.owned && !r.begun {
		r.file.Truncate(0) // fails where there is nothing to overwrite, as in a pipe
	}
	r.begun = true
	all := r.blocks.Bytes()
	written, err := r.file.Write(all)
	whole := 0
	for block := range blocks(all[:written]) {
		whole += len(block)
		if blockType(block) == packetBlock {
			packets++
		}
	}
	r.blocks.Reset()
	if err != nil {
		r.err = err
		term.TakeBack(r.file, written-whole)
	}
	return packets, err
}

// Close closes the file, unless it is stdout. It may be called more than once.
// A file that it has made, and in which nothing is, is taken away again.
func (r *recording) Close() error {
	if r == nil || !r.owned {
		return nil
	}
	r.owned = false
	if info, err := r.file.Stat(); r.made && err == nil && info.Size() == 0 {
		os.Remove(r.file.Name())
	}
	return r.file.Close()
}
