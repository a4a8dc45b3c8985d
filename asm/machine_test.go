package asm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/perf"

	"github.com/xdplog/xdplog/asm/internal/oracle"
	"github.com/xdplog/xdplog/asm/wire"
)

// machine is a program in the kernel, on which frames are run by
// BPF_PROG_TEST_RUN, and what they do is compared with what the oracle says.
type machine struct {
	cfg      Config
	program  *ebpf.Program
	counters *ebpf.Map
	events   *perf.Reader

	sample   perf.Record
	run      ebpf.RunOptions
	context  xdpMD
	out      []byte
	records  []wire.WideRecord // of the last batch, without time and interface
	expected []wire.WideRecord
	counted  wire.Counters // what the counters must be
	linear   int           // bytes of a frame that are in its first buffer
	verdict  uint32        // what the program returns

	onWire func(frame []byte) []byte // what a frame is to the program; nil: the same
	fate   uint8                     // bits that are always in TagsFate
	hash   wire.Hash                 // of every packet
}

// The ring of one CPU, and the most frames whose events are certain to fit.
const (
	ringSize  = 1 << 20
	batchSize = 512
)

// maxFrame is more bytes than the kernel runs at once.
const maxFrame = 1 << 18

// newMachine loads the program of cfg. The test's goroutine stays on one CPU
// from then on, and so do the events, in the order of the frames.
func newMachine(t testing.TB, cfg Config) *machine {
	t.Helper()
	spec, err := Program(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return newMachineOf(t, cfg, spec, linearSize(t))
}

// newMachineOf loads a spec that should do what cfg's does.
func newMachineOf(t testing.TB, cfg Config, spec *ebpf.CollectionSpec, linear int) *machine {
	t.Helper()
	onCPU(t, 0)
	m := &machine{cfg: cfg, linear: linear, out: make([]byte, maxFrame), verdict: xdpPass}
	coll := load(t, spec)
	m.program, m.counters = coll.Programs[ProgramName], coll.Maps[wire.CountersMap]
	if testing.Short() && m.program.Type() == ebpf.XDP {
		install(t, m.program)
	}

	// Batched: the test asks for events when it wants them.
	var err error
	m.events, err = perf.NewReaderWithOptions(coll.Maps[wire.EventsMap], ringSize, perf.ReaderOptions{Watermark: ringSize - 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.events.Close() })
	m.events.SetDeadline(time.Unix(1, 0)) // never waits
	return m
}

// packet is a frame of which the first buffer holds so many bytes, where that
// is less than the kernel would put there.
type packet struct {
	frame []byte
	first int
}

// whole is a frame in as few buffers as it takes.
func whole(frame []byte) packet { return packet{frame, len(frame)} }

// check runs packets and compares all that the program does with the oracle.
func (m *machine) check(packets []packet) error {
	for len(packets) > 0 {
		n := min(batchSize, len(packets))
		if err := m.checkBatch(packets[:n]); err != nil {
			return fmt.Errorf("%+v: %w", m.cfg, err)
		}
		packets = packets[n:]
	}
	return nil
}

func (m *machine) checkBatch(packets []packet) error {
	err := m.compare(packets)
	if err == nil {
		return nil
	}
	// One by one, to find the packet.
	if err := m.drain(); err != nil {
		return err
	}
	for i := range packets {
		if err := m.compare(packets[i : i+1]); err != nil && !errors.Is(err, errCounters) {
			return fmt.Errorf("frame %x, %d bytes of it in the first buffer: %w", packets[i].frame, packets[i].first, err)
		}
	}
	return fmt.Errorf("in a batch of %d: %w", len(packets), err)
}

var errCounters = errors.New("counters differ")

// compare runs packets, then reads and compares their events and the counters.
func (m *machine) compare(packets []packet) error {
	m.expected = m.expected[:0]
	for _, p := range packets {
		if err := m.runPacket(p); err != nil {
			return err
		}
		m.expect(p)
	}
	if err := m.drain(); err != nil {
		return err
	}
	if err := m.agree(); err != nil {
		return err
	}
	return m.checkCounters()
}

// lose runs packets with nobody there to read, and compares the counters.
func (m *machine) lose(packets []packet) error {
	if err := m.events.Pause(); err != nil {
		return err
	}
	captured, bytes := m.counted.Captured, m.counted.CapturedBytes
	for _, p := range packets {
		if err := m.runPacket(p); err != nil {
			return err
		}
		m.expect(p)
	}
	m.counted.Lost += m.counted.Captured - captured
	m.counted.LostBytes += m.counted.CapturedBytes - bytes
	m.counted.Captured, m.counted.CapturedBytes = captured, bytes
	if err := m.events.Resume(); err != nil {
		return err
	}
	m.expected = m.expected[:0]
	if err := m.drain(); err != nil {
		return err
	}
	if err := m.agree(); err != nil {
		return err
	}
	return m.checkCounters()
}

// xdpMD is struct xdp_md (linux/bpf.h).
type xdpMD struct{ Data, DataEnd, DataMeta, Ingress, RxQueue, Egress uint32 }

// runPacket runs a packet, and checks the verdict and that it stays as it was.
func (m *machine) runPacket(p packet) error {
	m.run.Data, m.run.DataOut, m.run.Context = p.frame, m.out, nil
	if p.first < len(p.frame) {
		m.context.DataEnd = uint32(p.first)
		m.run.Context = &m.context
	}
	verdict, err := m.program.Run(&m.run)
	if err != nil {
		return fmt.Errorf("%d bytes: %w", len(p.frame), err)
	}
	if verdict != m.verdict {
		return fmt.Errorf("verdict %d, want %d", verdict, m.verdict)
	}
	if !bytes.Equal(m.run.DataOut, p.frame) {
		return fmt.Errorf("packet became %x", m.run.DataOut)
	}
	return nil
}

// expect notes what the oracle says of a packet.
func (m *machine) expect(p packet) {
	m.counted.Seen++
	frame, length := p.frame, len(p.frame)
	if linear := min(m.linear, p.first); m.cfg.NoFrags { // it is given the first buffer alone
		frame, length = frame[:linear], linear
	} else if m.cfg.FirstBuffer {
		frame = frame[:linear]
	}
	if m.onWire != nil {
		frame = m.onWire(frame)
		length = len(frame)
	}
	record := wire.WideRecord{Record: oracle.Decode(frame, length)}
	if m.cfg.Inner {
		record = oracle.DecodeInner(frame, length)
	}
	record.TagsFate |= m.fate
	record.Hash = m.hash
	if m.cfg.All || oracle.Default(&record.Record) {
		m.counted.Captured++
		m.counted.CapturedBytes += uint64(record.Length())
		m.expected = append(m.expected, record)
	}
}

// drain takes all that is in the ring.
func (m *machine) drain() error {
	m.records = m.records[:0]
	var wrong error
	for {
		err := m.events.ReadInto(&m.sample)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return wrong
		case err != nil:
			return err
		case len(m.sample.RawSample) == 0:
			continue // the kernel's own word on samples that it lost
		}
		var record wire.WideRecord
		decode := record.Record.Decode
		if m.cfg.wide() {
			decode = record.Decode
		}
		if err := decode(m.sample.RawSample); err != nil {
			wrong = err
		}
		if err := record.Check(); err != nil {
			wrong = err
		}
		if record.Time == 0 || record.Interface == 0 {
			wrong = fmt.Errorf("time or interface is missing in %+v", record)
		}
		record.Time, record.Interface = 0, 0
		m.records = append(m.records, record)
	}
}

// agree compares the events that came with those that should have.
func (m *machine) agree() error {
	for i := range max(len(m.records), len(m.expected)) {
		switch {
		case i >= len(m.records):
			return fmt.Errorf("events differ\nkernel none\noracle %+v", m.expected[i])
		case i >= len(m.expected):
			return fmt.Errorf("events differ\nkernel %+v\noracle none", m.records[i])
		case m.records[i] != m.expected[i]:
			return fmt.Errorf("events differ\nkernel %+v\noracle %+v", m.records[i], m.expected[i])
		}
	}
	return nil
}

func (m *machine) checkCounters() error {
	sum, err := readCounters(m.counters)
	if err != nil {
		return err
	}
	if sum != m.counted {
		return fmt.Errorf("%w: kernel %+v, oracle %+v", errCounters, sum, m.counted)
	}
	return nil
}

func readCounters(counters *ebpf.Map) (sum wire.Counters, err error) {
	var perCPU []wire.Counters
	if err := counters.Lookup(uint32(0), &perCPU); err != nil {
		return sum, fmt.Errorf("read counters: %w", err)
	}
	for _, c := range perCPU {
		sum.Add(c)
	}
	return sum, nil
}
