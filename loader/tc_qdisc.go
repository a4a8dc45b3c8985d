package loader

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// clsactHandle is that of the qdisc (TC_H_CLSACT, linux/pkt_sched.h).
var clsactHandle = netlink.MakeHandle(0xffff, 0)

// needQdisc makes the clsact qdisc, if there is none.
func (f *filter) needQdisc() error {
	qdisc := &netlink.GenericQdisc{QdiscType: "clsact", QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: f.site.link.index, Handle: clsactHandle, Parent: netlink.HANDLE_CLSACT,
	}}
	err := f.rtnl.QdiscAdd(qdisc)
	if err == nil {
		f.made = true
		return nil
	}
	if errors.Is(err, unix.ENOENT) {
		return explain(err, "this kernel has no clsact qdisc: it needs CONFIG_NET_SCH_INGRESS (module sch_ingress)")
	}
	if !errors.Is(err, unix.EEXIST) {
		return f.site.explain(err)
	}
	older, err := f.older()
	if err != nil {
		return f.site.explain(err)
	}
	if older != "" && f.at == asm.TCEgress {
		return fmt.Errorf("it has the older qdisc %s, which leaves no room for tc egress: remove it (tc qdisc del dev %s ingress)", older, f.site.link.name)
	}
	// Where another filter of ours is there for which the qdisc was made, the last
	// one to go removes it.
	for _, at := range []asm.Place{asm.TCIngress, asm.TCEgress} {
		made, err := f.find(at, func(there *netlink.BpfFilter) bool { return there.Name == filterNameMade })
		if err != nil {
			return f.site.explain(err)
		}
		f.made = f.made || len(made) > 0
	}
	return nil
}

// older is the kind of the qdisc that has ingress alone, or "".
func (f *filter) older() (string, error) {
	list, err := f.rtnl.QdiscList(f.device())
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return "", err
	}
	for _, there := range list {
		if there.Attrs().Parent == netlink.HANDLE_CLSACT && there.Type() != "clsact" {
			return there.Type(), nil
		}
	}
	return "", nil
}

// removeQdisc removes the clsact qdisc unless there is a filter.
func (f *filter) removeQdisc() {
	for _, at := range []asm.Place{asm.TCIngress, asm.TCEgress} {
		others, err := f.rtnl.FilterList(f.device(), parentOf(at))
		if err != nil || len(others) > 0 {
			return
		}
	}
	_ = f.deleteQdisc()
}

// alone reports whether our filter is the only one of the qdisc.
func (f *filter) alone() bool {
	here, err := f.rtnl.FilterList(f.device(), parentOf(f.at))
	if err != nil || len(here) != 1 {
		return false
	}
	ours, isOne := here[0].(*netlink.BpfFilter)
	there, err := f.rtnl.FilterList(f.device(), parentOf(opposite(f.at)))
	return err == nil && len(there) == 0 && isOne && ours.Id == f.id
}

// deleteQdisc deletes it, with all its filters.
func (f *filter) deleteQdisc() error {
	return f.rtnl.QdiscDel(&netlink.GenericQdisc{QdiscType: "clsact", QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: f.site.link.index, Handle: clsactHandle, Parent: netlink.HANDLE_CLSACT,
	}})
}
