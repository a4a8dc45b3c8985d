package reader

import (
	"errors"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
)

// TestRingbufLong passes more bytes through a ring buffer than 32 bits count, which takes
// ten minutes of the usual records: these are of a megabyte.
func TestRingbufLong(t *testing.T) {
	const size = 1 << 20
	events := newMap(t, &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 4 * size})
	record := newMap(t, &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: size, MaxEntries: 1})
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP, License: "GPL",
		Instructions: bpf.Instructions{
			bpf.LoadMapValue(bpf.R2, record.FD(), 0),
			bpf.LoadMapPtr(bpf.R1, events.FD()),
			bpf.Mov.Imm(bpf.R3, size),
			bpf.Mov.Imm(bpf.R4, 0),
			bpf.FnRingbufOutput.Call(),
			bpf.Return(),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	source, err := newRingbuf(events, false)
	if err != nil {
		t.Fatal(err)
	}
	defer source.close()
	into, clock := batch{events: make([]Event, 4)}, new(clock)
	for i := range 1<<32/size + 8 {
		frame := make([]byte, 64)
		if failed, err := program.Run(&ebpf.RunOptions{Data: frame}); err != nil || failed != 0 {
			t.Fatalf("record %d finds no room in an empty buffer: %d, %v", i, int32(failed), err)
		}
		if n, err := source.read(into, clock, 0); n != 1 || err != nil {
			t.Fatalf("record %d: %d read, %v", i, n, err)
		}
	}
}

// newMap makes a map for a test, with the rights to.
func newMap(t *testing.T, spec *ebpf.MapSpec) *ebpf.Map {
	t.Helper()
	m, err := ebpf.NewMap(spec)
	if errors.Is(err, os.ErrPermission) && os.Getenv("XDPLOG_E2E") != "required" {
		t.Skipf("needs root: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}
