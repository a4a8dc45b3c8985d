package loader

import "github.com/xdplog/xdplog/asm"

// ByPorts reports whether the interface has its ports run the program, as a bond does
// of a native one, and netvsc of its function of the card: then a record's interface is the port that received the packet, by
// its index. Package reader is told by [reader.Reader.SetInterface].
func (a *Attachment) ByPorts() bool {
	native := a.place == asm.XDP && a.mode == Native
	if b := a.Beside(); b != nil {
		native = b.Mode == Native
	}
	return native && a.site != nil && a.site.handsOn()
}

// handsOn reports whether the interface hands a native program on to those by which it
// receives.
func (s *site) handsOn() bool {
	driver := s.driver(s.link.name)
	return driver == "bonding" || driver == "hv_netvsc"
}

// Port is the name of the port of the interface that has an index, now.
func (a *Attachment) Port(index int) (name string, ok bool) {
	if a.site == nil {
		return "", false
	}
	l, err := a.site.conn.link(index)
	if err != nil || l.master != a.site.link.index {
		return "", false
	}
	return l.name, true
}
