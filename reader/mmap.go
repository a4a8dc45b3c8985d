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

// mmapSource reads rings in memory that it shares with the program, one per
// possible CPU: see [wire.Ring].
//
// A reader that has emptied the rings sleeps, and says before at which head
// each CPU's program is to ring the doorbell: for a ring that was busy when it
// has filled by a part, with a look at it every latency meanwhile; for one that
// was idle at its next record, so that where nothing arrives nothing runs.
//
// The program may read the mark just before it is set, and not ring. That is
// why the first sleep after setting it is never longer than latency.
type mmapSource struct {
	mu     sync.Mutex // held by read, and by close for the memory
	memory []byte     // nil once closed
	bytes  int        // of the rings
	rings  []ring
	sleeper
	turn int  // ring to look at first, so that a busy one does not starve others
	wide bool // records are two slots each
}

// ring is that of one CPU.
type ring struct {
	control *wire.Ring
	slots   []wire.Record // of records of two slots: both
	each    uint64        // how many slots a record takes
	tail    uint64        // records taken; what the shared memory says of it is for the program
}

func newMmap(events, doorbell *ebpf.Map, wide bool) (*mmapSource, error) {
	count := wire.RingSlots(int(events.ValueSize()))
	each := recordSize(wide) / wire.RecordSize
	if count < each || count&(count-1) != 0 {
		return nil, fmt.Errorf("map %q has values of %d bytes: no ring of xdplog's", wire.EventsMap, events.ValueSize())
	}
	bell, memory, err := mapRings(events, doorbell)
	if err != nil {
		return nil, err
	}
	s := &mmapSource{memory: memory, sleeper: sleeper{doorbell: bell}, wide: wide}
	for at := 0; at < len(memory); at += int(events.ValueSize()) {
		base := unsafe.Pointer(&memory[at])
		slots := unsafe.Add(base, wire.RingSize)
		control := (*wire.Ring)(base)
		s.rings = append(s.rings, ring{
			control: control,
			slots:   unsafe.Slice((*wire.Record)(slots), count),
			each:    uint64(each),
			tail:    atomic.LoadUint64(&control.Tail), // where an earlier reader stopped
		})
	}
	s.bytes = count * wire.RecordSize * len(s.rings)
	return s, nil
}

// mapRings opens the doorbell and maps the rings into memory, one after the other.
func mapRings(events, doorbell *ebpf.Map) (*kernelRing, []byte, error) {
	if doorbell == nil {
		return nil, nil, fmt.Errorf("collection lacks map %q", wire.DoorbellMap)
	}
	bell, err := newKernelRing(doorbell)
	if err != nil {
		return nil, nil, fmt.Errorf("open doorbell: %w", err)
	}
	length := int(events.ValueSize()) * int(events.MaxEntries()) // a multiple of 8 each, as the kernel wants it
	memory, err := unix.Mmap(events.FD(), 0, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		bell.Close()
		return nil, nil, fmt.Errorf("map rings: %w", err)
	}
	return bell, memory, nil
}

func (s *mmapSource) read(into batch, clock *clock, latency time.Duration) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.memory == nil {
		return 0, os.ErrClosed
	}
	return s.sleeper.read(latency, func() int { return s.take(into, clock) }, s.mark)
}

// take decodes what the rings hold.
func (s *mmapSource) take(into batch, clock *clock) (n int) {
	var stamp stamp
	for range s.rings {
		r := &s.rings[s.turn]
		waiting := r.waiting()
		if waiting > 0 && n == 0 {
			stamp = clock.stamp()
		}
		count := min(waiting, uint64(into.len()-n))
		for left := count; left > 0; {
			records := r.slots[(r.tail+count-left)*r.each&uint64(len(r.slots)-1):] // to the ring's end
			records = records[:min(uint64(len(records)), left*r.each)]
			if s.wide {
				into.setWide(n, records, &stamp)
			} else {
				into.set(n, records, &stamp)
			}
			taken := uint64(len(records)) / r.each
			n += int(taken)
			left -= taken
		}
		if count > 0 {
			r.tail += count
			atomic.StoreUint64(&r.control.Tail, r.tail) // now the slots are the program's again
		}
		s.turn = (s.turn + 1) % len(s.rings)
		if n == into.len() {
			break // and go on with the next ring, however much this one holds
		}
	}
	if n > 0 {
		s.busy, s.quiet = true, false
	}
	return n
}

// count is how many records there is room for.
func (r *ring) count() int { return len(r.slots) / int(r.each) }

// waiting is how many records the ring holds. A head that no program of ours
// would set loses what there is, and nothing else.
func (r *ring) waiting() uint64 {
	head := atomic.LoadUint64(&r.control.Head)
	n := head - r.tail
	if n*r.each > uint64(len(r.slots)) {
		r.tail = head
		atomic.StoreUint64(&r.control.Tail, r.tail)
		return 0
	}
	return n
}

// mark sets at which head each program rings the doorbell, and reports whether
// one is there already.
func (s *mmapSource) mark() (reached bool) {
	ahead := uint64(1)
	if s.busy {
		ahead = uint64(max(1, s.rings[0].count()/wire.WakeFraction))
	}
	for i := range s.rings {
		r := &s.rings[i]
		atomic.StoreUint64(&r.control.Wake, r.tail+ahead)
		reached = reached || r.waiting() >= ahead
	}
	return reached
}

func (s *mmapSource) waiting(uint64) (n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.rings {
		n += s.rings[i].waiting()
	}
	return n
}

func (s *mmapSource) size() int { return s.bytes }

func (s *mmapSource) close() error {
	err := s.doorbell.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.memory != nil {
		err = errors.Join(err, unix.Munmap(s.memory))
		s.memory, s.rings = nil, nil
	}
	return err
}
