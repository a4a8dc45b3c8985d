package reader

// interfaces are the indexes of those that programs are on, by the programs' numbers;
// 0 is one of which the records say it.
type interfaces [256]int

// SetInterface has the events of a program, by [Event.Slot], be of the interface with
// an index. It is for a bond that runs the program natively: that runs on the ports,
// and its records bear the index of the port that received the packet, which becomes
// [Event.Port]. For others it changes nothing.
//
// It is called before events of the program are read, and what was set last counts.
func (r *Reader) SetInterface(slot uint8, index int) {
	known := new(interfaces)
	if before := r.interfaces.Load(); before != nil {
		*known = *before
	}
	known[slot] = index
	r.interfaces.Store(known)
}

// attribute sets the interface of the first n events of a batch.
func (known *interfaces) attribute(b batch, n int) {
	for i := range n {
		var e *Event
		if b.packets == nil {
			e = &b.events[i]
		} else {
			e = &b.packets[i].Event
		}
		if index := known[e.Slot]; index != 0 && index != e.Interface {
			e.Interface, e.Port = index, e.Interface
		}
	}
}
