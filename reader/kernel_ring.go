package reader

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

// kernelRing reads a ring buffer of the kernel's, also where it has counted more bytes
// than a program of 32 bits has bits for.
//
// Of its place in the buffer cilium/ebpf v0.22.0 writes as much as an uintptr holds. A
// kernel of 64 bits reads 64: after 4 GiB a program of 32 bits is, to it, 4 GiB behind, and
// the buffer is full for ever. kernelRing writes the upper half. A moment passes in
// between, in which what comes is lost, and counted.
type kernelRing struct {
	*ringbuf.Reader
	mu   sync.Mutex // held for the page
	page []byte     // what tells the kernel how far we are; nil where an uintptr says it all, and once closed
	last uint32     // lower half of that
}

func newKernelRing(m *ebpf.Map) (*kernelRing, error) {
	reader, err := ringbuf.NewReader(m)
	if err != nil {
		return nil, err
	}
	r := &kernelRing{Reader: reader}
	if strconv.IntSize == 64 {
		return r, nil
	}
	if r.page, err = unix.Mmap(m.FD(), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		reader.Close()
		return nil, fmt.Errorf("map the consumer's page: %w", err)
	}
	r.last = atomic.LoadUint32(r.half(0))
	return r, nil
}

// half is the lower or the upper half of how far we are. All machines of 32 bits on which
// this runs have the lower one first.
func (r *kernelRing) half(i int) *uint32 { return (*uint32)(unsafe.Pointer(&r.page[4*i])) }

// ReadInto is that of [ringbuf.Reader].
func (r *kernelRing) ReadInto(record *ringbuf.Record) error {
	err := r.Reader.ReadInto(record)
	if strconv.IntSize == 32 {
		r.carry()
	}
	return err
}

func (r *kernelRing) carry() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.page == nil {
		return
	}
	low := atomic.LoadUint32(r.half(0))
	if low < r.last {
		atomic.AddUint32(r.half(1), 1)
	}
	r.last = low
}

func (r *kernelRing) Close() error {
	err := r.Reader.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.page == nil {
		return err
	}
	page := r.page
	r.page = nil
	return errors.Join(err, unix.Munmap(page))
}
