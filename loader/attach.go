package loader

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/wire"
)

// Options say where to attach.
type Options struct {
	Interface string // name or alternative name; required: see [DefaultInterface]
	Mode      Mode   // of the XDP slot; default Auto: native, else generic
	Method    Method // by what the XDP slot holds it; default ByNetlink

	// Place is where the program stands that is to be attached: the one for which
	// it was made, see [asm.Config.Place]. Default: [asm.XDP].
	Place asm.Place

	// Config is that which the collection was loaded of. [asm.Beside] needs it: a program
	// there is made for the one that it is to stand beside. So do programs for packets
	// without an Ethernet header ([asm.Config.RawIP]), and those that ask the driver ([asm.Config.Metadata]).
	Config asm.Config

	// Followed is called when the interface has got another XDP program, beside which
	// ours stands from then on, or with nil when it has none any more: then ours waits
	// for the next. At [asm.Beside] alone; it is called on a goroutine of Attach's, and
	// must return before Close does.
	Followed func(*Program)

	// Slot is which program of the collection to attach: see
	// [asm.Config.Interfaces]. Default: the first, which may be the only one.
	Slot uint8

	// Namespace is the network namespace of the interface: a name under
	// /run/netns, a path (anything with a slash in it), or the id of a process
	// in it; "" is the caller's own. A name that is all digits wins over a
	// process. Another namespace needs CAP_SYS_ADMIN.
	Namespace string
}

// Attach attaches a program of coll to an interface.
// Where a killed xdplog left its program, that is replaced, in one step if it
// is in the wanted mode. It needs CAP_NET_ADMIN, and CAP_SYS_ADMIN for a
// namespace other than the caller's. To know a program that was left takes
// CAP_SYS_ADMIN, or CAP_BPF and CAP_PERFMON on a kernel that has BTF.
//
// A living xdplog on the interface is a [WatchedError], any other program an
// [OccupiedError], one on an interface above it an [UpperError], a driver that
// refuses a [RefusedError], and packets that generic mode would see twice a [ReturnsError]; [ErrNoInterface] and [ErrNotEthernet] are for errors.Is.
func Attach(coll *ebpf.Collection, opts Options) (_ *Attachment, err error) {
	if coll == nil {
		return nil, errors.New("attach: there is no collection")
	}
	name := asm.ProgramOf(int(opts.Slot))
	prog := coll.Programs[name]
	if opts.Place == asm.Beside {
		return attachBeside(coll, opts)
	}
	if prog == nil {
		return nil, fmt.Errorf("attach: the collection has no program %s", name)
	}
	want, known := typeAt(opts.Place)
	if !known {
		return nil, fmt.Errorf("attach: no such place: %v", opts.Place)
	}
	if prog.Type() != want {
		return nil, fmt.Errorf("attach: program %s is for %s, not for %s", name, prog.Type(), want)
	}
	if coll.Maps[wire.ReplayMap] != nil {
		return nil, errors.New("attach: the program is made for recorded packets (Config.Replay)")
	}
	if int(opts.Mode) >= len(modeNames) {
		return nil, fmt.Errorf("attach: no such mode: %s", opts.Mode)
	}
	if opts.Mode == Offload && opts.Place == asm.XDP {
		return nil, fmt.Errorf("attach to %s: no card can run the program: it has no place for events", opts.Interface)
	}
	if int(opts.Method) >= len(methodNames) {
		return nil, fmt.Errorf("attach: no such method: %s", opts.Method)
	}

	a := &Attachment{lost: make(chan error, 1), place: opts.Place, method: opts.Method, asks: opts.asksFor()}
	a.close = a.closer()
	defer func() {
		if err != nil {
			a.release()
		}
	}()
	if a.prog, err = prog.Clone(); err != nil {
		return nil, fmt.Errorf("attach: %w", err)
	}
	info, err := a.prog.Info()
	if err != nil {
		return nil, fmt.Errorf("attach: %w", err)
	}
	id, _ := info.ID()
	a.id = uint32(id)

	if opts.Place == asm.XDP {
		a.site, err = occupy(opts.Interface, opts.Namespace, a.prog, a.id)
	} else {
		a.site, err = approach(opts.Interface, opts.Namespace)
	}
	if err != nil {
		return nil, err
	}
	if err := a.site.needLink(opts); err != nil {
		return nil, err
	}
	// Before the program is on, so that nothing that happens to it is missed.
	if a.watch, err = newWatch(a.site.ns, opts.Place != asm.XDP); err != nil {
		return nil, err
	}
	if opts.Place == asm.XDP {
		a.passer = newPasser()
		err = a.put(opts.Mode, coll.Maps[wire.ReaderMap])
	} else {
		err = a.standAt(opts.Place)
	}
	if err != nil {
		return nil, err
	}
	a.setHardwareClock(opts.Config.Clock)
	a.watch.start(a)
	return a, nil
}

// attachBeside is Attach of a program that is made at that moment.
func attachBeside(coll *ebpf.Collection, opts Options) (_ *Attachment, err error) {
	a := &Attachment{lost: make(chan error, 1), place: opts.Place}
	a.close = a.closer()
	defer func() {
		if err != nil {
			a.release()
		}
	}()
	if a.site, err = approach(opts.Interface, opts.Namespace); err != nil {
		return nil, err
	}
	if err := a.site.needLink(opts); err != nil {
		return nil, err
	}
	if a.watch, err = newWatch(a.site.ns, false); err != nil {
		return nil, err
	}
	beside, err := a.site.standBeside(coll, opts)
	if err != nil {
		return nil, err
	}
	a.stand = beside
	a.watch.start(a)
	return a, nil
}

// typeAt is the type of programs that stand at a place.
func typeAt(at asm.Place) (_ ebpf.ProgramType, known bool) {
	switch at {
	case asm.XDP:
		return ebpf.XDP, true
	case asm.TCIngress, asm.TCEgress:
		return ebpf.SchedCLS, true
	}
	return ebpf.UnspecifiedProgram, false
}

// standAt puts the program at a place other than the XDP slot.
func (a *Attachment) standAt(at asm.Place) (err error) {
	a.stand, err = a.site.standAtTC(a.prog, at)
	if f, ok := a.stand.(*filter); ok && err == nil {
		a.tookOver = f.took
	}
	return err
}

// put puts the program on the interface, in the first of the wanted modes that
// it takes, and leaves a note of what that switched off in a map of the program's.
func (a *Attachment) put(wanted Mode, words *ebpf.Map) error {
	old, err := a.site.rival(wanted)
	if err != nil {
		return err
	}
	if old != nil {
		defer old.close()
		if err := a.site.abandoned(old); err != nil {
			return err
		}
		a.tookOver = int(old.id)
		a.offloads = a.site.inherit(old)
	}

	order := wanted.order()
	if wanted == Auto && (old == nil || old.mode != Native) {
		if a.harm = a.site.harm(); a.harm != nil {
			order = order[1:]
		}
	}
	if a.method == ByLink && order[0] == Native {
		if harm := a.site.harmOfLink(); harm != nil {
			if wanted == Native {
				return fmt.Errorf("attach to %s: %w: attach by netlink, or in generic mode", a.site.link.name, harm)
			}
			a.harm, order = harm, []Mode{Generic}
		}
	}
	if a.asks != (asm.Metadata{}) && order[0] == Native {
		order = order[:1] // what asks the driver is refused elsewhere
	}
	before, featured := a.site.features()
	for _, mode := range order {
		if mode == Generic {
			if a.returns = a.site.returns(); a.returns != nil && wanted == Auto {
				return fmt.Errorf("attach to %s: %w", a.site.link.name, a.returns)
			}
		}
		var err error
		a.away.Add(int64(a.site.wait(mode, func() { err = a.set(mode, &old) })))
		if err == nil {
			a.mode = mode
			if now, err := a.site.features(); err == nil && featured == nil {
				a.offloads = a.offloads.and(switchedOff(before, now))
				a.offloads.requested = now.requested
				a.site.remember(a.prog, words, a.offloads)
			}
			return nil
		}
		if stop := a.final(err, mode, old); stop != nil {
			return stop
		}
		if a.refused == nil {
			a.refused = new(RefusedError)
		}
		a.refused.Refusals = append(a.refused.Refusals, Refusal{mode, oneLine(err)})
	}
	return fmt.Errorf("attach to %s: %w", a.site.link.name, a.refused)
}

// set attaches in a mode, in place of the old program if there is one: in one
// step, if that has the same mode, and the new one is not to be held by a link.
// *old is nil once it is off.
func (a *Attachment) set(mode Mode, old **attached) error {
	c, index := a.site.conn, a.site.link.index
	if *old != nil {
		before := *old
		if before.mode == mode && a.method == ByNetlink {
			return c.setXDP(index, a.prog.FD(), mode, before.fd())
		}
		there := before.fd()
		if a.site.retire(before.mode, there, a.passer) {
			there = a.passer.prog.FD()
		}
		if err := c.setXDP(index, noProgram, before.mode, there); err != nil {
			return err
		}
		*old = nil
	}
	if a.method == ByLink {
		return a.setLink(mode)
	}
	return c.setXDP(index, a.prog.FD(), mode, noProgram)
}

// final returns what to tell where another mode would be no help, else nil.
func (a *Attachment) final(err error, mode Mode, old *attached) error {
	switch {
	case denied(err), errors.Is(err, unix.ENODEV):
		return fmt.Errorf("attach to %s: %w", a.site.link.name, a.site.explain(err))
	case errors.Is(err, unix.EEXIST), errors.Is(err, unix.EBUSY):
		// A program came in the meantime, or the driver calls itself busy.
		there, asked := a.site.rival(mode)
		if asked != nil {
			return asked
		}
		if there != nil {
			defer there.close()
			if old == nil || there.id != old.id {
				return a.site.occupied(there)
			}
		}
		upper := a.site.upper()
		if upper == nil && saysUpper(err) {
			upper = &UpperError{Interface: a.site.link.name}
		}
		if upper != nil && errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("attach to %s: %w: take that off first", a.site.link.name, upper)
		}
	}
	return nil
}
