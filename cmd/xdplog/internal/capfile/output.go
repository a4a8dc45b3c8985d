package capfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
)

// An output is a file that is being written, and what is not yet in it.
type output struct {
	file  *os.File
	owned bool  // not stdout
	made  bool  // there was no such file
	begun bool  // something was written, or tried to be
	size  int64 // bytes that are in it

	hidden string // its name for now; "": that of the file

	blocks  []byte // to be written
	ends    []end  // of the blocks
	packets int    // among them
}

// end is that of a block, among those to be written.
type end struct {
	at     int
	packet bool
}

func newOutput(file *os.File) *output { return &output{file: file} }

// create opens a file to write: see [Create].
func create(name string, interrupted <-chan os.Signal) (*output, error) {
	type result struct {
		out *output
		err error
	}
	opened := make(chan result, 1)
	go func() {
		out, err := open(name)
		opened <- result{out, err}
	}()
	select {
	case r := <-opened:
		return r.out, r.err
	case <-interrupted:
		return nil, fmt.Errorf("interrupted before anybody read the pipe %s", name)
	}
}

// open opens a file to write, and makes it where there is none.
func open(name string) (*output, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	made := err == nil
	if errors.Is(err, fs.ErrExist) {
		file, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o644)
	}
	if err != nil {
		return nil, explainOpen(name, err)
	}
	return &output{file: file, owned: true, made: made}, nil
}

// add takes what blocks have become with one more.
func (o *output) add(blocks []byte) { o.append(blocks, false) }

// addPacket takes what blocks have become with one more packet.
func (o *output) addPacket(blocks []byte) {
	o.append(blocks, true)
	o.packets++
}

func (o *output) append(blocks []byte, packet bool) {
	o.blocks = blocks
	o.ends = append(o.ends, end{len(blocks), packet})
}

// flush writes all blocks. It returns how many packets among them are in the
// file. Where a write fails, it leaves no part of a block behind, if it can.
func (o *output) flush() (packets int, err error) {
	if len(o.blocks) == 0 {
		return 0, nil
	}
	if o.owned && !o.begun {
		o.file.Truncate(0) // fails where there is nothing to overwrite, as in a pipe
	}
	o.begun = true
	written, err := o.file.Write(o.blocks)
	whole, packets := written, o.packets
	if err != nil {
		whole, packets = o.upTo(written)
		term.TakeBack(o.file, written-whole)
	}
	o.size += int64(whole)
	o.blocks, o.ends, o.packets = o.blocks[:0], o.ends[:0], 0
	return packets, err
}

// upTo is how much of so many bytes is whole blocks, and how many packets these have.
func (o *output) upTo(written int) (whole, packets int) {
	for _, end := range o.ends {
		if end.at > written {
			break
		}
		whole = end.at
		if end.packet {
			packets++
		}
	}
	return whole, packets
}

// regular reports whether it is a file, and no pipe or device.
func (o *output) regular() bool {
	info, err := o.file.Stat()
	return err == nil && info.Mode().IsRegular()
}

// close closes the file, unless it is stdout.
func (o *output) close() error {
	if !o.owned {
		return nil
	}
	o.owned = false
	switch info, err := o.file.Stat(); {
	case o.hidden != "":
		os.Remove(o.hidden)
	case o.made && err == nil && info.Size() == 0:
		os.Remove(o.file.Name())
	}
	return o.file.Close()
}
