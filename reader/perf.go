package reader

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/perf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/wire"
)

// perfSource reads a perf event array: a ring per CPU, into which
// bpf_perf_event_output copies samples (perf_event_open(2)).
//
// A wake-up per sample would cost the receiving CPU far more than the sample
// does, so the kernel wakes the reader only when a ring has filled by a part;
// for what comes slower there is the deadline.
type perfSource struct {
	reader *perf.Reader
	cpus   int // that have a buffer
	sample perf.Record
	record wire.InnerRecord
	inner  bool   // whether it has a second half
	arena  []byte // holds the samples of the packets that were read last

	dropped []uint64 // by CPU, since its last packet; nil: nobody knows of which program
}

// arenaSize bounds what is read at once where packet bytes are wanted.
const (
	arenaSize = 1 << 20
	maxSample = 1 << 16 // its size has 16 bits: perf_event_open(2)
)

// defaultBuffer is asm's default, of which this package knows nothing else.
const defaultBuffer = 2 << 20

// lockable is what each CPU's buffer may be where the limit on locked memory
// allows no more: Linux lets every user have 516 KiB per CPU (sysctl
// kernel.perf_event_mlock_kb), of which 4 are not for events.
const lockable = 512 << 10

// newPerf opens buffers of the given size, or where 0 of the default or, if
// that much can't be locked, of a smaller one. Of a program that is alone in them
// it is known whose samples they have no room for.
func newPerf(events *ebpf.Map, buffer int, alone, inner bool) (*perfSource, error) {
	if list, err := os.ReadFile(onlineFile); err == nil && sparse(strings.TrimSpace(string(list))) {
		return nil, fmt.Errorf("open perf buffers: %w (%s)", ErrSparseCPUs, strings.TrimSpace(string(list)))
	}
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
	s.inner = inner
	if alone {
		s.dropped = make([]uint64, s.cpus)
	}
	return s, nil
}

// ErrSparseCPUs is why there is no reader of perf buffers on a machine of which a
// CPU is offline that is numbered below others: cilium/ebpf v0.22.0 hands their
// buffers to the wrong CPUs then, on which everything would be lost.
var ErrSparseCPUs = errors.New("the CPUs that are online are not numbered from 0 without a gap, as transport perf wants them: take ringbuf or mmap, or bring the others online")

// onlineFile lists the CPUs that are online: "0-3,8".
const onlineFile = "/sys/devices/system/cpu/online"

// sparse reports whether a list of CPUs is anything but all from 0 on.
func sparse(list string) bool {
	return list != "0" && (!strings.HasPrefix(list, "0-") || strings.Contains(list, ","))
}

// online is how many CPUs are, and have a buffer: they are numbered from 0 without a gap.
func online() int {
	list, err := os.ReadFile(onlineFile)
	if err != nil {
		return runtime.NumCPU()
	}
	_, last, _ := strings.Cut(strings.TrimSpace(string(list)), "-")
	n, _ := strconv.Atoi(last) // "0" is one alone
	return n + 1
}

func openPerf(events *ebpf.Map, buffer int) (*perfSource, error) {
	reader, err := perf.NewReaderWithOptions(events, buffer, perf.ReaderOptions{
		Watermark: max(1, buffer/wire.WakeFraction),
	})
	if err != nil {
		return nil, fmt.Errorf("open perf buffers: %w", explainPerf(err))
	}
	return &perfSource{reader: reader, cpus: online()}, nil
}

var (
	errLocked = errors.New("not enough locked memory: make the buffer smaller, raise the limit with ulimit -l, or grant cap_ipc_lock+ep with setcap")
	errNoPerf = errors.New("perf_event_open(2) takes CAP_PERFMON, and a seccomp profile or a security module may forbid it all the same: allow it there, or take transport ringbuf, which does without")
)

// explainPerf says why buffers can't be had. The perf package gives the
// kernel's word as text alone, so the kernel is asked once more for an event.
func explainPerf(err error) error {
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_BPF_OUTPUT}
	attr.Size = uint32(unsafe.Sizeof(attr))
	fd, refusal := unix.PerfEventOpen(&attr, -1, 0, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if refusal == nil {
		unix.Close(fd)
	}
	switch {
	case errors.Is(refusal, unix.EPERM), errors.Is(refusal, unix.EACCES), errors.Is(refusal, unix.ENOSYS):
		return explainRefusal(refusal, paranoia())
	case refusal == nil && strings.Contains(err.Error(), unix.EPERM.Error()):
		return errLocked // the event is had, its memory not
	default:
		return err
	}
}

// past is a deadline at which the reader takes what is there.
var past = time.Unix(1, 0)

func (s *perfSource) read(into batch, clock *clock, latency time.Duration) (n int, err error) {
	s.reader.SetDeadline(time.Now().Add(latency))
	if into.packets != nil && s.arena == nil {
		s.arena = make([]byte, arenaSize)
	}
	free := s.arena
	var stamp stamp
	for n < into.len() {
		if into.packets != nil {
			if len(free) < maxSample {
				return n, nil
			}
			s.sample.RawSample = free[:0] // where the sample goes
		}
		if err := s.reader.ReadInto(&s.sample); err != nil {
			switch {
			case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, perf.ErrFlushed):
				return n, nil
			case perf.IsUnknownEvent(err):
				continue // a kind of record that a newer kernel adds
			}
			return n, err
		}
		if len(s.sample.RawSample) == 0 {
			s.lose(s.sample.CPU, s.sample.LostSamples) // the program counts them itself
			continue
		}
		if err := s.record.Record.Decode(s.sample.RawSample); err != nil {
			return n, err
		}
		if s.inner {
			if err := s.record.Outer.Decode(s.sample.RawSample[wire.RecordSize:]); err != nil {
				return n, err
			}
		}
		if n == 0 {
			stamp = clock.stamp()
			s.reader.SetDeadline(past)
		}
		event := into.event(n)
		event.set(&s.record.Record, &stamp)
		sample := s.sample.RawSample
		if s.inner {
			event.Tunnel.set(&s.record.Outer)
			sample = sample[wire.OuterSize:] // as if it were one of a record alone
		}
		if into.packets != nil {
			into.packets[n].Dropped = s.lose(s.sample.CPU, 0)
			into.packets[n].Data = slices.Clip(s.record.Packet(sample))
			free = free[len(s.sample.RawSample):]
		}
		n++
	}
	return n, nil
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

func (s *perfSource) size() int { return s.cpus * s.reader.BufferSize() }

func (s *perfSource) wake() error  { return s.reader.Flush() }
func (s *perfSource) close() error { return s.reader.Close() }
