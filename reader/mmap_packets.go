package reader

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/wire"
)

// packetSource reads rings in shared memory that carry packet bytes, see [wire.Entry]. It
// copies none: a packet's bytes are handed out where they lie, and their place is the
// program's again with the next read.
type packetSource struct {
	mu     sync.Mutex // held by read, and by close for the memory
	memory []byte     // nil once closed
	bytes  int        // of the rings
	rings  []packetRing
	sleeper
	turn int // ring to look at first
	wide bool
}

// packetRing is that of one CPU.
type packetRing struct {
	control *wire.Ring
	entries []byte          // the ring, and behind it room for the longest entry
	size    uint64          // of the ring, a power of two
	tail    uint64          // bytes taken; what the shared memory says of it is for the program
	record  int             // size of one in bytes
	lost    *[asMany]uint32 // as the last entry of each program says
}

// asMany is how many programs a record's slot tells apart.
const asMany = 1 << (32 - wire.SlotShift)

func newPacketSource(events, doorbell *ebpf.Map, snapLen int, wide bool) (*packetSource, error) {
	size, err := packetRingSize(events, snapLen, wide)
	if err != nil {
		return nil, err
	}
	bell, memory, err := mapRings(events, doorbell)
	if err != nil {
		return nil, err
	}
	s := &packetSource{memory: memory, sleeper: sleeper{doorbell: bell}, wide: wide}
	for stride, at := int(events.ValueSize()), 0; at < len(memory); at += stride {
		control := (*wire.Ring)(unsafe.Pointer(&memory[at]))
		s.rings = append(s.rings, packetRing{
			control: control,
			entries: memory[at+wire.RingSize : at+stride : at+stride],
			size:    size,
			tail:    atomic.LoadUint64(&control.Tail), // where an earlier reader stopped
			record:  recordSize(wide),
			lost:    new([asMany]uint32),
		})
	}
	s.bytes = int(size) * len(s.rings)
	return s, nil
}

// packetRingSize is how many bytes each ring of a map has for entries.
func packetRingSize(events *ebpf.Map, snapLen int, wide bool) (uint64, error) {
	behind := recordSize(wide) - wire.RecordSize // of a record's first half
	size := int(events.ValueSize()) - wire.PacketRingBytes(0, behind+snapLen)
	size &^= 7 // what rounds the value up
	if size < 1 || size&(size-1) != 0 {
		return 0, fmt.Errorf("map %q has values of %d bytes: no ring of xdplog's", wire.EventsMap, events.ValueSize())
	}
	return uint64(size), nil
}

func (s *packetSource) read(into batch, clock *clock, latency time.Duration) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.memory == nil {
		return 0, os.ErrClosed
	}
	s.release()
	return s.sleeper.read(latency, func() int { return s.take(into, clock) }, s.mark)
}

// release gives the program back what was read.
func (s *packetSource) release() {
	for i := range s.rings {
		r := &s.rings[i]
		if atomic.LoadUint64(&r.control.Tail) != r.tail {
			atomic.StoreUint64(&r.control.Tail, r.tail)
		}
	}
}

// take decodes what the rings hold. It leaves half of a ring's bytes for the next call,
// so that the program has room meanwhile.
func (s *packetSource) take(into batch, clock *clock) (n int) {
	var stamp stamp
	for range s.rings {
		r := &s.rings[s.turn]
		waiting := r.waiting()
		if waiting > 0 && n == 0 {
			stamp = clock.stamp()
		}
		for end := r.tail + min(waiting, r.size/2); r.tail < end && n < into.len(); n++ {
			entry, record, packet, ok := r.next()
			if !ok {
				break
			}
			event := into.event(n)
			if s.wide {
				event.setWide(wideOf(record), &stamp)
			} else {
				event.set(record, &stamp)
			}
			if into.packets != nil {
				before := &r.lost[record.Slot()]
				into.packets[n].Dropped = uint64(entry.Lost - *before)
				into.packets[n].Queue = entry.Queue()
				into.packets[n].Data = packet
				*before = entry.Lost
			}
		}
		s.turn = (s.turn + 1) % len(s.rings)
		if n == into.len() {
			break
		}
	}
	if n > 0 {
		s.busy, s.quiet = true, false
	}
	return n
}

// waiting is how many bytes of entries the ring holds. A head that no program of ours
// would set loses what there is, and nothing else.
func (r *packetRing) waiting() uint64 {
	head := atomic.LoadUint64(&r.control.Head)
	n := head - r.tail
	if n > r.size {
		r.tail = head
		return 0
	}
	return n
}

// next is the entry at the tail, which goes on behind it. One that no program of ours
// would write loses all that there is.
func (r *packetRing) next() (entry *wire.Entry, record *wire.Record, packet []byte, ok bool) {
	at := r.entries[r.tail&(r.size-1)&^7:]
	entry = (*wire.Entry)(unsafe.Pointer(&at[0]))
	size := entry.Size()
	if size > len(at)-wire.EntrySize-r.record {
		r.tail = atomic.LoadUint64(&r.control.Head)
		return nil, nil, nil, false
	}
	r.tail += uint64(wire.EntryBytes(r.record - wire.RecordSize + size))
	at = at[wire.EntrySize:]
	record = (*wire.Record)(unsafe.Pointer(&at[0]))
	if size == 0 {
		return entry, record, nil, true
	}
	return entry, record, record.PacketOf(at[r.record:][:size:size]), true
}

// wideOf is a record in memory that has a second half.
func wideOf(r *wire.Record) *wire.WideRecord { return (*wire.WideRecord)(unsafe.Pointer(r)) }

// mark sets at which head each program rings the doorbell, and reports whether
// one is there already.
func (s *packetSource) mark() (reached bool) {
	for i := range s.rings {
		r := &s.rings[i]
		ahead := uint64(1)
		if s.busy {
			ahead = max(1, r.size/wire.WakeFraction)
		}
		atomic.StoreUint64(&r.control.Wake, r.tail+ahead)
		reached = reached || r.waiting() >= ahead
	}
	return reached
}

func (s *packetSource) waiting(uint64) (n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.rings {
		r := s.rings[i] // whose tail goes on, and the ring's does not
		for end := r.tail + r.waiting(); r.tail < end; n++ {
			if _, _, _, ok := r.next(); !ok {
				break
			}
		}
	}
	return n
}

func (s *packetSource) size() int { return s.bytes }

func (s *packetSource) close() error {
	err := s.doorbell.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.memory != nil {
		s.release()
		err = errors.Join(err, unix.Munmap(s.memory))
		s.memory, s.rings = nil, nil
	}
	return err
}
