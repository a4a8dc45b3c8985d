package reader

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/wire"
)

// Replay runs a program that is attached nowhere on recorded packets, in the
// kernel (BPF_PROG_TEST_RUN). It is for one goroutine, but for Counters.
//
// What a program counts and samples, it does so per CPU: where that should be
// as if there were one, pin the thread.
type Replay struct {
	events *Reader
	match  func(frame []byte, length int) bool
	memory []byte // holds told
	told   *wire.Replay
	run    testRun
	data   []byte // of a packet that is not run as it is
	runs   uint64

	release func() // of hold; may be nil
}

// testRun is the part of union bpf_attr that BPF_PROG_TEST_RUN uses, as of its
// first version (linux/bpf.h, 4.12).
type testRun struct {
	program     uint32
	returned    uint32
	dataInSize  uint32
	dataOutSize uint32
	dataIn      pointer
	dataOut     pointer
	repeat      uint32
	duration    uint32
}

// pointer is one as the kernel takes it, with 64 bits everywhere. Of the machines on which
// Go's have 32, Linux runs Go on one alone that is big-endian, mips, where this is wrong.
type pointer struct {
	to unsafe.Pointer
	_  [8 - unsafe.Sizeof(uintptr(0))]byte
}

const (
	bpfProgTestRun = 10 // BPF_PROG_TEST_RUN
	xdpPass        = 2
)

// Sizes of what the kernel runs a program on. The packet lies in a page,
// together with 256 bytes of headroom and skb_shared_info, some 300 bytes:
// what is left for it is never less than this.
const minRun = 14 // ETH_HLEN

var maxRun = os.Getpagesize() - 1024

// NewReplay returns a replay on a collection that was loaded from a spec with
// [asm.Config.Replay] and a ring buffer as transport. The collection must stay
// open as long as the replay.
//
// The kernel takes frames of 14 bytes to somewhat less than a memory page. On
// longer ones the program is run with what fits, on shorter ones as if zeros
// followed; and match, which is the config's Match, is the filter on them.
//
// Under old kernels, as 5.10, a run takes 2 ms unless the program is in use
// somewhere: with CAP_NET_ADMIN and CAP_SYS_ADMIN NewReplay sees to that, in a
// network namespace of its own.
func NewReplay(coll *ebpf.Collection, match func(frame []byte, length int) bool) (*Replay, error) {
	if coll == nil {
		return nil, errors.New("open replay: there is no collection")
	}
	told, buffer := coll.Maps[wire.ReplayMap], coll.Maps[wire.EventsMap]
	if told == nil || buffer == nil || buffer.Type() != ebpf.RingBuf || len(coll.Programs) != 1 {
		return nil, errors.New("open replay: the collection's program is not made for it")
	}
	if match == nil {
		return nil, errors.New("open replay: there is no match, which is the filter on frames that the kernel does not take")
	}
	events, err := New(coll, Options{})
	if err != nil {
		return nil, fmt.Errorf("open replay: %w", err)
	}
	memory, err := unix.Mmap(told.FD(), 0, wire.ReplaySize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		events.Close()
		return nil, fmt.Errorf("open replay: map what packets do not say: %w", err)
	}
	events.clock.recorded = true
	r := &Replay{
		events: events,
		match:  match,
		memory: memory,
		told:   (*wire.Replay)(unsafe.Pointer(&memory[0])),
		data:   make([]byte, minRun),
	}
	for _, program := range coll.Programs {
		r.run.program = uint32(program.FD())
		if release, err := hold(program); err == nil {
			r.release = release // and else it is slow under old kernels, but as good
		}
	}
	return r, nil
}

// Run runs the program on a packet. Its event, where there is one, is for
// Read. The buffer takes thousands of them. Of times before 1677 or after 2262
// the event has the nearest, and of lengths over [wire.MaxLength] that; its
// interface is the packet's, whatever it means.
func (r *Replay) Run(p *Packet) error {
	if r.memory == nil {
		return fmt.Errorf("run the program: %w", os.ErrClosed)
	}
	data, length := p.Data, min(max(p.Length, 0), wire.MaxLength)
	verdict := uint32(wire.Undecided)
	if len(data) < minRun || len(data) > maxRun || length != p.Length {
		verdict = wire.Differs
		if r.match(p.Data, p.Length) {
			verdict = wire.Matches
		}
	}
	switch {
	case len(data) < minRun:
		clear(r.data)
		copy(r.data[:minRun-2], data) // an EtherType that is cut is none
		data = r.data
	case len(data) > maxRun:
		data = data[:maxRun]
	}
	*r.told = wire.Replay{
		Time:      uint64(nanosecondsOf(p.Time)),
		Length:    uint32(length),
		Interface: uint32(p.Interface),
		Verdict:   verdict,
	}
	for {
		err := r.test(data)
		if err == nil {
			r.runs++
			return nil
		}
		if err != unix.EINTR {
			return fmt.Errorf("run the program on %d bytes: %w", len(data), err)
		}
		// Linux before 5.12 says so also after it has run the program.
		counters, err := r.Counters()
		if err != nil {
			return err
		}
		if counters.Seen > r.runs {
			r.runs++
			return nil
		}
	}
}

// test is one BPF_PROG_TEST_RUN.
func (r *Replay) test(data []byte) error {
	r.run.dataIn.to, r.run.dataInSize = unsafe.Pointer(&data[0]), uint32(len(data))
	r.run.dataOutSize = 0 // where the kernel said how much there would be
	_, _, errno := unix.Syscall(unix.SYS_BPF, bpfProgTestRun, uintptr(unsafe.Pointer(&r.run)), unsafe.Sizeof(r.run))
	runtime.KeepAlive(r)
	switch {
	case errno != 0:
		return errno
	case r.run.returned != xdpPass:
		return fmt.Errorf("it returned %d, which is not XDP_PASS", r.run.returned)
	}
	return nil
}

// nanosecondsOf is a time since the Unix epoch, as far as 64 bits hold it.
func nanosecondsOf(t time.Time) int64 {
	const most = math.MaxInt64 / int64(time.Second)
	switch seconds := t.Unix(); {
	case seconds >= most:
		return math.MaxInt64
	case seconds <= -most:
		return math.MinInt64
	}
	return t.UnixNano()
}

// Read sets the first n elements of events to those of the packets that were
// run since, in their order. It does not wait: there may be none.
func (r *Replay) Read(events []Event) (n int, err error) {
	if r.memory == nil {
		return 0, fmt.Errorf("read events: %w", os.ErrClosed)
	}
	if n, err = r.events.source.read(batch{events: events}, &r.events.clock, 0); err != nil {
		return n, fmt.Errorf("read events: %w", err)
	}
	return n, nil
}

// ReadPackets is [Replay.Read]. The packets' bytes are for the caller to find,
// who ran them.
func (r *Replay) ReadPackets(packets []Packet) (n int, err error) {
	if r.memory == nil {
		return 0, fmt.Errorf("read events: %w", os.ErrClosed)
	}
	if n, err = r.events.source.read(batch{packets: packets}, &r.events.clock, 0); err != nil {
		return n, fmt.Errorf("read events: %w", err)
	}
	return n, nil
}

// Counters returns what the program has counted since it was loaded. Any
// goroutine may call it.
func (r *Replay) Counters() (wire.Counters, error) {
	if r.events == nil {
		return wire.Counters{}, fmt.Errorf("read counters: %w", os.ErrClosed)
	}
	return r.events.Counters()
}

// Close releases the buffers. A second one does nothing.
func (r *Replay) Close() error {
	if r.memory == nil {
		return nil
	}
	memory := r.memory
	r.memory, r.told = nil, nil
	if r.release != nil {
		r.release()
	}
	return errors.Join(r.events.Close(), unix.Munmap(memory))
}
