package loader

import (
	"fmt"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// TestRetire listens to the kernel while a program is taken off. A native one
// gives its place to the passer first, where there may be one; a generic one
// doesn't, whose receive queue stays. What that is good for e2e's TestSoak
// shows, under kernels that mind.
func TestRetire(t *testing.T) {
	for _, c := range []struct {
		mode   Mode
		passer bool
		want   string
	}{
		{Native, true, "program, passer, nothing"},
		{Native, false, "program, nothing"},
		{Generic, true, "program, nothing"},
	} {
		t.Run(fmt.Sprintf("%s, passer %t", c.mode, c.passer), func(t *testing.T) {
			lab := newLab(t)
			a := lab.attach(t, c.mode)
			if a.passer == nil {
				t.Fatal("there is no passer")
			}
			names := map[uint32]string{0: "nothing", a.id: "program", a.passer.id: "passer"}
			if !c.passer { // as without the rights to load one
				a.passer.close()
				a.passer = nil
			}
			story := lab.follow(t, "v0", c.mode)

			must(t, a.Close())

			told := names[a.id]
			for id := a.id; id != 0; {
				if now := story(); now != id {
					id = now
					told += ", " + names[id]
				}
			}
			if told != c.want {
				t.Errorf("on v0 were %s; want %s", told, c.want)
			}
			lab.bare(t)
		})
	}
}

// follow returns what tells the id of the program in a mode on an interface, as
// the kernel's next message has it.
func (l *lab) follow(t *testing.T, name string, mode Mode) func() uint32 {
	t.Helper()
	index := l.link(t, name).Attrs().Index
	var links *nl.NetlinkSocket
	must(t, l.namespace(t).do(func() (err error) {
		links, err = nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK)
		return err
	}))
	t.Cleanup(links.Close)
	must(t, links.SetReceiveTimeout(&unix.Timeval{Sec: 5}))

	var ids []uint32
	return func() uint32 {
		t.Helper()
		for len(ids) == 0 {
			messages, _, err := links.Receive()
			must(t, err)
			for _, message := range messages {
				now, err := parseLink(message.Data)
				must(t, err)
				if now.index == index {
					ids = append(ids, now.programs[mode])
				}
			}
		}
		id := ids[0]
		ids = ids[1:]
		return id
	}
}
