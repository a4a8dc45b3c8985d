package asm

import "fmt"

// Wake says whom a record wakes.
type Wake uint8

const (
	// WakeReader is for package reader: a record wakes it when its buffer has
	// filled by a part, or when it has said that it sleeps, by ringing a doorbell.
	// To any other reader nothing is ever said, and its events stay where they are.
	WakeReader Wake = iota

	// WakePoller is for whoever polls the map of events, as the readers of
	// cilium/ebpf do: ringbuf.Reader is woken by the record that finds it waiting,
	// perf.Reader as its own options say. [Mmap] has no such reader.
	WakePoller
)

var wakeNames = [...]string{WakeReader: "reader", WakePoller: "poller"}

func (w Wake) String() string {
	if int(w) < len(wakeNames) {
		return wakeNames[w]
	}
	return fmt.Sprintf("wake %d", uint8(w))
}
