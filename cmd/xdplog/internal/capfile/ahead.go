package capfile

import (
	"sync"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/reader"
)

// Packets are some of a file, and what was found in it meanwhile.
type Packets struct {
	List  []reader.Packet
	Found []names.Interface // before these packets
	Err   error             // after them: io.EOF at the file's end

	bytes []byte // the packets' own, until they are used
	ends  []int  // of each packet's in bytes
}

// mostBytes is where packets are handed on, also where they are few and large.
const mostBytes = 512 << 10

func (p *Packets) reset() {
	p.List, p.bytes, p.ends, p.Found, p.Err = p.List[:0], p.bytes[:0], p.ends[:0], nil, nil
}

func (p *Packets) add(packet reader.Packet) {
	p.bytes = append(p.bytes, packet.Data...)
	p.List = append(p.List, packet)
	p.ends = append(p.ends, len(p.bytes))
}

func (p *Packets) full(most int) bool { return len(p.List) == most || len(p.bytes) >= mostBytes }

// settle lets each packet know its bytes, when all have been added.
func (p *Packets) settle() {
	start := 0
	for i, end := range p.ends {
		p.List[i].Data = p.bytes[start:end:end]
		start = end
	}
}

// An Ahead reads a file ahead, on a goroutine of its own, and hands over what it
// has when the file makes it wait for more.
type Ahead struct {
	file  *File
	most  int
	ready chan *Packets // to be run; closed at the end
	spare chan *Packets // to be filled
	stop  chan struct{} // closed by close
	group sync.WaitGroup

	filling *Packets // nil once it is to stop
	told    int      // of file.found
}

// ReadAhead begins to read a file ahead, at most so many packets at a time.
func (f *File) ReadAhead(most int) *Ahead {
	a := &Ahead{
		file: f, most: most,
		ready: make(chan *Packets, 3), spare: make(chan *Packets, 3), stop: make(chan struct{}),
		filling: new(Packets),
	}
	a.spare <- new(Packets)
	a.spare <- new(Packets)
	f.in.waiting = a.handOver
	a.group.Go(a.run)
	return a
}

// Ready receives packets in the order of the file, and is closed at the end. They
// are the receiver's until it gives them back with [Ahead.Done].
func (a *Ahead) Ready() <-chan *Packets { return a.ready }

// Done gives packets back.
func (a *Ahead) Done(p *Packets) { a.spare <- p } // there is room for all

func (a *Ahead) run() {
	defer close(a.ready)
	for {
		packet, err := a.file.Read()
		if err == ErrInterrupted || a.filling == nil {
			return
		}
		if err != nil {
			a.filling.Err = err
			a.handOver()
			return
		}
		a.filling.add(packet)
		if a.filling.full(a.most) {
			a.handOver()
		}
	}
}

// handOver hands over what there is, and takes a spare one.
func (a *Ahead) handOver() {
	if a.filling == nil || len(a.filling.List) == 0 && a.filling.Err == nil {
		return
	}
	a.filling.settle()
	a.filling.Found = a.file.found[a.told:len(a.file.found):len(a.file.found)]
	a.told = len(a.file.found)
	a.ready <- a.filling // there is room for all
	a.filling = nil
	select {
	case a.filling = <-a.spare:
		a.filling.reset()
	case <-a.stop:
	}
}

// Close ends the goroutine, wherever it is, and waits for it.
func (a *Ahead) Close() {
	close(a.stop)
	a.file.in.interrupt()
	a.group.Wait()
}
