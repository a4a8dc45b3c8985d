package reader

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// TestPerfRefusals: the tests of the command have the kernel say the rest.
func TestPerfRefusals(t *testing.T) {
	setupConfig(t, asm.Config{}, Options{}) // skips where there is no right to perf events
	if _, err := openPerfRing(1<<15, 4096); !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.EINVAL) {
		t.Errorf("a CPU that can't be: %v", err)
	}
	if strconv.IntSize == 32 {
		return // there is hardly a size of 32 bits that can't be had
	}
	if _, err := openPerfRing(0, math.MaxInt/2+1); err == nil || !strings.Contains(err.Error(), "CPU 0") {
		t.Errorf("a buffer that can't be: %v", err)
	}
}

// TestPerfRing reads records that the kernel could have written, of every length at
// every place of the ring, also around its end.
func TestPerfRing(t *testing.T) {
	const size = 256
	r := &perfRing{control: new(unix.PerfEventMmapPage), data: make([]byte, size)}
	scratch := make([]byte, size)
	for length := 0; length <= 64; length += 8 {
		for at := uint64(0); at < 3*size; at += 8 {
			body := bytes.Repeat([]byte{byte(at/8) | 1}, length)
			record := binary.NativeEndian.AppendUint32(nil, unix.PERF_RECORD_SAMPLE)
			record = binary.NativeEndian.AppendUint16(record, 0)
			record = binary.NativeEndian.AppendUint16(record, uint16(perfRecordHeaderSize+length))
			for i, b := range append(record, body...) {
				r.data[(at+uint64(i))%size] = b
			}
			r.tail = at
			head := at + uint64(perfRecordHeaderSize+length)
			kind, got := r.next(head, scratch)
			if kind != unix.PERF_RECORD_SAMPLE || !bytes.Equal(got, body) || r.tail != head {
				t.Fatalf("%d bytes at %d: kind %d, %x, tail %d", length, at, kind, got, r.tail)
			}
			if kind, _ := r.next(head, scratch); kind != 0 {
				t.Fatalf("an empty ring has a record of kind %d", kind)
			}
		}
	}
	clear(r.data) // a length that no kernel writes
	if kind, _ := r.next(r.tail+64, scratch); kind != 0 {
		t.Errorf("it is of kind %d", kind)
	}
	if kind, _ := r.next(r.tail, scratch); kind != 0 || r.tail == 0 {
		t.Error("and is not left behind")
	}
}

func TestCPUEvent(t *testing.T) {
	type event struct {
		cpu    int
		action string
	}
	for message, want := range map[string]event{
		"online@/devices/system/cpu/cpu1\x00ACTION=online\x00SUBSYSTEM=cpu\x00": {1, "online"},
		"offline@/devices/system/cpu/cpu128\x00ACTION=offline\x00":              {128, "offline"},
		"add@/devices/system/cpu/cpu3\x00":                                      {3, "add"},
		"online@/devices/system/memory/memory7\x00":                             {},
		"add@/devices/system/cpu/cpufreq\x00":                                   {},
		"online@/devices/system/cpu/cpu-1":                                      {},
		"libudev\x00\xfe\xed":                                                   {},
		"":                                                                      {},
	} {
		if cpu, action := cpuEvent([]byte(message)); (event{cpu, action}) != want {
			t.Errorf("%q is %d, %q", message, cpu, action)
		}
	}
}

// TestPerfRingHead: a kernel of 32 bits begins again with 0, where the reader goes on.
func TestPerfRingHead(t *testing.T) {
	r := &perfRing{control: new(unix.PerfEventMmapPage), tail: 3<<32 - 8}
	for _, behind := range []uint64{0, 8, 16, 1 << 20} {
		want := r.tail + behind
		r.control.Data_head = uint64(uintptr(want))
		if strconv.IntSize == 64 {
			r.control.Data_head = want
		}
		if got := r.head(); got != want {
			t.Errorf("%#x is %#x, want %#x", r.control.Data_head, got, want)
		}
	}
}
