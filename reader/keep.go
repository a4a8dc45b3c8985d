package reader

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/wire"
)

// keptSource reads rings in which the last packets are kept, see [wire.Entry]: when it is
// asked to, when the program has met a packet that ends the keeping, and at the end.
// Meanwhile it sleeps.
//
// It stops the programs, copies what the rings hold, empties them and lets the programs go
// on. What comes in between, some milliseconds, counts as lost.
type keptSource struct {
	mu       sync.Mutex // held by read, and by close for the memory
	memory   []byte     // nil once closed
	stride   int
	ring     uint64        // bytes of one, a power of two
	age      time.Duration // of the oldest before the last; 0: any
	wide     bool          // records have a second half
	grace    *ebpf.Map
	inner    *ebpf.Map
	doorbell *kernelRing
	rung     ringbuf.Record
	asked    atomic.Bool

	copied  []byte            // of all rings
	kept    []wire.WideRecord // by time, not read yet
	beside  []keptBeside      // of each
	counted keptCount
}

// keptBeside is what there is of a packet beside its record.
type keptBeside struct {
	packet  []byte
	missing uint64
	queue   uint16
}

func newKept(coll *ebpf.Collection, snapLen int, age time.Duration, wide bool) (_ *keptSource, err error) {
	events := coll.Maps[wire.EventsMap]
	size, err := packetRingSize(events, snapLen, wide)
	if err != nil {
		return nil, err
	}
	s := &keptSource{stride: int(events.ValueSize()), ring: size, age: age, wide: wide}
	if s.counted, err = newKeptCount(coll); err != nil {
		return nil, err
	}
	for name, own := range map[string]**ebpf.Map{wire.GraceMap: &s.grace, wire.GraceInner: &s.inner} {
		if coll.Maps[name] == nil {
			err = fmt.Errorf("collection lacks map %q", name)
		} else {
			*own, err = coll.Maps[name].Clone()
		}
		if err != nil {
			s.closeMaps()
			return nil, err
		}
	}
	if s.doorbell, s.memory, err = mapRings(events, coll.Maps[wire.DoorbellMap]); err != nil {
		s.closeMaps()
		return nil, err
	}
	return s, nil
}

func (s *keptSource) read(into batch, clock *clock, latency time.Duration) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.memory == nil {
		return 0, os.ErrClosed
	}
	if len(s.kept) == 0 && latency != 0 {
		if !s.asked.Load() {
			if err := s.wait(); err != nil {
				return 0, err
			}
		}
		if s.asked.Swap(false) || s.hit() {
			if err := s.dump(); err != nil {
				return 0, err
			}
		}
	}
	n = min(into.len(), len(s.kept))
	if n == 0 {
		return 0, nil
	}
	stamp := clock.stamp()
	for i := range n {
		into.event(i).setWide(&s.kept[i], &stamp)
	}
	for i := range into.packets[:min(n, len(into.packets))] {
		b := &s.beside[i]
		into.packets[i].Data, into.packets[i].Dropped, into.packets[i].Queue = b.packet, b.missing, b.queue
	}
	s.kept, s.beside = s.kept[n:], s.beside[n:]
	return n, nil
}

// wait sleeps until a bell, or until it is woken.
func (s *keptSource) wait() error {
	err := s.doorbell.ReadInto(&s.rung)
	if errors.Is(err, ringbuf.ErrFlushed) || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// rings are the control pages.
func (s *keptSource) rings(each func(ring *wire.Ring, entries []byte)) {
	for at := 0; at < len(s.memory); at += s.stride {
		each((*wire.Ring)(unsafe.Pointer(&s.memory[at])), s.memory[at+wire.RingSize:at+s.stride])
	}
}

// hit says whether a packet came that ends the keeping.
func (s *keptSource) hit() (hit bool) {
	s.rings(func(ring *wire.Ring, _ []byte) { hit = hit || atomic.LoadUint64(&ring.Hit) != 0 })
	return hit
}

// dump takes what the rings hold.
func (s *keptSource) dump() error {
	lost, err := s.counted.lost()
	if err != nil {
		return err
	}
	s.rings(func(ring *wire.Ring, _ []byte) { atomic.StoreUint64(&ring.Tail, 1) })
	if err := s.grace.Put(uint32(0), uint32(s.inner.FD())); err != nil {
		return fmt.Errorf("wait for the programs to stop: %w", err)
	}
	captured, err := s.counted.captured()
	if err != nil {
		return err
	}
	if s.copied == nil {
		s.copied = make([]byte, len(s.memory))
	}
	// Only the copy keeps the programs from going on: of a ring that has not gone round
	// it is as much as there is.
	for at := 0; at < len(s.memory); at += s.stride {
		used := s.stride
		if head := (*wire.Ring)(unsafe.Pointer(&s.memory[at])).Head; head < s.ring {
			used = min(used, wire.RingSize+int(head))
		}
		copy(s.copied[at:at+used], s.memory[at:])
	}
	s.rings(func(ring *wire.Ring, _ []byte) {
		atomic.StoreUint64(&ring.Head, 0)
		atomic.StoreUint64(&ring.Last, 0)
		atomic.StoreUint64(&ring.Hit, 0)
		atomic.StoreUint64(&ring.Tail, 0)
	})
	var entries []keptEntry
	for at := 0; at < len(s.copied); at += s.stride {
		entries = s.walk(s.copied[at:at+s.stride], at/s.stride, entries)
	}
	slices.SortStableFunc(entries, func(a, b keptEntry) int {
		switch {
		case a.record.Time < b.record.Time:
			return -1
		case a.record.Time > b.record.Time:
			return 1
		}
		return 0
	})
	if n := len(entries); n > 0 && s.age > 0 {
		last := entries[n-1].record.Time
		entries = slices.DeleteFunc(entries, func(e keptEntry) bool { return last-e.record.Time > uint64(s.age) })
	}
	s.counted.missing(entries, lost, captured)
	s.kept, s.beside = make([]wire.WideRecord, len(entries)), make([]keptBeside, len(entries))
	for i, e := range entries {
		if s.beside[i] = e.keptBeside; s.wide {
			s.kept[i] = *wideOf(e.record)
		} else {
			s.kept[i].Record = *e.record
		}
	}
	return nil
}

type keptEntry struct {
	record *wire.Record
	cpu    int
	keptBeside
}

// walk appends the entries of a ring, the oldest first: it goes back from the last one as
// far as nothing has been written over.
func (s *keptSource) walk(memory []byte, cpu int, to []keptEntry) []keptEntry {
	ring := (*wire.Ring)(unsafe.Pointer(&memory[0]))
	size := recordSize(s.wide)
	spare := uint64(wire.EntrySize + size)
	first := len(to)
	at, take := ring.Head, ring.Last
	for take >= spare && take <= at && ring.Head+spare-(at-take) <= s.ring {
		at -= take
		bytes := memory[uint64(wire.RingSize)+at&(s.ring-1)&^7:]
		entry := (*wire.Entry)(unsafe.Pointer(&bytes[0]))
		length := entry.Size()
		if uint64(wire.EntryBytes(size-wire.RecordSize+length)) != take { // no program of ours wrote that
			break
		}
		record := (*wire.Record)(unsafe.Pointer(&bytes[wire.EntrySize]))
		e := keptEntry{record: record, cpu: cpu}
		e.queue = entry.Queue()
		if length > 0 {
			e.packet = record.PacketOf(bytes[wire.EntrySize+size:][:length:length])
		}
		to = append(to, e)
		take = uint64(entry.Lost)
	}
	slices.Reverse(to[first:])
	return to
}

func (s *keptSource) waiting(uint64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint64(len(s.kept))
}

func (s *keptSource) size() int { return len(s.memory) }

func (s *keptSource) wake() error { return s.doorbell.Flush() }

// ask has the next read take what is kept.
func (s *keptSource) ask() {
	s.asked.Store(true)
	s.wake()
}

func (s *keptSource) closeMaps() (err error) {
	for _, m := range []*ebpf.Map{s.grace, s.inner} {
		if m != nil {
			err = errors.Join(err, m.Close())
		}
	}
	return err
}

func (s *keptSource) close() error {
	err := s.doorbell.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.memory != nil {
		err = errors.Join(err, s.closeMaps(), unix.Munmap(s.memory))
		s.memory = nil
	}
	return err
}
