package asm

import (
	"errors"
	"fmt"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// Config says what program to assemble. Its zero value is the default one: it
// reports TCP and UDP packets through a perf buffer.
type Config struct {
	// Filter says which packets to report. Default: tcp or udp.
	Filter *filter.Filter

	// All reports every frame, also one that is not IP, without any filter.
	All bool

	// Inner looks into tunnels: VXLAN, Geneve, GRE, IP in IP and GTP-U. Of a packet in one the
	// record and the filter, and what is counted by a key, are about the inner packet, one level deep, and the outer
	// one stands beside it ([wire.WideRecord]). Lengths, times and MAC addresses that are counted
	// stay the whole packet's. Where an inner packet is cut before its IP header's end, or what
	// leads to it is not as these protocols have it, it is about the outer packet.
	Inner bool

	// Hash has each event bear the hash by which the device chose the packet's receive queue, and what
	// that is over ([wire.WideRecord]): in the XDP slot as the driver tells it (Metadata), at tc what the
	// stack knows of it by then. Default: records have none.
	Hash bool

	// Transport is the way of the records to their reader. Default: [Perf].
	Transport Transport

	// Wake says whom a record wakes. Default: [WakeReader], for package reader.
	Wake Wake

	// SnapLen is how many bytes of a packet follow its record, from the
	// Ethernet header on: a few more where that keeps padding from following
	// them, and at most [Transport.MaxSnapLen]. The record holds the packet's own
	// length. Default: none. [Perf] carries them, and [Mmap], at [Beside] of a packet's first
	// buffer.
	SnapLen int

	// Buffer is the size of the buffer of each CPU in bytes, from [MinBuffer] to
	// [MaxBuffer], rounded up to a power of two. That of [Ringbuf] is one for all
	// CPUs, of at most [MaxBuffer]; [Mmap] takes half of that per CPU. Those of
	// [Perf] are made by the reader, which is told by [wire.ReaderMap]. Default:
	// [DefaultBuffer]; of Perf 512 KiB where the limit on locked memory allows no more.
	Buffer int

	// Interfaces is how many programs to make, up to [MaxInterfaces]: one for each
	// interface that is to have counters of its own. They share their maps, and
	// differ by the number in their records, from 0 on ([wire.Record.Slot]).
	// Default: 1, which may be attached to several interfaces all the same.
	Interfaces int

	// Place is where the program is to stand, or all of them are. Default: [XDP].
	Place Place

	// Kernel is for programs at [Beside], which need it.
	Kernel Kernel

	// Index is the interface of which packets are looked at, at [Beside]; packets of others
	// that run the other program are not seen. Package loader says it. Default: all.
	Index uint32

	// Namespace is the network namespace of which packets are looked at, at [Beside], by its
	// inode number, for another may have an interface of that index, with the same program.
	// Package loader says it. Default: all.
	Namespace uint32

	// Verdicts are those of the other program's that are wanted, at [Beside]: packets
	// of other verdicts are seen, and do not match. Default: all.
	Verdicts []wire.Verdict

	// Places says it of programs that stand at different places: it makes one for
	// each, in place of Place and Interfaces. What is received and what is sent is
	// [XDP] and [TCEgress], or [TCIngress] and [TCEgress]; events then say which
	// they are ([wire.Record.Direction]).
	Places []Place

	// RawIP says of which programs, by their numbers, the packets begin with their IP
	// header, as tunnels' do. They stand at [TCIngress] or [TCEgress]; lengths are counted,
	// and bytes kept, from that header on. Default: of none.
	RawIP []bool

	// Metadata is what the drivers of devices are asked by the programs, by their numbers,
	// which stand in the XDP slot. Each of these is for one interface, natively, and another
	// one is refused. With NoFrags, or FirstBuffer, tags are not asked for. Default: nothing.
	Metadata []Metadata

	// CPUs is the number of CPUs, which transports other than [Perf] and Count need to
	// know; package loader says it where it is 0. For [Mmap] and Count it must be that of the possible ones (see
	// [ebpf.PossibleCPU]): on others packets pass uncounted.
	CPUs int

	// Count has the program count what matches by a key, instead of reporting it, or
	// beside that. Default: it does not.
	Count *Count

	// Keep has the last packets stay in the rings of [Mmap], the oldest written over, until
	// package reader asks for them ([reader.Reader.Release]). It takes a SnapLen. Default: they
	// are handed over.
	Keep bool

	// Until has such packets handed over when one comes that this filter finds, of those
	// that Filter has found. Default: none does.
	Until *filter.Filter

	// Sample reports a part of the packets that match. Default: all.
	Sample Sampling

	// Clock is where the time of a record is from. Default: [PreciseClock].
	Clock Clock

	// Replay makes a program that is attached nowhere, but run on recorded
	// packets: it takes from [wire.ReplayMap] what those do not say themselves.
	Replay bool

	// NoFrags leaves out what needs Linux 5.18: such a program takes no
	// packets of more than one buffer, so that drivers refuse it natively
	// where the MTU is too large for one.
	NoFrags bool

	// FirstBuffer reads headers, and bytes near them, in the first buffer of a packet
	// alone, as programs with [Config.NoFrags] do anyway. It is for filters of which the
	// kernel's verifier would have to look at too much else; package loader takes it then.
	FirstBuffer bool
}

// Sizes of [Config.Buffer] in bytes.
const (
	DefaultBuffer = 2 << 20
	MinBuffer     = 4 << 10
	MaxBuffer     = 1 << 30

	maxRing = MaxBuffer / 2 // of Mmap: the verifier wants offsets below 2^29 (BPF_MAX_VAR_OFF)
)

// MaxSnapLen is the largest [Config.SnapLen] of [Perf] in bytes: with it a sample has
// 65,528 bytes in all, the last multiple of 8 that the 16 bits of size in its
// header hold (struct perf_event_header, linux/perf_event.h).
const MaxSnapLen = 1<<16 - 8 - perfHeader - wire.RecordSize

// maxRingSnapLen is that of [Mmap]: as much as libpcap's files hold of a packet
// (MAXIMUM_SNAPLEN), and more than any has in the kernel.
const maxRingSnapLen = 1 << 18

// MaxInterfaces is the largest [Config.Interfaces]: the number has 8 bits in a record.
const MaxInterfaces = 256

// MaxSample is the largest [Sampling.N].
const MaxSample = 1 << 31

// Sampling says which of the packets that match are reported. The others are
// counted as sampled out.
type Sampling struct {
	// N: one packet in N, up to 2^31. 0 and 1 report all.
	N uint32

	// Random chooses each packet with a chance of 1/N, instead of the first of
	// every N that a CPU receives.
	Random bool
}

// Clock is where a record's time is from.
type Clock uint8

const (
	PreciseClock  Clock = iota // bpf_ktime_get_ns: to the nanosecond
	CoarseClock                // bpf_ktime_get_coarse_ns: to the timer tick (Linux 5.11)
	NoClock                    // none: an event bears the time at which it was read
	HardwareClock              // the device's own, where it tells (in XDP by Metadata; at tc, Linux 5.16), else as PreciseClock
)

var clockNames = [...]string{PreciseClock: "precise", CoarseClock: "coarse", NoClock: "none", HardwareClock: "hardware"}

// String is the name that [ParseClock] takes.
func (c Clock) String() string {
	if int(c) < len(clockNames) {
		return clockNames[c]
	}
	return fmt.Sprintf("clock %d", uint8(c))
}

// ParseClock returns the clock with a name: precise, coarse, none or hardware.
func ParseClock(name string) (Clock, error) {
	for c, known := range clockNames {
		if name == known {
			return Clock(c), nil
		}
	}
	return 0, fmt.Errorf("unknown clock %q: precise, coarse, none or hardware", name)
}

// defaultFilter is "tcp or udp".
var defaultFilter = filter.Filter{Root: filter.Or{
	filter.Proto{Number: layout.ProtoTCP},
	filter.Proto{Number: layout.ProtoUDP},
}}

// Match evaluates the filter of the program on a frame, from its Ethernet
// header on, in plain Go: see [filter.Filter.Match], and with Inner
// [filter.Filter.MatchInner].
func (cfg Config) Match(frame []byte, length int) bool {
	wanted, err := cfg.Wanted()
	switch {
	case err != nil:
		return false
	case wanted == nil:
		return true
	case cfg.Inner:
		return wanted.MatchInner(frame, length)
	}
	return wanted.Match(frame, length)
}

// Check returns the error that [Program] would return for a number that makes no
// sense, or for two settings that exclude each other, and is faster.
func (cfg Config) Check() error {
	if int(cfg.Clock) >= len(clockNames) {
		return fmt.Errorf("unknown %v", cfg.Clock)
	}
	if int(cfg.Wake) >= len(wakeNames) {
		return fmt.Errorf("unknown %v", cfg.Wake)
	}
	if err := cfg.checkPlaces(); err != nil {
		return err
	}
	if err := cfg.checkCount(); err != nil {
		return err
	}
	if err := cfg.checkKeep(); err != nil {
		return err
	}
	if cfg.Hash && (cfg.Replay || !cfg.reports()) {
		return errors.New("a hash is of a packet that a device receives, and whose record is handed over")
	}
	if cfg.Sample.N > MaxSample {
		return fmt.Errorf("sample of one packet in %d: at most %d", cfg.Sample.N, uint32(MaxSample))
	}
	_, err := cfg.transport()
	return err
}

// Wanted is the filter that decides, the default one where there is no other, or nil
// where every frame is reported.
func (cfg Config) Wanted() (*filter.Filter, error) {
	switch {
	case cfg.All && cfg.Filter != nil:
		return nil, errors.New("all frames are wanted, and a filter too")
	case cfg.All:
		return nil, nil
	case cfg.Filter == nil:
		return &defaultFilter, nil
	}
	if err := cfg.checkFilter(cfg.Filter); err != nil {
		return nil, err
	}
	return cfg.Filter, nil
}

// checkFilter returns what is wrong with a filter, or with this program for it.
func (cfg Config) checkFilter(f *filter.Filter) error {
	if err := f.Check(); err != nil {
		return err
	}
	if !cfg.Inner && filter.AsksTunnel(f.Root) {
		return filter.ErrNoTunnels
	}
	return nil
}
