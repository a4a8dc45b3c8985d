package reader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/wire"
)

// perfSource reads a perf event array: a ring per CPU, into which
// bpf_perf_event_output copies samples (perf_event_open(2)).
//
// A wake-up per sample would cost the receiving CPU far more than the sample
// does, so the kernel wakes the reader only when a ring has filled by a part;
// for what comes slower there is the deadline.
//
// A ring ends with its CPU, for good: see [perfSource.follow].
type perfSource struct {
	events *ebpf.Map // a descriptor of our own
	buffer int       // bytes of each ring, as asked for
	poller perfPoller

	mu    sync.Mutex // of the rings, which [perfSource.follow] changes
	rings []*perfRing
	turn  int  // ring to look at first, so that a busy one does not starve others
	more  bool // the last read did not come to the end of all of them

	record  wire.WideRecord
	wide    bool // whether it has a second half
	scratch []byte
	arena   []byte // holds the samples of the packets that were read last

	dropped []uint64 // by CPU, since its last packet; nil: nobody knows of which program

	uevents *os.File       // nil: the kernel can't be asked for them
	follows sync.WaitGroup // until that is closed
}

// arenaSize bounds what is read at once where packet bytes are wanted.
const arenaSize = 1 << 20

// defaultBuffer is asm's default, of which this package knows nothing else.
const defaultBuffer = 2 << 20

// lockable is what each CPU's buffer may be where the limit on locked memory
// allows no more: Linux lets every user have 516 KiB per CPU (sysctl
// kernel.perf_event_mlock_kb), of which 4 are not for events.
const lockable = 512 << 10

// newPerf opens buffers of the given size, or where 0 of the default or, if
// that much can't be locked, of a smaller one. Of a program that is alone in them
// it is known whose samples they have no room for.
func newPerf(events *ebpf.Map, buffer int, alone, wide bool) (*perfSource, error) {
	size := buffer
	if size == 0 {
		size = defaultBuffer
	}
	s, err := openPerf(events, size)
	if buffer == 0 && errors.Is(err, errLocked) {
		s, err = openPerf(events, lockable)
	}
	if err != nil {
		return nil, err
	}
	s.wide = wide
	if alone {
		s.dropped = make([]uint64, events.MaxEntries())
	}
	s.begin()
	return s, nil
}

var (
	errLocked = errors.New("not enough locked memory: make the buffer smaller, raise the limit with ulimit -l, or grant cap_ipc_lock, beside the others, with setcap")
	errNoPerf = errors.New("perf_event_open(2) takes CAP_PERFMON, and a seccomp profile or a security module may forbid it all the same: allow it there, or take transport ringbuf, which does without")
)

// openPerf opens a ring for each CPU that is online.
func openPerf(events *ebpf.Map, buffer int) (_ *perfSource, err error) {
	s := &perfSource{buffer: buffer, scratch: make([]byte, maxSample)}
	defer func() {
		if err != nil {
			err = fmt.Errorf("open perf buffers: %w", err)
			s.close()
		}
	}()
	if s.events, err = events.Clone(); err != nil {
		return nil, err
	}
	if err := s.poller.open(); err != nil {
		return nil, err
	}
	s.uevents = openUevents() // before the rings: no CPU that comes meanwhile is missed
	for cpu := range int(events.MaxEntries()) {
		err := s.add(cpu, buffer)
		if errors.Is(err, unix.ENODEV) {
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// add opens a ring for a CPU, and has the program use it from now on.
func (s *perfSource) add(cpu, buffer int) error {
	r, err := openPerfRing(cpu, buffer)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.poller.add(r.event); err != nil {
		r.close()
		return err
	}
	if err := s.events.Put(uint32(cpu), uint32(r.event)); err != nil {
		s.poller.remove(r.event)
		r.close()
		return fmt.Errorf("hand the buffer of CPU %d to the program: %w", cpu, err)
	}
	s.end(cpu)
	s.rings = append(s.rings, r)
	return nil
}

// end says that nothing more comes to the ring of a CPU. It goes when it has been read.
func (s *perfSource) end(cpu int) {
	for _, r := range s.rings {
		r.over = r.over || r.cpu == cpu
	}
	s.sweep()
}

// sweep closes the rings to which nothing more comes, and of which nothing is left.
func (s *perfSource) sweep() {
	s.rings = slices.DeleteFunc(s.rings, func(r *perfRing) bool {
		done := r.over && r.tail == r.head()
		if done {
			s.poller.remove(r.event) // closing it does not, while the map has it
			r.close()
		}
		return done
	})
	if s.turn >= len(s.rings) {
		s.turn = 0
	}
}

func (s *perfSource) read(into batch, clock *clock, latency time.Duration) (n int, err error) {
	if !s.more && latency > 0 {
		if err := s.poller.wait(latency); err != nil {
			return 0, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if into.packets != nil && s.arena == nil {
		s.arena = make([]byte, arenaSize)
	}
	free := s.arena
	ended := false
	var stamp stamp
	s.more = false
	for range s.rings {
		r := s.rings[s.turn]
		s.turn = (s.turn + 1) % len(s.rings)
		ended = ended || r.over
		for head := r.head(); r.tail != head; {
			if n == into.len() || into.packets != nil && len(free) < maxSample {
				s.more = true
				break
			}
			kind, body := r.next(head, s.scratch)
			switch kind {
			case unix.PERF_RECORD_LOST:
				s.lose(r.cpu, lostSamples(body)) // the program counts them itself
				continue
			case unix.PERF_RECORD_SAMPLE:
			default:
				continue // a kind of record that a newer kernel adds
			}
			sample := rawSample(body)
			if into.packets != nil { // the kernel has its place back before the packet is used
				kept := free[:len(sample):len(sample)]
				copy(kept, sample)
				sample, free = kept, free[len(sample):]
			}
			if err := s.decode(sample); err != nil {
				r.release()
				return n, err
			}
			if n == 0 {
				stamp = clock.stamp()
			}
			event := into.event(n)
			if into.packets != nil { // before the record is used, of which it may be told something
				into.packets[n].Dropped = s.lose(r.cpu, 0)
				if s.wide {
					into.packets[n].Data = slices.Clip(s.record.Packet(sample))
				} else {
					into.packets[n].Data = slices.Clip(s.record.Record.Packet(sample))
				}
			}
			if s.wide {
				event.setWide(&s.record, &stamp)
			} else {
				event.set(&s.record.Record, &stamp)
			}
			n++
		}
		r.release()
		if s.more {
			break // and go on with the next ring, however much this one holds
		}
	}
	if ended {
		s.sweep()
	}
	return n, nil
}

// decode decodes the record at a sample's beginning.
func (s *perfSource) decode(sample []byte) error {
	if s.wide {
		return s.record.Decode(sample)
	}
	return s.record.Record.Decode(sample)
}

// rawSample is the data of a record of PERF_SAMPLE_RAW alone: its size, and that many bytes.
func rawSample(body []byte) []byte {
	if len(body) < 4 {
		return nil
	}
	size := int(binary.NativeEndian.Uint32(body))
	return body[4:min(4+size, len(body))]
}

// lostSamples is how many a PERF_RECORD_LOST tells of, behind an id of 8 bytes.
func lostSamples(body []byte) uint64 {
	if len(body) < 16 {
		return 0
	}
	return binary.NativeEndian.Uint64(body[8:])
}

// lose adds samples that a CPU's buffer had no room for, of which the kernel tells before
// the next one that it had. Where there are none to add, it returns how many there were.
func (s *perfSource) lose(cpu int, more uint64) (before uint64) {
	if cpu >= len(s.dropped) {
		return 0
	}
	if more > 0 {
		s.dropped[cpu] += more
		return 0
	}
	before, s.dropped[cpu] = s.dropped[cpu], 0
	return before
}

// A buffer is made with its reader and goes with it, and does not tell what it holds.
func (s *perfSource) waiting(unread uint64) uint64 { return unread }

func (s *perfSource) size() (bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rings {
		bytes += len(r.data)
	}
	return bytes
}

func (s *perfSource) wake() error { return s.poller.wake() }

// close takes the rings from the program, which counts as lost what comes from then on.
func (s *perfSource) close() error {
	var errs []error
	if s.uevents != nil {
		errs = append(errs, s.uevents.Close())
		s.follows.Wait()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rings {
		s.events.Delete(uint32(r.cpu)) // where that takes rights that are gone, a ring without memory takes nothing either
		s.poller.remove(r.event)
		errs = append(errs, r.close())
	}
	s.rings = nil
	if s.events != nil {
		errs = append(errs, s.events.Close())
	}
	return errors.Join(append(errs, s.poller.close())...)
}
