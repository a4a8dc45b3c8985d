package reader

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/wire"
)

// perfRing is the buffer of one CPU (perf_event_open(2)): a page of control, and a ring of
// bytes in which the kernel writes records. Each begins with a header of 8 bytes and is
// a multiple of that, so that no header goes around the ring's end.
type perfRing struct {
	cpu     int
	event   int    // a descriptor
	memory  []byte // all of it
	control *unix.PerfEventMmapPage
	data    []byte // a power of two long
	tail    uint64 // bytes that were read; what the page says of it is for the kernel
	over    bool   // nothing more comes: its CPU has gone, or another ring has its place
}

// openPerfRing makes a ring of the given size, and an event that wakes its reader when
// a part of it is full. The error wraps ENODEV where the CPU is offline.
func openPerfRing(cpu, size int) (_ *perfRing, err error) {
	page := os.Getpagesize()
	size = page << bits.Len(uint((max(size, 1)-1)/page)) // the least 2^n pages
	r := &perfRing{cpu: cpu}
	if r.event, err = openPerfEvent(cpu, size/wire.WakeFraction); err != nil {
		return nil, err
	}
	if r.memory, err = unix.Mmap(r.event, 0, page+size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		unix.Close(r.event)
		if errors.Is(err, unix.EPERM) {
			err = errLocked
		}
		return nil, fmt.Errorf("map the buffer of CPU %d: %w", cpu, err)
	}
	r.control = (*unix.PerfEventMmapPage)(unsafe.Pointer(&r.memory[0]))
	r.data = r.memory[page:]
	return r, nil
}

// openPerfEvent opens an event of what a program outputs on a CPU, whose buffer wakes at
// a number of bytes.
func openPerfEvent(cpu, wakeAt int) (int, error) {
	attr := unix.PerfEventAttr{
		Type:        unix.PERF_TYPE_SOFTWARE,
		Config:      unix.PERF_COUNT_SW_BPF_OUTPUT,
		Sample_type: unix.PERF_SAMPLE_RAW,
		Bits:        unix.PerfBitWatermark,
		Wakeup:      uint32(wakeAt),
	}
	attr.Size = uint32(unsafe.Sizeof(attr))
	fd, err := unix.PerfEventOpen(&attr, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES), errors.Is(err, unix.ENOSYS):
		err = explainRefusal(err, paranoia())
	case err != nil:
		err = fmt.Errorf("open the perf event of CPU %d: %w", cpu, err)
	}
	return fd, err
}

// perfRecordHeader is struct perf_event_header.
type perfRecordHeader struct {
	kind uint32
	misc uint16
	size uint16 // of all of the record
}

const (
	perfRecordHeaderSize = int(unsafe.Sizeof(perfRecordHeader{}))
	maxSample            = 1 << 16 // more than a record can be, as its size has 16 bits
)

// next takes the record at the tail, where there is one before the head: its kind, and
// what follows its header, in place, or in scratch where it goes around the ring's end.
func (r *perfRing) next(head uint64, scratch []byte) (kind uint32, body []byte) {
	if r.tail == head {
		return 0, nil
	}
	at := int(r.tail & uint64(len(r.data)-1))
	header := (*perfRecordHeader)(unsafe.Pointer(&r.data[at]))
	size := int(header.size)
	if size < perfRecordHeaderSize || uint64(size) > head-r.tail {
		r.tail = head // nothing that a kernel writes
		return 0, nil
	}
	r.tail += uint64(size)
	if at+size <= len(r.data) {
		return header.kind, r.data[at+perfRecordHeaderSize : at+size]
	}
	n := copy(scratch, r.data[at+perfRecordHeaderSize:])
	copy(scratch[n:], r.data[:size-perfRecordHeaderSize-n])
	return header.kind, scratch[:size-perfRecordHeaderSize]
}

// head is where the kernel writes next. One of 32 bits counts no further than these.
func (r *perfRing) head() uint64 {
	return r.tail + uint64(uintptr(atomic.LoadUint64(&r.control.Data_head)-r.tail))
}

// release gives the kernel what was read.
func (r *perfRing) release() { atomic.StoreUint64(&r.control.Data_tail, r.tail) }

func (r *perfRing) close() error {
	return errors.Join(unix.Munmap(r.memory), unix.Close(r.event))
}
