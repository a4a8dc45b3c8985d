package loader

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// filter is a program at tc that is a filter of the interface's clsact qdisc. It
// stays when its process is killed, and bears a name by which the next start
// knows it.
type filter struct {
	site   *site
	rtnl   *netlink.Handle // in the interface's namespace
	claim  *claim
	at     asm.Place
	id     int // of the program, in the kernel
	handle uint32
	made   bool // the qdisc is ours to remove, once nobody uses it
	took   int  // id of the program of a killed xdplog that was replaced, or 0
}

// Names of filters: the second says that the qdisc was made for it.
const (
	filterName     = asm.ProgramName
	filterNameMade = asm.ProgramName + ":clsact"
)

// filterPriority is the first there is. Others' bpf filters may have it, too: what
// was there before is asked before.
const filterPriority = 1

func parentOf(at asm.Place) uint32 {
	if at == asm.TCEgress {
		return netlink.HANDLE_MIN_EGRESS
	}
	return netlink.HANDLE_MIN_INGRESS
}

// sweep takes off what killed xdplogs left at a place, where no living one is. Who
// stands at the other place may be all that comes after one that stood at both.
func (s *site) sweep(at asm.Place) {
	f, err := s.openFilters(at, nil)
	if err != nil {
		return
	}
	defer f.close()
	_, _ = f.removeOrphans()
}

// openFilters claims tc ingress or egress of the interface for a program, which may be nil.
func (s *site) openFilters(at asm.Place, prog *ebpf.Program) (f *filter, err error) {
	f = &filter{site: s, at: at}
	if prog != nil {
		info, err := prog.Info()
		if err != nil {
			return nil, fmt.Errorf("attach to %s: %w", s.link.name, err)
		}
		id, _ := info.ID()
		f.id = int(id)
	}
	err = s.ns.do(func() (err error) {
		if f.claim, err = claimLink(s.link.index, at, prog, uint32(f.id)); err != nil {
			return err
		}
		f.rtnl, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		f.close()
	}
	if errors.As(err, new(*WatchedError)) {
		return nil, fmt.Errorf("%v of %s is %w", at, s.link.name, err)
	}
	return f, err
}

func (f *filter) close() {
	if f.rtnl != nil {
		f.rtnl.Close()
	}
	if f.claim != nil {
		f.claim.release()
	}
}

// addFilter puts a program at tc by a filter, in place of that of a killed xdplog.
func (s *site) addFilter(prog *ebpf.Program, at asm.Place) (_ *filter, err error) {
	f, err := s.openFilters(at, prog)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.leave() // the qdisc
		}
	}()
	if err := f.needQdisc(); err != nil {
		return nil, fmt.Errorf("attach to %s: %w", s.link.name, err)
	}
	if f.took, err = f.removeOrphans(); err != nil {
		return nil, fmt.Errorf("attach to %s: %w", s.link.name, s.explain(err))
	}
	name := filterName
	if f.made {
		name = filterNameMade
	}
	err = f.rtnl.FilterAdd(&netlink.BpfFilter{
		FilterAttrs:  f.attributes(0), // a handle of the kernel's choice
		Fd:           prog.FD(),
		Name:         name,
		DirectAction: true,
	})
	if errors.Is(err, unix.ENOENT) {
		return nil, explain(err, "attach to %s: this kernel has no bpf filters: it needs CONFIG_NET_CLS_BPF (module cls_bpf)", s.link.name)
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EEXIST) {
		return nil, explain(err, "attach to %s: the filters of priority %d at %v are of another kind than bpf: move them to another priority", s.link.name, filterPriority, at)
	}
	if err != nil {
		return nil, fmt.Errorf("attach to %s: %w", s.link.name, s.explain(err))
	}
	ours, err := f.find(at, func(there *netlink.BpfFilter) bool { return there.Id == f.id })
	if err == nil && len(ours) == 0 {
		err = errors.New("the kernel says that the filter is there, and it is not")
	}
	if err != nil {
		return nil, fmt.Errorf("attach to %s: %w", s.link.name, s.explain(err))
	}
	f.handle = ours[0].Handle
	return f, nil
}

func (f *filter) attributes(handle uint32) netlink.FilterAttrs {
	return netlink.FilterAttrs{
		LinkIndex: f.site.link.index,
		Parent:    parentOf(f.at),
		Handle:    handle,
		Priority:  filterPriority,
		Protocol:  unix.ETH_P_ALL,
	}
}

func (f *filter) device() netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: f.site.link.index}}
}

// find returns the bpf filters at a place that are wanted.
func (f *filter) find(at asm.Place, wanted func(*netlink.BpfFilter) bool) ([]*netlink.BpfFilter, error) {
	if at == asm.TCEgress { // asked for those of egress, the older qdisc shows those of ingress
		if older, err := f.older(); older != "" || err != nil {
			return nil, err
		}
	}
	all, err := f.rtnl.FilterList(f.device(), parentOf(at))
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil, nil // there is no qdisc
	}
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, err
	}
	var found []*netlink.BpfFilter
	for _, there := range all {
		if there, ok := there.(*netlink.BpfFilter); ok && wanted(there) {
			found = append(found, there)
		}
	}
	return found, nil
}

// removeOrphans takes off what killed xdplogs left at the place: who holds the
// claim knows that nobody else is there but who had to claim by the program. It
// returns the id of one of the programs.
func (f *filter) removeOrphans() (id int, err error) {
	orphans, err := f.find(f.at, func(there *netlink.BpfFilter) bool {
		return there.Name == filterName || there.Name == filterNameMade
	})
	if err != nil {
		return 0, err
	}
	for _, orphan := range orphans {
		if f.site.owner(f.at, uint32(orphan.Id)) != nil {
			continue
		}
		f.made = f.made || orphan.Name == filterNameMade
		if err := f.rtnl.FilterDel(orphan); err != nil && !errors.Is(err, unix.ENOENT) {
			return 0, err
		}
		id = orphan.Id
	}
	return id, nil
}

func (f *filter) leave() error {
	defer f.close()
	// In one step where nobody else uses the qdisc: of one without our filter, nobody
	// would know that it is ours, if this process were killed in between.
	if f.made && f.alone() && f.deleteQdisc() == nil {
		quiesce()
		return nil
	}
	err := f.remove()
	if f.made {
		f.removeQdisc()
	}
	quiesce()
	return err
}

// remove takes our own filter off, if it is there.
func (f *filter) remove() error {
	there, err := f.find(f.at, func(there *netlink.BpfFilter) bool { return there.Id == f.id })
	if err != nil {
		return err
	}
	for _, ours := range there {
		if err := f.rtnl.FilterDel(ours); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("take program %d off %s: %w", f.id, f.site.link.name, explainAttach(err))
		}
	}
	if len(there) > 0 {
		return nil
	}
	if err := f.replaced(); err != nil {
		return fmt.Errorf("%w, which is left alone", err)
	}
	return nil
}

func (f *filter) check() error {
	there, err := f.find(f.at, func(there *netlink.BpfFilter) bool { return there.Id == f.id })
	if err != nil || len(there) > 0 {
		return nil // closed meanwhile, or as it should be
	}
	if err := f.replaced(); err != nil {
		return err
	}
	return fmt.Errorf("the program at %v of %s was %w", f.at, f.site.link.name, ErrTakenOff)
}

// replaced returns an error where our filter's handle is another's.
func (f *filter) replaced() error {
	other, err := f.find(f.at, func(there *netlink.BpfFilter) bool {
		return there.Handle == f.handle && there.Priority == filterPriority && f.handle != 0
	})
	if err != nil || len(other) == 0 {
		return nil
	}
	return fmt.Errorf("the program at %v of %s was %w by %s", f.at, f.site.link.name, ErrReplaced, describe(other[0]))
}

func describe(f *netlink.BpfFilter) string {
	return strings.TrimSpace(fmt.Sprintf("id %d (%s)", f.Id, quoted(f.Name)))
}
