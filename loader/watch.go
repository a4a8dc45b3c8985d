package loader

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// watch notices what happens to an attachment from outside.
type watch struct {
	links *nl.NetlinkSocket // changes of interfaces in the namespace
	names *os.File          // readable when the namespace may be deleted, or nil
	went  chan bool         // buffered: the interface is gone; true: to another namespace
	ended chan struct{}
	group sync.WaitGroup
}

// newWatch also tells what happens to filters, if that is wanted.
func newWatch(ns *namespace, filters bool) (*watch, error) {
	w := &watch{went: make(chan bool, 1), ended: make(chan struct{})}
	var err error
	if w.names, err = ns.watch(); err != nil {
		return nil, err
	}
	err = ns.do(func() (err error) {
		groups := []uint{unix.RTNLGRP_LINK}
		if filters {
			groups = append(groups, unix.RTNLGRP_TC)
		}
		w.links, err = nl.Subscribe(unix.NETLINK_ROUTE, groups...)
		return err
	})
	if err != nil {
		w.stop()
		return nil, fmt.Errorf("watch the interfaces: %w", err)
	}
	return w, nil
}

func (w *watch) start(a *Attachment) {
	w.group.Go(func() { w.watchLinks(a) })
	if w.names != nil {
		w.group.Go(func() { w.watchNames(a) })
	}
	if a.place == asm.Beside {
		w.group.Go(func() { w.look(a) })
	}
}

// interval is that at which look looks.
const interval = 100 * time.Millisecond

// look asks for the program of the interface, again and again: of a link that is
// attached or gets another program, the kernel tells nobody.
func (w *watch) look(a *Attachment) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			w.check(a, changed)
		case <-w.ended:
			return
		}
	}
}

// stop ends the goroutines and waits for them.
func (w *watch) stop() {
	close(w.ended)
	if w.links != nil {
		w.links.Close()
	}
	if w.names != nil {
		w.names.Close()
	}
	w.group.Wait()
}

// moved reports whether the interface, which is gone, went to another network
// namespace. The kernel has sent that by now; it may not have been read yet.
func (w *watch) moved() bool {
	select {
	case moved := <-w.went:
		return moved
	case <-time.After(200 * time.Millisecond):
		return false
	}
}

// watchNames reports the deletion of the network namespace.
func (w *watch) watchNames(a *Attachment) {
	events := make([]byte, 4096)
	for {
		if _, err := w.names.Read(events); err != nil {
			return // closed
		}
		if a.site.ns.deleted() {
			a.report(explain(ErrGone, "%s was deleted", a.site.ns.title))
		}
	}
}

// watchLinks reports what happens to the interface and its program.
func (w *watch) watchLinks(a *Attachment) {
	for {
		messages, _, err := w.links.Receive()
		switch {
		case errors.Is(err, unix.ENOBUFS): // more happened than we were told
			w.check(a, deleted)
		case err != nil: // closed, or worth a report
			a.report(fmt.Errorf("watch interface %s: %w", a.Interface(), err))
			return
		}
		for _, message := range messages {
			if what := about(message, a.Index()); what != nothing {
				w.check(a, what)
			}
		}
	}
}

// news is what a message says of the interface.
type news uint8

const (
	nothing news = iota // another interface's, or the bridge's view of it
	changed
	deleted
	moved // deleted here, and now in another network namespace
)

func about(message syscall.NetlinkMessage, index int) news {
	switch message.Header.Type {
	case unix.RTM_NEWTFILTER, unix.RTM_DELTFILTER, unix.RTM_DELQDISC:
		if len(message.Data) >= nl.SizeofTcMsg && int(nl.DeserializeTcMsg(message.Data).Ifindex) == index {
			return changed
		}
		return nothing
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
	default:
		return nothing
	}
	if len(message.Data) < unix.SizeofIfInfomsg {
		return nothing
	}
	info := nl.DeserializeIfInfomsg(message.Data)
	if int(info.Index) != index || info.Family != unix.AF_UNSPEC {
		return nothing
	}
	if message.Header.Type != unix.RTM_DELLINK {
		return changed
	}
	what := deleted
	_ = attributes(message.Data[unix.SizeofIfInfomsg:], func(kind uint16, _ []byte) error {
		if kind == unix.IFLA_NEW_NETNSID { // Linux 4.15
			what = moved
		}
		return nil
	})
	return what
}

// check asks the kernel how things are and reports what is wrong: a message
// tells only how they were.
func (w *watch) check(a *Attachment, what news) {
	now, err := a.site.conn.link(a.Index())
	switch {
	case err == nil:
		a.checkProgram(&now)
	case !errors.Is(err, unix.ENODEV):
		a.report(fmt.Errorf("watch interface %s: %w", a.Interface(), explainAttach(err)))
	case what == changed:
		// It went after that; the message which says where to follows.
	default:
		select {
		case w.went <- what == moved:
		default:
		}
		how := "deleted"
		if what == moved {
			how = "moved to another network namespace"
		}
		a.report(fmt.Errorf("interface %s is %w (%s)", a.Interface(), ErrGone, how))
	}
}

func (a *Attachment) checkProgram(now *link) {
	if a.closing.Load() {
		return
	}
	if a.stand != nil {
		if err := a.stand.check(); err != nil {
			a.report(err)
		}
		return
	}
	if _, on := now.mode(a.id); on {
		return
	}
	for mode, id := range now.programs {
		if mode := Mode(mode); id != 0 && mode.excludes(a.mode) {
			there := inspect(now.index, id, mode)
			there.close()
			a.report(fmt.Errorf("the program on %s was %w by %s", a.Interface(), ErrReplaced, there.program()))
			return
		}
	}
	a.report(fmt.Errorf("the program on %s was %w", a.Interface(), ErrTakenOff))
}

// report tells whoever reads Lost, once.
func (a *Attachment) report(err error) {
	if a.closing.Load() {
		return
	}
	select {
	case a.lost <- err:
	default:
	}
}
