package capfile

import (
	"bytes"
	"container/heap"
	"errors"
	"fmt"
	"io"
)

// A merge is several files that are read as one, in the order of time: of the next
// packet of each, the earliest comes first. Of the same time it is that of the file
// that was named first. Each file has interfaces of its own.
type merge struct {
	*exchange
	parts   parts
	by      Selection
	at      *Packets // being filled
	ids     int      // of interfaces, of all files
	unheard int      // chunks since something was handed over
	err     error    // of files that could not be read to their end
}

// part is a file of a merge.
type part struct {
	*ahead
	place int // of the file among the others
	at    *Packets
	next  int     // in at
	ids   []int32 // of its interfaces, in the merge
}

// How much of each of several files is in memory at a time: there may be hundreds.
const (
	partChunk   = 16 << 10
	partBatches = 2
)

func newMerge(files []*File, by Selection) *merge {
	m := &merge{exchange: newExchange(batches), by: by, at: new(Packets)}
	for place, file := range files {
		file.scanner.least = partChunk
		m.parts = append(m.parts, &part{ahead: file.readAhead(Selection{}, partBatches), place: place})
	}
	all := append(parts(nil), m.parts...)
	m.group.Go(func() {
		m.run()
		for _, p := range all {
			p.Close()
		}
	})
	return m
}

// Close implements [Reading].
func (m *merge) Close() {
	close(m.stop)
	m.group.Wait()
}

func (m *merge) run() {
	defer close(m.ready)
	var begun parts
	for _, p := range m.parts {
		if m.advance(p) {
			begun = append(begun, p)
		}
	}
	m.parts = begun
	heap.Init(&m.parts)
	for len(m.parts) > 0 && !m.by.full() {
		first := m.parts[0]
		m.take(first)
		if first.next++; first.next < len(first.at.List) || m.advance(first) {
			heap.Fix(&m.parts, 0)
		} else {
			heap.Pop(&m.parts)
		}
	}
	m.at.Err, m.at.Counters = io.EOF, m.by.counters()
	if m.err != nil {
		m.at.Err = m.err
	}
	m.last(m.at)
}

// advance goes on to a file's next packet, behind the ones in memory. It says whether
// there is one.
func (m *merge) advance(p *part) bool {
	for {
		if p.at != nil {
			if err := p.at.Err; err != nil {
				m.fail(err)
				return false
			}
			p.Done(p.at)
		}
		if p.at = m.fetch(p); p.at == nil {
			return false
		}
		p.next = 0
		for _, i := range p.at.Found {
			p.ids = append(p.ids, int32(m.ids))
			i.Index = m.ids
			m.ids++
			m.at.Found = append(m.at.Found, i)
		}
		m.at.blocks = append(m.at.blocks, p.at.blocks...)
		m.at.comments = append(m.at.comments, p.at.comments...)
		if len(p.at.List) > 0 {
			return true
		}
	}
}

// fail keeps the error with which a file ended. What the others have is read.
func (m *merge) fail(err error) {
	switch {
	case errors.Is(err, io.EOF):
	case m.err == nil:
		m.err = err
	default:
		m.err = fmt.Errorf("%w; %w", m.err, err)
	}
}

// fetch waits for more of a file, and hands over what there is before it waits. It
// returns nil where nobody wants more.
func (m *merge) fetch(p *part) *Packets {
	m.unheard++
	select {
	case at := <-p.Ready():
		return at
	default:
	}
	if m.at.something() || m.unheard >= fewAtLeast || !p.file.regular() {
		m.next()
	}
	select {
	case at := <-p.Ready():
		return at
	case <-m.stop:
		return nil
	}
}

// next hands over what there is.
func (m *merge) next() {
	m.unheard = 0
	m.at.Counters = m.by.counters()
	m.at = m.hand(m.at)
	m.at.chunk = m.at.memory(0)
}

// take takes a file's next packet, if it is selected, into memory of the merge.
func (m *merge) take(p *part) {
	packet := p.at.List[p.next]
	if !m.by.asks(packet.Frame(), packet.Length) {
		return
	}
	if cap(m.at.chunk)-len(m.at.chunk) < len(packet.Data) {
		if len(m.at.List) > 0 {
			m.next()
		}
		m.at.chunk = m.at.memory(max(len(packet.Data), chunkSize))
	}
	begin := len(m.at.chunk)
	m.at.chunk = append(m.at.chunk, packet.Data...)
	packet.Data = m.at.chunk[begin:len(m.at.chunk):len(m.at.chunk)]
	packet.Interface = p.ids[packet.Interface]
	if packet.more != nil {
		packet.more = &more{frame: bytes.Clone(packet.more.frame), options: packet.more.options}
		packet.more.options.bytes = bytes.Clone(packet.more.options.bytes)
	}
	m.at.List = append(m.at.List, packet)
}

// parts are a heap by the time of the next packet.
type parts []*part

func (p parts) Len() int      { return len(p) }
func (p parts) Swap(i, j int) { p[i], p[j] = p[j], p[i] }
func (p *parts) Push(x any)   { *p = append(*p, x.(*part)) }

func (p parts) Less(i, j int) bool {
	switch order := p[i].at.List[p[i].next].Time.Compare(p[j].at.List[p[j].next].Time); order {
	case 0:
		return p[i].place < p[j].place
	default:
		return order < 0
	}
}

func (p *parts) Pop() any {
	last := (*p)[len(*p)-1]
	*p = (*p)[:len(*p)-1]
	return last
}
