package asm

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/wire"
)

// TestHardwareTime: a time is marked as the device's, and where that says an error, or
// success without a time, it is the kernel's.
func TestHardwareTime(t *testing.T) {
	const at = 0x1234567
	told := []bpf.Instruction{
		bpf.Mov.Imm(bpf.R4, at),
		bpf.StoreMem(bpf.R2, 0, bpf.R4, bpf.DWord),
		bpf.Mov.Imm(bpf.R0, 0),
	}
	for name, test := range map[string]struct {
		stamp    []bpf.Instruction
		hardware bool
	}{
		"told": {told, true}, "none": {answers(0), false}, "no data": {answers(-61), false}, "not supported": {answers(-95), false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{All: true, Clock: HardwareClock}
			slot := Config{NoFrags: !takesFrags()}.slot()
			slot.stamp = test.stamp
			way, err := cfg.transport()
			if err != nil {
				t.Fatal(err)
			}
			spec, err := program(cfg, []place{slot}, way)
			if err != nil {
				t.Fatal(err)
			}
			m := newMachineOf(t, cfg, spec, linearSize(t))
			if err := m.runPacket(whole(make([]byte, 60))); err != nil {
				t.Fatal(err)
			}
			ns, hardware := m.stamp(t)
			if hardware != test.hardware || hardware && ns != at || ns == 0 {
				t.Errorf("time %d, of the hardware %v", ns, hardware)
			}
		})
	}
}

// TestHardwareTimeAtTC: there the device's time is in the context.
func TestHardwareTimeAtTC(t *testing.T) {
	spec, err := Program(Config{All: true, Place: TCIngress, Clock: HardwareClock})
	if err != nil {
		t.Fatal(err)
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil && strings.Contains(fmt.Sprintf("%+v", err), "invalid bpf_context access off=184") {
		t.Skip("this kernel lacks hardware time stamps at tc (Linux 5.16)")
	} else if err == nil {
		coll.Close()
	}
	m := newMachineOf(t, Config{All: true}, spec, maxFrame)
	for _, at := range []uint64{0, 0x1234567} {
		context := struct { // struct __sk_buff, up to hwtstamp
			_        [184]byte
			HWTStamp uint64
		}{HWTStamp: at}
		if _, err := m.program.Run(&ebpf.RunOptions{Data: make([]byte, 60), Context: context}); err != nil {
			t.Fatal(err)
		}
		if ns, hardware := m.stamp(t); hardware != (at != 0) || hardware && ns != at || ns == 0 {
			t.Errorf("of %d: time %d, of the hardware %v", at, ns, hardware)
		}
	}
}

// stamp is the time of the next record.
func (m *machine) stamp(t *testing.T) (ns uint64, hardware bool) {
	t.Helper()
	err := m.events.ReadInto(&m.sample)
	if errors.Is(err, os.ErrDeadlineExceeded) { // of the last read, which took all there was
		err = m.events.ReadInto(&m.sample)
	}
	var record wire.Record
	if err := errors.Join(err, record.Decode(m.sample.RawSample)); err != nil {
		t.Fatal(err)
	}
	return record.Stamp()
}
