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
	InKernel bool // it takes a program with transport ringbuf, and the rights to load it
	start    func(asm.Config) (machine, error)
}

// Engines are all there are, the default first. Another one is a machine, and a
// line here.
func Engines() []Engine {
	return []Engine{{"go", false, startGo}, {"kernel", true, startKernel}}
}

// machine runs packets. It is for one goroutine, but for Counters.
type machine interface {
	// run runs packets from the first on, until all have been run or into is full
	// of those that match, whose options it appends. It says how many of either.
	run(packets []capfile.Packet, into []reader.Packet, options *[]capfile.Options) (ran, n int, err error)

	Counters() (wire.Counters, error)
	Close() error
}

// goMachine does what the program does, in plain Go.
type goMachine struct {
	engine *engine.Engine
	record wire.Record

	mu       sync.Mutex // of counters, which are the engine's after each run
	counters wire.Counters
}

func startGo(cfg asm.Config) (machine, error) {
	e, err := engine.New(cfg)
	if err != nil {
		return nil, err
	}
	return &goMachine{engine: e}, nil
}

func (m *goMachine) run(packets []capfile.Packet, into []reader.Packet, options *[]capfile.Options) (ran, n int, err error) {
	for ran < len(packets) && n < len(into) {
		p := &packets[ran]
		ran++
		if !m.engine.Run(&m.record, p.Frame(), int(p.Length)) {
			continue
		}
		into[n].Event = reader.FromRecord(&m.record)
		was(&into[n], p)
		*options = append(*options, p.Options())
		n++
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counters = m.engine.Counters()
	return ran, n, nil
}

// was sets what an event is not told by the frame.
func was(event *reader.Packet, p *capfile.Packet) {
	event.Time, event.Length, event.Interface, event.Data = p.Time, int(p.Length), int(p.Interface), p.Data
}

func (m *goMachine) Counters() (wire.Counters, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counters, nil
}

func (m *goMachine) Close() error { return nil }

// kernelMachine is the program itself, in the kernel.
type kernelMachine struct {
	collection *ebpf.Collection
	*reader.Replay
	pin bool // to one CPU, until that is done
}

func startKernel(cfg asm.Config) (machine, error) {
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

// run runs no more packets than there is room for. To the program they are from
// interfaces by their own numbers, so that they can be found again.
func (m *kernelMachine) run(packets []capfile.Packet, into []reader.Packet, options *[]capfile.Options) (ran, n int, err error) {
	if m.pin {
		m.pin = false
		pinThread()
	}
	for ran < len(packets) && ran < len(into) {
		p := &packets[ran]
		packet := reader.Packet{Event: reader.Event{Time: p.Time, Length: int(p.Length), Interface: ran}, Data: p.Frame()}
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
