package run

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/engine"
	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/capfile"
	"github.com/xdplog/xdplog/loader"
	"github.com/xdplog/xdplog/reader"
)

// An Engine is what packets of a file are run through.
type Engine struct {
	Name     string
	InKernel bool                                             // it takes a program with transport ringbuf, and the rights to load it
	start    func(cfg asm.Config, bare bool) (machine, error) // bare: nobody asks what is in a packet
}

// Engines are all there are, the default first. Another one is a machine, and a
// line here.
func Engines() []Engine {
	return []Engine{{"go", false, startGo}, {"kernel", true, startKernel}}
}

// machine runs packets. It is for one goroutine, but for counters.
type machine interface {
	// selector selects the packets that are to be run, while they are read; nil: all
	// are, and the machine itself selects and counts.
	selector() capfile.Selector

	// run runs packets from the first on, until all have been run or into is full
	// of those that match, whose options it appends. It says how many of either.
	run(packets []capfile.Packet, into []reader.Packet, options *[]capfile.Options) (ran, n int, err error)

	// counters are of what was run, of which the selector says these.
	counters(selected wire.Counters) (wire.Counters, error)
	Close() error
}

// goMachine does what the program does, in plain Go. What matches is found while the
// file is read: what is made here, on another goroutine, is made of that alone.
type goMachine struct {
	engine *engine.Engine
	bare   bool // nobody asks what is in a packet
	inner  bool // it looks into tunnels
	record wire.WideRecord
}

func startGo(cfg asm.Config, bare bool) (machine, error) {
	e, err := engine.New(cfg)
	if err != nil {
		return nil, err
	}
	return &goMachine{engine: e, bare: bare, inner: cfg.Inner}, nil
}

func (m *goMachine) selector() capfile.Selector { return m.engine }

func (m *goMachine) run(packets []capfile.Packet, into []reader.Packet, options *[]capfile.Options) (ran, n int, err error) {
	n = min(len(packets), len(into))
	for i := range packets[:n] {
		p := &packets[i]
		if !m.bare {
			into[i].Event = m.event(p.Frame())
		}
		was(&into[i], p)
		*options = append(*options, p.Options())
	}
	return n, n, nil
}

// event is that of a frame.
func (m *goMachine) event(frame []byte) reader.Event {
	if m.inner {
		engine.DecodeInner(&m.record, frame)
		return reader.FromWideRecord(&m.record)
	}
	engine.Decode(&m.record.Record, frame)
	return reader.FromRecord(&m.record.Record)
}

func (m *goMachine) counters(selected wire.Counters) (wire.Counters, error) { return selected, nil }

func (m *goMachine) Close() error { return nil }

// stepMachine is goMachine where it shows only behind a packet whether there is to be
// another one: it selects itself, packet by packet, and so has counted none behind.
type stepMachine struct {
	goMachine
	mu      sync.Mutex // of counted, which are the engine's after each run
	counted wire.Counters
}

func (m *stepMachine) selector() capfile.Selector { return nil }

func (m *stepMachine) run(packets []capfile.Packet, into []reader.Packet, options *[]capfile.Options) (ran, n int, err error) {
	for ran < len(packets) && n < len(into) {
		p := &packets[ran]
		ran++
		if m.engine.Select(p.Frame(), p.Whole()) {
			into[n].Event = m.event(p.Frame())
			was(&into[n], p)
			*options = append(*options, p.Options())
			n++
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counted = m.engine.Counters()
	return ran, n, nil
}

func (m *stepMachine) counters(wire.Counters) (wire.Counters, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counted, nil
}

// was sets what an event is not told by the frame.
func was(event *reader.Packet, p *capfile.Packet) {
	event.Time, event.Length, event.Interface, event.Data = p.Time, p.Whole(), int(p.Interface), p.Data
	event.Direction, event.Verdict = p.Fate()
}

// kernelMachine is the program itself, in the kernel.
type kernelMachine struct {
	collection *ebpf.Collection
	*reader.Replay
	pin bool // to one CPU, until that is done
}

func startKernel(cfg asm.Config, _ bool) (machine, error) {
	collection, err := loader.Load(cfg)
	if err != nil {
		return nil, err
	}
	replay, err := reader.NewReplay(collection, cfg.Match)
	if err != nil {
		collection.Close()
		return nil, err
	}
	return &kernelMachine{collection: collection, Replay: replay, pin: cfg.Sample.N > 1 && !cfg.Sample.Random}, nil
}

func (m *kernelMachine) selector() capfile.Selector { return nil }

// run runs no more packets than there is room for. To the program they are from
// interfaces by their own numbers, so that they can be found again.
func (m *kernelMachine) run(packets []capfile.Packet, into []reader.Packet, options *[]capfile.Options) (ran, n int, err error) {
	if m.pin {
		m.pin = false
		pinThread()
	}
	for ran < len(packets) && ran < len(into) {
		p := &packets[ran]
		packet := reader.Packet{Event: reader.Event{Time: p.Time, Length: p.Whole(), Interface: ran}, Data: p.Frame()}
		if err := m.Run(&packet); err != nil {
			return ran, n, err
		}
		ran++
	}
	for n < len(into) {
		more, err := m.ReadPackets(into[n:])
		if more == 0 || err != nil {
			return ran, n, err
		}
		for i := range into[n:][:more] {
			p := &into[n+i]
			if p.Interface >= ran {
				return ran, n, fmt.Errorf("the event of packet %d of %d", p.Interface, ran)
			}
			of := &packets[p.Interface]
			was(p, of)
			*options = append(*options, of.Options())
		}
		n += more
	}
	return ran, n, nil
}

func (m *kernelMachine) counters(wire.Counters) (wire.Counters, error) { return m.Counters() }

func (m *kernelMachine) Close() error {
	err := m.Replay.Close()
	m.collection.Close()
	return err
}

// pinThread keeps the goroutine on one CPU, so that what the program counts per
// CPU it counts for all packets: one in N is one in N. The thread ends with the
// goroutine. Where it can't be pinned, sampling is per CPU.
func pinThread() {
	runtime.LockOSThread()
	var allowed, one unix.CPUSet
	if unix.SchedGetaffinity(0, &allowed) != nil {
		return
	}
	for cpu := range len(allowed) * 64 {
		if allowed.IsSet(cpu) {
			one.Set(cpu)
			break
		}
	}
	unix.SchedSetaffinity(0, &one)
}
