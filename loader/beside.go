package loader

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	bpflink "github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// besideStand is a program of ours at the end of the XDP program that an interface has,
// whoever attached that and however. Such a program is made for the one that it stands
// beside: when another takes that one's place, ours is made and attached anew. All of
// them share the collection's maps. The kernel takes it off with this process, however
// that ends, and nothing of the other program is touched.
type besideStand struct {
	site   *site
	spec   *ebpf.ProgramSpec // for whichever program
	maps   map[string]*ebpf.Map
	follow func(*Program)

	mu      sync.Mutex
	target  uint32 // id of the program that we stand beside; 0: none at the moment
	program *ebpf.Program
	link    bpflink.Link
	left    bool // for good

	refusing uint32 // id of one that we could not stand beside; 0: none
	refused  time.Time
}

// ErrNoTracing: the kernel lets no program of ours stand beside that of the interface.
var ErrNoTracing = errors.New("no program can stand beside it")

// standBeside puts program slot of a config beside what is in the XDP slot. coll is what
// was loaded of the config, for its maps.
func (s *site) standBeside(coll *ebpf.Collection, opts Options) (_ *besideStand, err error) {
	cfg := opts.Config
	if cfg.CPUs == 0 {
		if cfg.CPUs, err = cpusOf(cfg); err != nil {
			return nil, err
		}
	}
	if cfg.Kernel == (asm.Kernel{}) {
		if cfg.Kernel, err = Kernel(); err != nil {
			return nil, err
		}
	}
	// The program may be on other interfaces, too. Some hand theirs on to those that they
	// receive by, and what comes there is theirs: a bond, and netvsc with its function of the card.
	if !s.handsOn() {
		cfg.Index = uint32(s.link.index)
	}
	cfg.Namespace = s.ns.inode()
	spec, err := asm.Program(cfg)
	if err != nil {
		return nil, fmt.Errorf("assemble the program: %w", err)
	}
	ours := spec.Programs[asm.ProgramOf(int(opts.Slot))]
	if ours == nil || ours.Type != ebpf.Tracing {
		return nil, fmt.Errorf("attach: the config has no program %d to stand beside another", opts.Slot)
	}
	b := &besideStand{site: s, spec: ours, maps: coll.Maps, follow: opts.Followed}
	now, err := s.conn.link(s.link.index)
	if err != nil {
		return nil, s.explain(err)
	}
	id := inSlot(&now)
	if id == 0 {
		return nil, fmt.Errorf("%s has %w: there is nothing to stand beside, and the XDP slot is free", s.link.name, ErrNoProgram)
	}
	if err := b.stand(id); err != nil {
		return nil, err
	}
	return b, nil
}

// inSlot is the id of the program that runs on what the interface receives, or 0.
func inSlot(l *link) uint32 {
	if id := l.programs[Native]; id != 0 {
		return id
	}
	return l.programs[Generic]
}

// stand puts the program beside another one.
func (b *besideStand) stand(id uint32) error {
	target, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		if denied(err) {
			return fmt.Errorf("program %d on %s: %w: %w", id, b.site.link.name, ErrNoTracing, explainForeign(err))
		}
		return fmt.Errorf("open program %d on %s: %w", id, b.site.link.name, err)
	}
	defer target.Close()
	at, err := b.exitOf(target)
	if errors.Is(err, unix.EBUSY) {
		// The only component of libxdp's dispatcher is in the place of its main function.
		if only, found := extension(id); found == nil {
			defer only.Close()
			if at, err = b.exitOf(only); err != nil {
				err = fmt.Errorf("its only component: %w", err)
			}
		}
	}
	if err != nil {
		about, infoErr := target.Info()
		if infoErr != nil {
			return infoErr
		}
		return fmt.Errorf("program %d (%s) on %s: %w: %w", id, quoted(about.Name), b.site.link.name, ErrNoTracing, err)
	}
	b.target, b.program, b.link = id, at.program, at.link
	return nil
}

// load loads the program with the collection's maps.
func (b *besideStand) load(spec *ebpf.ProgramSpec) (*ebpf.Program, error) {
	insns := spec.Instructions
	for i, ins := range insns {
		if !ins.IsLoadFromMap() {
			continue
		}
		m := b.maps[ins.Reference()]
		if m == nil {
			return nil, fmt.Errorf("the collection lacks map %q: it is of another config", ins.Reference())
		}
		if err := insns[i].AssociateMap(m); err != nil {
			return nil, err
		}
	}
	return ebpf.NewProgram(spec)
}

// leave implements [stand]. The other program may be gone already.
func (b *besideStand) leave() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.off()
	b.left = true
	return nil
}

func (b *besideStand) off() {
	if b.link != nil {
		b.link.Close() // the kernel waits for who still runs it
		b.program.Close()
	}
	b.target, b.link, b.program = 0, nil, nil
}

// check implements [stand]: it follows when the interface has another program, or none.
func (b *besideStand) check() error {
	b.mu.Lock()
	moved, err := b.move()
	var to *Program
	if moved {
		to = b.beside()
	}
	b.mu.Unlock()
	if moved && b.follow != nil {
		b.follow(to) // which may ask us
	}
	return err
}

// move goes where the interface's program is, and reports whether that is somewhere else.
func (b *besideStand) move() (moved bool, err error) {
	if b.left {
		return false, nil
	}
	now, err := b.site.conn.link(b.site.link.index)
	if err != nil {
		return false, nil // told by the watch
	}
	id := inSlot(&now)
	if id == b.target && (id != 0 || b.refusing == 0) {
		return false, nil
	}
	b.off()
	if id == 0 {
		b.refusing = 0
		return true, nil
	}
	if err := b.stand(id); err != nil {
		// It may be there for a moment only, as what xdplog itself puts into its
		// place at its end.
		if b.refusing == id && time.Since(b.refused) > interval/2 {
			return false, err
		}
		if b.refusing != id {
			b.refusing, b.refused = id, time.Now()
		}
		return false, nil
	}
	b.refusing = 0
	return true, nil
}

// beside is the program that we stand beside, or nil.
func (b *besideStand) beside() *Program {
	if b.target == 0 {
		return nil
	}
	now, err := b.site.conn.link(b.site.link.index)
	if err != nil {
		return nil
	}
	mode, _ := now.mode(b.target)
	there := inspect(now.index, b.target, mode)
	defer there.close()
	p := there.program()
	return &p
}
