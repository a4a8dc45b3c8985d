package main

import (
	"sync"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/reader"
)

// packets are some of a file, and what was found in it meanwhile.
type packets struct {
	list  []reader.Packet
	bytes []byte            // the packets' own, until they are used
	ends  []int             // of each packet's in bytes
	found []names.Interface // before these packets
	err   error             // after them: io.EOF at the file's end
}

// Where packets are handed on: at as many as the pump takes events, or earlier
// where they are large.
const mostBytes = 512 << 10

func (p *packets) reset() {
	p.list, p.bytes, p.ends, p.found, p.err = p.list[:0], p.bytes[:0], p.ends[:0], nil, nil
}

func (p *packets) add(packet reader.Packet) {
	p.bytes = append(p.bytes, packet.Data...)
	p.list = append(p.list, packet)
	p.ends = append(p.ends, len(p.bytes))
}

func (p *packets) full() bool { return len(p.list) == batch || len(p.bytes) >= mostBytes }

// settle lets each packet know its bytes, when all have been added.
func (p *packets) settle() {
	start := 0
	for i, end := range p.ends {
		p.list[i].Data = p.bytes[start:end:end]
		start = end
	}
}

// A fetcher reads a file ahead, on a goroutine of its own, and hands over what
// it has when the file makes it wait for more.
type fetcher struct {
	file  *captureFile
	in    *input
	ready chan *packets // to be run; closed at the end
	spare chan *packets // to be filled
	stop  chan struct{} // closed by close
	group sync.WaitGroup

	filling *packets // nil once it is to stop
	told    int      // of file.found
}

func startFetcher(file *captureFile, in *input) *fetcher {
	f := &fetcher{
		file: file, in: in,
		ready: make(chan *packets, 3), spare: make(chan *packets, 3), stop: make(chan struct{}),
		filling: new(packets),
	}
	f.spare <- new(packets)
	f.spare <- new(packets)
	in.waiting = f.handOver
	f.group.Go(f.run)
	return f
}

func (f *fetcher) run() {
	defer close(f.ready)
	for {
		packet, err := f.file.read()
		if err == errStopped || f.filling == nil {
			return
		}
		if err != nil {
			f.filling.err = err
			f.handOver()
			return
		}
		f.filling.add(packet)
		if f.filling.full() {
			f.handOver()
		}
	}
}

// handOver hands over what there is, and takes a spare one.
func (f *fetcher) handOver() {
	if f.filling == nil || len(f.filling.list) == 0 && f.filling.err == nil {
		return
	}
	f.filling.settle()
	f.filling.found = f.file.found[f.told:len(f.file.found):len(f.file.found)]
	f.told = len(f.file.found)
	f.ready <- f.filling // there is room for all
	f.filling = nil
	select {
	case f.filling = <-f.spare:
		f.filling.reset()
	case <-f.stop:
	}
}

// close ends the goroutine, wherever it is, and waits for it.
func (f *fetcher) close() {
	close(f.stop)
	f.in.interrupt()
	f.group.Wait()
}
